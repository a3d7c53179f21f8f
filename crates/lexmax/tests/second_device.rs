//! Every layer on a device that is not the CPU: what it computes there is what the reference path
//! computes here, and what lies elsewhere is refused by name.
#![cfg(all(
    feature = "full",
    feature = "sampled",
    feature = "hierarchical",
    feature = "adaptive",
    feature = "mixture"
))]
#![allow(clippy::unwrap_used)]

mod common;

use common::LAYERS;
use lexmax::OutputConfig;
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, OutputError, OutputLayer, TrainingLoss, WordCounts};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_second_device::{NoSecondDevice, second_device};
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 40;
const D: i64 = 6;
const SEED: u64 = 7;

/// Options of the loss; `{weights}` is one weight for each class.
const LOSSES: [&str; 4] = [
    "",
    "reduction = \"none\"\nignore_index = 3",
    "reduction = \"sum\"\nlabel_smoothing = 0.1",
    "ignore_index = -1\nclass_weights = {weights}",
];

/// Dtypes with their tolerance, and paths: the fastest one there is the chunked one, where a layer
/// has it.
const SETTINGS: [(Kind, f64, Compute); 5] = [
    (Kind::Double, 1e-12, Compute::Fastest),
    (Kind::Double, 1e-12, Compute::Reference),
    (Kind::Float, 1e-5, Compute::Fastest),
    (Kind::Float, 1e-5, Compute::Reference),
    (Kind::BFloat16, 0.03, Compute::Fastest),
];

struct Subject {
    layer: Box<dyn OutputLayer>,
    store: nn::VarStore,
    /// The input embedding, which tied layers share.
    embedding: Tensor,
    hidden: Tensor,
    targets: Tensor,
}

/// The device; `None`, with a word on it, where libtorch is a CUDA build without a GPU.
fn there() -> Option<Device> {
    match second_device() {
        Err(none @ NoSecondDevice::NoGpu) => {
            eprintln!("skipped: {none}");
            None
        }
        device => Some(device.unwrap()),
    }
}

/// On the second device the path is given; here it is the reference path.
fn build(config: &str, (device, compute): (Device, Compute), kind: Kind) -> Result<Subject, OutputError> {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let mut store = nn::VarStore::new(device);
    store.set_kind(kind);
    let counts = WordCounts::new((1..=V as u64).rev().collect()).unwrap();
    let embedding = values([V, D], 0.3).to_kind(kind).to_device(device).set_requires_grad(true);
    let layer = config.build(&BuildContext {
        counts: Some(&counts),
        embedding: Some(embedding.shallow_clone()),
        compute,
        // Beside the kernels gradients are dense, whatever is asked for.
        sparse_gradients: device != Device::Cpu,
        // Of a chunked layer a few rows a chunk.
        workspace_bytes: (compute != Compute::Reference).then_some(3 * 8 * V as usize),
        ..BuildContext::new(store.root(), V, D, SEED)
    })?;
    let hidden = values([7, D], 1.1).to_kind(kind).to_device(device).set_requires_grad(true);
    let targets = Tensor::from_slice(&[0_i64, V - 1, 3, 3, 11, 26, 4]).to_device(device);
    Ok(Subject { layer, store, embedding, hidden, targets })
}

/// Numbers between -1 and 1 that look like noise.
fn values(size: [i64; 2], phase: f64) -> Tensor {
    let count = size[0] * size[1];
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.7 + phase).sin().view(size)
}

fn draws(step: u64) -> Generator {
    generator(SEED, "second device", step)
}

impl Subject {
    fn loss(&mut self) -> TrainingLoss {
        self.layer.loss_with(&self.hidden, &self.targets, &mut draws(1)).unwrap()
    }

    /// Everything that the layer answers, with names, after a backward pass.
    fn answers(&mut self) -> Vec<(String, Tensor)> {
        self.layer.refresh().unwrap();
        let loss = self.loss();
        loss.tensor().sum(None::<Kind>).backward();
        let top = self.layer.top_k(&self.hidden, 3).unwrap();
        let targets = self.targets.clamp(0, V - 1);
        let mut answers = vec![
            ("loss".to_owned(), loss.into_tensor()),
            ("gradient of hidden".to_owned(), self.hidden.grad()),
            ("gradient of the embedding".to_owned(), self.embedding.grad()),
            ("log_prob".to_owned(), self.layer.log_prob(&self.hidden, &targets).unwrap().into_tensor()),
            ("log_probs".to_owned(), self.layer.log_probs(&self.hidden).unwrap().into_tensor()),
            ("log-probabilities of top_k".to_owned(), top.log_probs),
            ("ids of top_k".to_owned(), top.ids),
            ("sample".to_owned(), self.layer.sample(&self.hidden, &mut draws(2)).unwrap()),
        ];
        let mut variables: Vec<_> = self.store.variables().into_iter().collect();
        variables.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, variable) in variables {
            answers.push((format!("gradient of {name}"), variable.grad()));
            answers.push((name, variable));
        }
        answers
    }
}

#[test]
fn every_layer_computes_there_what_it_computes_here() {
    let Some(device) = there() else { return };
    let weights = format!("{:?}", (0..V).map(|class| 0.5 + class as f64 / V as f64).collect::<Vec<_>>());
    let mut refused = 0;
    for layer in LAYERS {
        for loss in LOSSES {
            for (kind, tolerance, compute) in SETTINGS {
                let config = format!("{layer}\n[loss]\n{}", loss.replace("{weights}", &weights));
                let there = build(&config, (device, compute), kind);
                let (mut there, mut here) =
                    match (there, build(&config, (Device::Cpu, Compute::Reference), kind)) {
                        (Ok(there), Ok(here)) => (there, here),
                        (there, here) => {
                            let (there, here) = (there.err().unwrap(), here.err().unwrap());
                            assert_eq!(there.to_string(), here.to_string());
                            refused += 1;
                            continue;
                        }
                    };
                assert_eq!(there.loss().is_exact(), here.loss().is_exact());
                for ((name, there), (_, here)) in there.answers().into_iter().zip(here.answers()) {
                    let what = format!("{config}\n{compute:?} {kind:?}: {name}");
                    assert_eq!(there.defined(), here.defined(), "{what}");
                    // Two classes may be as good as equal in bf16.
                    if !here.defined() || (kind == Kind::BFloat16 && here.kind() == Kind::Int64) {
                        continue;
                    }
                    assert_eq!((there.device(), there.kind()), (device, here.kind()), "{what}");
                    let scale = 1.0 + here.abs().max().double_value(&[]);
                    let apart = (there.to_device(Device::Cpu) - &here).abs().max().double_value(&[]);
                    assert!(apart <= tolerance * scale, "{what}: {apart} apart");
                }
            }
        }
    }
    // Label smoothing of the focal and the sampled losses, in each setting.
    assert_eq!(refused, SETTINGS.len() * 6);
}

#[test]
fn bad_input_is_found_there_too() {
    let Some(device) = there() else { return };
    let subject = build(LAYERS[0], (device, Compute::Fastest), Kind::Float).unwrap();
    let targets = (&subject.targets + (subject.targets.eq(11) * V)).to_device(device);
    let error = subject.layer.loss_with(&subject.hidden, &targets, &mut draws(1)).unwrap_err();
    assert!(matches!(error, OutputError::Target { row: 4, given: 51, .. }), "{error}");
    let bad = subject.hidden.detach().copy();
    let _ = bad.get(5).fill_(f64::NAN);
    let error = subject.layer.log_prob(&bad, &subject.targets).unwrap_err();
    assert!(matches!(error, OutputError::NotFinite { row: 5, .. }), "{error}");
}

#[test]
fn tensor_on_another_device_is_refused_by_name() {
    let Some(device) = there() else { return };
    for layer in LAYERS {
        let mut subject = build(layer, (device, Compute::Fastest), Kind::Float).unwrap();
        let (hidden, targets) =
            (subject.hidden.to_device(Device::Cpu), subject.targets.to_device(Device::Cpu));
        let layer = &mut subject.layer;
        let refusals = [
            ("hidden", layer.loss_with(&hidden, &subject.targets, &mut draws(1)).map(drop)),
            ("targets", layer.loss_with(&subject.hidden, &targets, &mut draws(1)).map(drop)),
            ("hidden", layer.log_prob(&hidden, &subject.targets).map(drop)),
            ("targets", layer.log_prob(&subject.hidden, &targets).map(drop)),
            ("hidden", layer.log_probs(&hidden).map(drop)),
            ("hidden", layer.top_k(&hidden, 3).map(drop)),
            ("hidden", layer.sample(&hidden, &mut draws(1)).map(drop)),
        ];
        for (what, refusal) in refusals {
            let error = refusal.unwrap_err();
            let expected = format!("{what} lies on Cpu, expected Cuda(0), where the layer's parameters are");
            assert!(matches!(error, OutputError::Device { .. }), "{error}");
            assert!(error.to_string().ends_with(&expected), "{error}");
        }
    }
}
