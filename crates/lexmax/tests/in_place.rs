//! Tensors that are changed in place between the forward and the backward pass: every layer gives
//! the gradients of the forward pass's values, or libtorch's error, and never gradients of
//! something else.
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
use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use lexmax_kernels::seed::generator;
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 40;
const D: i64 = 6;
const N: i64 = 7;

/// Options of the loss; `{weights}` is one weight for each class.
const LOSSES: [&str; 5] = [
    "reduction = \"none\"",
    "reduction = \"none\"\nlabel_smoothing = 0.1\nclass_weights = {weights}",
    "reduction = \"none\"\nignore_index = 3\nclass_weights = {weights}",
    "reduction = \"mean\"",
    "reduction = \"sum\"\nlabel_smoothing = 0.1",
];

/// The differentiable answers of a layer.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Loss,
    LogProb,
    LogProbs,
}

/// One way to build a layer and to lay out what it is given.
#[derive(Debug, Clone, Copy)]
struct Setting {
    compute: Compute,
    sparse: bool,
    /// Whether hidden states, targets and embedding have strides, so that a kernel sees copies of
    /// them.
    strided: bool,
}

const SETTINGS: [Setting; 6] = [
    Setting { compute: Compute::Reference, sparse: false, strided: false },
    Setting { compute: Compute::Fastest, sparse: false, strided: false },
    Setting { compute: Compute::Fastest, sparse: true, strided: false },
    Setting { compute: Compute::Fastest, sparse: false, strided: true },
    Setting { compute: Compute::Chunked, sparse: false, strided: false },
    Setting { compute: Compute::Chunked, sparse: false, strided: true },
];

struct Subject {
    layer: Box<dyn OutputLayer>,
    /// Tensors that a caller holds, by name: targets, hidden states, the embedding, and the layer's
    /// parameters.
    held: Vec<(String, Tensor)>,
}

/// Numbers between -1 and 1 that look like noise.
fn values(rows: i64, columns: i64, phase: f64, strided: bool) -> Tensor {
    let all = (Tensor::arange(rows * columns, (Kind::Double, Device::Cpu)) * 1.7 + phase).sin();
    if strided { all.view([columns, rows]).tr() } else { all.view([rows, columns]) }
}

/// `None` where the layer refuses an option of the loss.
fn build(config: &str, setting: Setting) -> Option<Subject> {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let counts = WordCounts::new((1..=V as u64).rev().collect()).unwrap();
    let embedding = values(V, D, 0.3, setting.strided).set_requires_grad(true);
    let layer = config.build(&BuildContext {
        counts: Some(&counts),
        embedding: Some(embedding.shallow_clone()),
        compute: setting.compute,
        sparse_gradients: setting.sparse,
        // Of a chunked layer a few rows a chunk.
        workspace_bytes: (setting.compute == Compute::Chunked).then_some(3 * 8 * V as usize),
        ..BuildContext::new(store.root(), V, D, 7)
    });
    let layer = layer.ok()?;
    let targets = Tensor::from_slice(&[0_i64, V - 1, 3, 3, 11, 26, 4]);
    let targets =
        if setting.strided { Tensor::stack(&[&targets, &targets], 1).select(1, 0) } else { targets };
    let hidden = values(N, D, 1.1, setting.strided).set_requires_grad(true);
    let mut held = vec![
        ("targets".to_owned(), targets),
        ("hidden".to_owned(), hidden),
        ("embedding".to_owned(), embedding),
    ];
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|one, other| one.0.cmp(&other.0));
    held.extend(variables);
    Some(Subject { layer, held })
}

impl Subject {
    fn answer(&mut self, answer: Answer) -> Tensor {
        let (targets, hidden) = (&self.held[0].1, &self.held[1].1);
        match answer {
            Answer::Loss => {
                self.layer.loss_with(hidden, targets, &mut generator(7, "in place", 1)).unwrap().into_tensor()
            }
            Answer::LogProb => self.layer.log_prob(hidden, targets).unwrap().into_tensor(),
            Answer::LogProbs => self.layer.log_probs(hidden).unwrap().into_tensor(),
        }
    }

    /// The gradients of all that is held, dense; the change at `changed` comes between the passes.
    fn gradients(&mut self, answer: Answer, changed: Option<usize>) -> Result<Vec<Tensor>, String> {
        let answer = self.answer(answer);
        let upstream = values(1, answer.numel() as i64, 0.7, false).view_as(&answer);
        if let Some(changed) = changed {
            change(&self.held[changed].1);
        }
        (answer * upstream).sum(Kind::Double).f_backward().map_err(|error| error.to_string())?;
        let gradients = self.held.iter().skip(1).map(|(_, held)| held.grad());
        let dense = |gradient: Tensor| match gradient.defined() && gradient.is_sparse() {
            true => gradient.to_dense(None, false),
            false => gradient,
        };
        Ok(gradients.map(dense).collect())
    }
}

/// Other values in the same memory; targets become the next class.
fn change(tensor: &Tensor) {
    let _guard = tch::no_grad_guard();
    let mut tensor = tensor.shallow_clone();
    let other = match tensor.kind() {
        Kind::Int64 => (&tensor + 1).remainder(V),
        _ => &tensor * -0.5 + 0.3,
    };
    tensor.copy_(&other);
}

fn equal(one: &Tensor, other: &Tensor) -> bool {
    one.defined() == other.defined() && (!one.defined() || one == other)
}

#[test]
fn change_between_the_passes_is_an_error_or_changes_nothing() {
    // The tensors are tiny.
    tch::set_num_threads(1);
    let weights = format!("{:?}", (0..V).map(|class| 0.5 + class as f64 / V as f64).collect::<Vec<_>>());
    let (mut noticed, mut harmless, mut wrong) = (0, 0, Vec::new());
    for layer in LAYERS {
        for (at, loss) in LOSSES.iter().enumerate() {
            let config = format!("{layer}\n[loss]\n{}", loss.replace("{weights}", &weights));
            for setting in SETTINGS {
                // Queries do not depend on the options of the loss.
                let answers = if at == 0 {
                    &[Answer::Loss, Answer::LogProb, Answer::LogProbs][..]
                } else {
                    &[Answer::Loss]
                };
                for &answer in answers {
                    let Some(mut subject) = build(&config, setting) else { continue };
                    let expected = subject.gradients(answer, None).unwrap();
                    for changed in 0..subject.held.len() {
                        let mut subject = build(&config, setting).unwrap();
                        match subject.gradients(answer, Some(changed)) {
                            Err(error) => {
                                // Views of one split have a text of their own.
                                let texts = ["modified by an inplace operation", "has been modified inplace"];
                                assert!(texts.iter().any(|text| error.contains(text)), "{error}");
                                noticed += 1;
                            }
                            Ok(gradients) if gradients.iter().zip(&expected).all(|(a, b)| equal(a, b)) => {
                                harmless += 1;
                            }
                            Ok(_) => {
                                let name = &subject.held[changed].0;
                                wrong.push(format!(
                                    "{layer} [{loss}] {setting:?}: {answer:?} with other {name}"
                                ));
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "gradients of other values:\n{}", wrong.join("\n"));
    assert!(noticed > 0 && harmless > 0, "{noticed} changes were noticed, {harmless} were harmless");
}

#[test]
fn layers_of_the_test_are_all_of_the_registry() {
    for entry in lexmax::LAYERS {
        let named = format!("layer = \"{}\"", entry.layer);
        assert!(LAYERS.iter().any(|config| config.starts_with(&named)), "{named} is missing");
    }
}
