//! A layer under test with parameters, hidden states and targets to test it on.

use std::cell::Cell;

use lexmax_kernels::seed::{Generator, generator};
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, Kind, Tensor, nn};

use crate::fused::Compute;
use crate::{BuildContext, LossOptions, OutputLayer, Result, WordCounts};

/// How a layer is built for a case.
pub type Builder<'a> = dyn Fn(&BuildContext<'_>, LossOptions) -> Result<Box<dyn OutputLayer>> + 'a;

/// One row of the conformance table: a layer with fixed options of its own, tested under every shared option.
pub struct Case<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// Classes; small, since gradients are checked by finite differences.
    pub vocab_size: i64,
    /// Width of hidden states.
    pub hidden_size: i64,
    /// Builds the layer.
    pub build: &'a Builder<'a>,
    /// Shared options that the layer refuses when it is built, each with the written reason.
    pub refuses: &'a [(&'a str, &'a str)],
}

/// A built layer with its variables and a batch.
#[derive(Debug)]
pub struct Subject {
    /// The layer.
    pub layer: Box<dyn OutputLayer>,
    /// Its variables, all drawn from a normal distribution so that no bias hides at zero.
    pub store: nn::VarStore,
    /// Hidden states `[N, D]` that require gradients.
    pub hidden: Tensor,
    /// Targets `[N]`: the most frequent class, the rarest, a repeated one, others.
    pub targets: Tensor,
}

thread_local! {
    /// The path that [`super::check`] is at. A case's builder has no such argument: what is built must not know.
    pub(super) static PATH: Cell<Compute> = const { Cell::new(Compute::Fastest) };
}

thread_local! {
    /// Whether layers are built with row-sparse gradients, beside [`PATH`].
    pub(super) static SPARSE: Cell<bool> = const { Cell::new(false) };
}

/// Puts path, layout of gradients and number of threads back, after a law that failed as well.
pub(super) struct Settings {
    path: Compute,
    threads: i32,
}

impl Settings {
    pub fn keep() -> Self {
        SPARSE.set(false);
        Self { path: PATH.get(), threads: tch::get_num_threads() }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        PATH.set(self.path);
        SPARSE.set(false);
        tch::set_num_threads(self.threads);
    }
}

pub(super) const ROWS: i64 = 11;
pub(super) const SEED: u64 = 20;

impl Case<'_> {
    /// Whether the layer refuses an option.
    pub(super) fn refuses(&self, option: &str) -> bool {
        self.refuses.iter().any(|(name, _)| *name == option)
    }

    /// Zipf-like counts of the classes.
    pub fn counts(&self) -> WordCounts {
        let counts = (0..self.vocab_size).map(|id| (10_000.0 / (id as f64 + 2.7)) as u64 + 1).collect();
        WordCounts::new(counts).expect("falling counts")
    }

    /// Tries to build the layer with the given loss options, on the path under test.
    pub(super) fn try_build(&self, kind: Kind, options: LossOptions) -> Result<Subject> {
        self.build_on(PATH.get(), kind, options)
    }

    /// Tries to build the layer on one path.
    pub(super) fn build_on(&self, path: Compute, kind: Kind, options: LossOptions) -> Result<Subject> {
        self.build_with(SEED, path, kind, options)
    }

    /// Tries to build the layer from a root seed, which its variables do not show: they are drawn anew.
    pub(super) fn build_with(
        &self,
        seed: u64,
        path: Compute,
        kind: Kind,
        options: LossOptions,
    ) -> Result<Subject> {
        let mut store = nn::VarStore::new(Device::Cpu);
        // Drawn in f64 first and cast, so that every element type sees the same numbers.
        store.set_kind(kind);
        let counts = self.counts();
        let mut context = BuildContext::new(store.root(), self.vocab_size, self.hidden_size, seed);
        context.counts = Some(&counts);
        context.compute = path;
        context.sparse_gradients = SPARSE.get();
        let layer = (self.build)(&context, options)?;
        let mut rng = generator(SEED, "conformance/parameters", 0);
        let mut named: Vec<_> = store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, variable) in named {
            let values = normal(&mut rng, &variable.size(), 0.4).to_kind(kind);
            tch::no_grad(|| variable.shallow_clone().copy_(&values));
        }
        let hidden = normal(&mut rng, &[ROWS, self.hidden_size], 1.0).to_kind(kind).set_requires_grad(true);
        let targets = self.targets();
        Ok(Subject { layer, store, hidden, targets })
    }

    /// As [`Case::try_build`], where the build must succeed.
    pub(super) fn subject(&self, kind: Kind, options: LossOptions) -> Subject {
        self.try_build(kind, options).unwrap_or_else(|error| panic!("{}: build failed: {error}", self.name))
    }

    fn targets(&self) -> Tensor {
        let last = self.vocab_size - 1;
        let spread = (0..ROWS).map(|row| match row {
            0 => 0,
            1 => last,
            2 | 3 => last / 2,
            4 => last / 3,
            _ => (row * row * 7 + 1) % self.vocab_size,
        });
        Tensor::from_slice(&spread.collect::<Vec<_>>())
    }
}

impl Subject {
    /// The generator that every loss of a law is computed with: surrogates then draw the same negatives.
    pub(super) fn rng() -> Generator {
        generator(SEED, "negatives", 0)
    }

    /// The loss of the subject's batch.
    pub(super) fn loss(&mut self) -> crate::TrainingLoss {
        let (hidden, targets) = (self.hidden.shallow_clone(), self.targets.shallow_clone());
        self.loss_of(&hidden, &targets)
    }

    /// The loss of another batch.
    pub(super) fn loss_of(&mut self, hidden: &Tensor, targets: &Tensor) -> crate::TrainingLoss {
        self.layer.loss(hidden, targets, &mut Self::rng()).unwrap()
    }

    /// Variables by name, in order.
    pub(super) fn variables(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<_> =
            self.store.variables().into_iter().filter(|(_, variable)| variable.requires_grad()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }
}

/// Normal draws, f64.
pub(super) fn normal(rng: &mut Generator, shape: &[i64], scale: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let values: Vec<f64> =
        (0..count).map(|_| scale * Distribution::<f64>::sample(&StandardNormal, rng)).collect();
    Tensor::from_slice(&values).view(shape)
}

/// Largest absolute difference, in f64.
pub(super) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size(), "shapes differ");
    if a.numel() == 0 {
        return 0.0;
    }
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// The gradient of a tensor, dense, whatever its layout; undefined where there is none.
pub fn dense_gradient(tensor: &Tensor) -> Tensor {
    let gradient = tensor.grad();
    if gradient.defined() { to_dense(&gradient) } else { gradient }
}

/// A tensor in the dense layout.
pub(super) fn to_dense(tensor: &Tensor) -> Tensor {
    if tensor.is_sparse() { tensor.to_dense(None, false) } else { tensor.shallow_clone() }
}

/// Largest absolute value, in f64.
pub(super) fn magnitude(a: &Tensor) -> f64 {
    if a.numel() == 0 { 0.0 } else { a.to_kind(Kind::Double).abs().max().double_value(&[]) }
}

/// Distance from one to the next number of an element type.
pub(super) fn epsilon(kind: Kind) -> f64 {
    match kind {
        Kind::Double => f64::EPSILON,
        Kind::Float => f64::from(f32::EPSILON),
        Kind::BFloat16 => 2f64.powi(-7),
        other => panic!("no tolerance for {other:?}"),
    }
}

/// Units of rounding that any law allows half precision. Its answers are rounded once or twice, and more of such units would be nats.
const HALF_ULPS: f64 = 4.0;

/// Asserts that two tensors agree to `ulps` units of rounding of their magnitude.
pub(super) fn assert_close(what: &str, got: &Tensor, expected: &Tensor, kind: Kind, ulps: f64) {
    let ulps = if kind == Kind::BFloat16 { ulps.min(HALF_ULPS) } else { ulps };
    let (error, scale) = (difference(got, expected), magnitude(expected).max(1.0));
    let allowed = ulps * epsilon(kind) * scale;
    assert!(
        error <= allowed,
        "{what} ({kind:?}): differs by {error:.3e}, allowed {allowed:.3e}\n{got}\n{expected}"
    );
}
