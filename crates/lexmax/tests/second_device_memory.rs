//! Memory of the chunked path on a device that counts its tensors: beside inputs and gradients no
//! more than the bound, where the reference path takes `[N, V]` several times.
//!
//! In a process of its own, with one test: the device counts for all threads.
#![cfg(all(feature = "full", feature = "adaptive", feature = "mixture"))]
#![allow(clippy::unwrap_used)]

use lexmax::OutputConfig;
use lexmax::output::chunked::ChunkMemory;
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use lexmax_kernels::seed::generator;
use lexmax_second_device::{memory, reset_peak, second_device, set_memory};
use tch::{Device, Kind, Tensor, nn};

const N: i64 = 512;
const V: i64 = 4000;
const D: i64 = 8;
/// Bound of a chunk.
const BOUND: usize = 1 << 20;
/// Bytes of logits `[N, V]` in f32.
const LOGITS: usize = (N * V * 4) as usize;

/// Layers, with the least number of `[N, V]` that their loss takes on the reference path.
const LAYERS: [(&str, usize); 7] = [
    (r#"layer = "full""#, 2),
    ("layer = \"full\"\ntemperature = 1.7\nsoft_cap = 3.0\nz_loss = 0.01\nlogit_adjustment = 1.0", 3),
    ("layer = \"full\"\nfocal_gamma = 2.0", 2),
    (r#"layer = "sigsoftmax""#, 3),
    ("layer = \"adaptive\"\ncutoffs = [400, 1500]\ndiv_value = 2.0\ntail_bias = true", 0),
    ("layer = \"mos\"\ncomponents = 3", 3),
    ("layer = \"mos\"\ncomponents = 1", 2),
];
const LOSSES: [&str; 3] = ["", "reduction = \"none\"", "label_smoothing = 0.1"];

struct Subject {
    layer: Box<dyn OutputLayer>,
    _store: nn::VarStore,
    hidden: Tensor,
    targets: Tensor,
    /// Bytes of all gradients together.
    gradients: usize,
}

fn build(config: &str, compute: Compute, kind: Kind, device: Device) -> Subject {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let mut store = nn::VarStore::new(device);
    store.set_kind(kind);
    let counts = WordCounts::new((1..=V as u64).rev().collect()).unwrap();
    let context = BuildContext {
        compute,
        workspace_bytes: Some(BOUND),
        ..BuildContext::new(store.root(), V, D, 1).with_counts(&counts)
    };
    let layer = config.build(&context).unwrap();
    let values = (Tensor::arange(N * D, (Kind::Double, Device::Cpu)) * 1.7).sin().view([N, D]);
    let hidden = values.to_kind(kind).to_device(device).set_requires_grad(true);
    let targets = (Tensor::arange(N, (Kind::Int64, Device::Cpu)) * 997).remainder(V).to_device(device);
    let parameters = store.trainable_variables().into_iter().map(|tensor| tensor.numel()).sum::<usize>();
    let gradients = (parameters + hidden.numel()) * kind.elt_size_in_bytes();
    Subject { layer, _store: store, hidden, targets, gradients }
}

/// Bytes by which the tensors on the device grew at most in a call.
fn rise(call: impl FnOnce()) -> usize {
    reset_peak();
    let before = memory().held;
    call();
    memory().peak - before
}

impl Subject {
    fn train(&self) {
        let loss = self.layer.loss_with(&self.hidden, &self.targets, &mut generator(1, "draws", 0)).unwrap();
        loss.tensor().sum(None::<Kind>).backward();
    }

    fn query(&self) {
        let _guard = tch::no_grad_guard();
        let _ = self.layer.log_prob(&self.hidden, &self.targets).unwrap();
        let _ = self.layer.top_k(&self.hidden, 3).unwrap();
    }
}

#[test]
fn chunks_stay_within_the_bound_and_the_reference_does_not() {
    let Ok(device) = second_device() else { return };
    // A GPU counts its own.
    let before = memory().peak;
    let probe = Tensor::zeros([8], (Kind::Float, device));
    if memory().peak == before {
        return eprintln!("skipped: the device does not count its tensors");
    }
    drop(probe);

    for (layer, held) in LAYERS {
        for loss in LOSSES {
            // The focal factor is that of one target.
            if layer.contains("focal") && loss.contains("smoothing") {
                continue;
            }
            let config = format!("{layer}\n[loss]\n{loss}");
            for kind in [Kind::Float, Kind::BFloat16] {
                let subject = build(&config, Compute::Chunked, kind, device);
                let train = rise(|| subject.train());
                // Small beside the logits: numbers of the rows, of the classes, and copies of the
                // rows of a cluster. In half precision the weight's gradient is added up in f32.
                let gradients = if kind == Kind::Float { subject.gradients } else { 4 * subject.gradients };
                let small = 16 * 8 * N as usize * 3 + 8 * 8 * V as usize + 4 * 4 * (N * D) as usize;
                let most = BOUND + gradients + small;
                assert!(most < LOGITS / 3, "the test tells the paths apart");
                assert!(train < most, "{config} {kind:?}: {train} bytes, {most} at most");
                let query = rise(|| subject.query());
                assert!(query < most, "{config} {kind:?}: {query} bytes in queries, {most} at most");
            }
            let subject = build(&config, Compute::Reference, Kind::Float, device);
            let train = rise(|| subject.train());
            assert!(train >= held * LOGITS, "{config}: {train} bytes on the reference path");
        }
    }

    // The default follows what the device has free.
    let default = || ChunkMemory::default().bytes(device);
    for (has, expected) in [((2 << 30) - 1, 128), (3 << 30, 256), (100 << 20, 64), (100 << 30, 1024)] {
        set_memory(has);
        assert_eq!(default() >> 20, expected, "of {has} bytes");
    }
    assert_eq!(ChunkMemory::new(Some(5)).bytes(device), 5);
}
