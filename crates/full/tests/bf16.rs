//! Mixed precision of the exact softmax: its error beside that of PyTorch's own bf16 products.
#![allow(clippy::unwrap_used)]

use lexmax_conformance::normal;
use lexmax_full::{Full, FullConfig};
use lexmax_kernels::product::Precision;
use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, OutputLayer};
use tch::{Device, Kind, Tensor, nn};

const ROWS: i64 = 60;
const WIDTH: i64 = 96;
const CLASSES: i64 = 700;

/// Hidden states, weight and targets, the same in every dtype.
struct Batch {
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
}

impl Batch {
    fn new(kind: Kind) -> Self {
        let mut rng = generator(3, "batch", 0);
        let mut leaf = |size: [i64; 2], deviation| {
            // What f32 holds, so that every dtype starts from the same numbers.
            normal(&mut rng, &size, deviation).to_kind(Kind::Float).to_kind(kind).set_requires_grad(true)
        };
        let (hidden, weight) = (leaf([ROWS, WIDTH], 1.0), leaf([CLASSES, WIDTH], 0.2));
        let targets: Vec<i64> = (0..ROWS).map(|row| row * row * 11 % CLASSES).collect();
        Self { hidden, weight, targets: Tensor::from_slice(&targets) }
    }

    /// Gradients of hidden states and weight after the backward pass of a loss, with the loss.
    fn results(&self, loss: &Tensor) -> [Tensor; 3] {
        loss.backward();
        [loss.detach(), self.hidden.grad(), self.weight.grad()].map(|tensor| tensor.to_kind(Kind::Double))
    }
}

/// The loss by plain operations, whose products take operands of some dtype, as under autocast.
fn plain(kind: Kind, products: Kind) -> [Tensor; 3] {
    let batch = Batch::new(kind);
    let logits = batch.hidden.to_kind(products).matmul(&batch.weight.to_kind(products).transpose(0, 1));
    batch.results(&logits.to_kind(kind).cross_entropy_loss::<Tensor>(
        &batch.targets,
        None,
        tch::Reduction::Mean,
        -100,
        0.0,
    ))
}

fn by_layer(precision: Precision) -> [Tensor; 3] {
    let batch = Batch::new(Kind::Float);
    let store = nn::VarStore::new(Device::Cpu);
    let context = BuildContext { precision, ..BuildContext::new(store.root(), CLASSES, WIDTH, 0) };
    let config = FullConfig { bias: false, ..FullConfig::default() };
    let layer = Full::new(&context, &config).unwrap();
    let weight = store.variables().remove("weight").unwrap();
    tch::no_grad(|| weight.shallow_clone().copy_(&batch.weight));
    let loss = layer.loss(&batch.hidden, &batch.targets).unwrap();
    loss.backward().unwrap();
    [loss.into_tensor().detach(), batch.hidden.grad(), weight.grad()]
        .map(|tensor| tensor.to_kind(Kind::Double))
}

/// Norm of the difference over the norm of the truth.
fn error(found: &Tensor, truth: &Tensor) -> f64 {
    (found - truth).norm().double_value(&[]) / truth.norm().double_value(&[])
}

#[test]
fn error_is_within_twice_that_of_autocast_products() {
    let truth = plain(Kind::Double, Kind::Double);
    let (full, mixed) = (by_layer(Precision::Full), by_layer(Precision::Bf16));
    let autocast = plain(Kind::Float, Kind::BFloat16);
    for (at, name) in ["loss", "gradient of hidden", "gradient of weight"].into_iter().enumerate() {
        let [full, mixed, autocast] = [&full, &mixed, &autocast].map(|made| error(&made[at], &truth[at]));
        // The loss of autocast may hit the truth by luck; half a unit of rounding is always
        // allowed.
        let allowed = (2.0 * autocast).max(2f64.powi(-9));
        assert!(mixed <= allowed, "{name}: off by {mixed:.2e}, allowed {allowed:.2e}");
        assert!(mixed > 10.0 * full, "{name}: {mixed:.2e} in bf16 and {full:.2e} in f32: nothing is rounded");
    }
}
