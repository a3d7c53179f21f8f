//! A built layer whose parameters are away from zero, and tensors to try it on.

use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::{BuildContext, OutputLayer, Result};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, Kind, Tensor, nn};

use crate::numbers::{Parameters, floats, rows};

/// Numbers in `-scale..scale` without a pattern that a layer could share, f64.
pub fn wave(shape: &[i64], phase: f64, scale: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    ((Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.73 + phase).sin() * scale).view(shape)
}

/// Normal draws of mean zero and standard deviation `scale`, f64.
pub fn normal(rng: &mut Generator, shape: &[i64], scale: f64) -> Tensor {
    draw(shape, || scale * Distribution::<f64>::sample(&StandardNormal, rng))
}

/// Uniform draws from `-scale..scale`, f64.
pub fn uniform(rng: &mut Generator, shape: &[i64], scale: f64) -> Tensor {
    draw(shape, || scale * (2.0 * rng.random::<f64>() - 1.0))
}

fn draw(shape: &[i64], mut next: impl FnMut() -> f64) -> Tensor {
    let values: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| next()).collect();
    Tensor::from_slice(&values).view(shape)
}

/// A layer with its variables.
#[derive(Debug)]
pub struct Built {
    /// The layer.
    pub layer: Box<dyn OutputLayer>,
    /// The store that holds its variables.
    pub store: nn::VarStore,
}

impl Built {
    /// Builds a layer for `[classes, width]` and overwrites its variables by [`wave`]s, the same in
    /// every dtype up to rounding. `build` may set what it wants in the context.
    ///
    /// # Panics
    /// Where the layer cannot be built.
    pub fn new(
        sizes: [i64; 2],
        kind: Kind,
        build: impl FnOnce(&mut BuildContext<'_>) -> Result<Box<dyn OutputLayer>>,
    ) -> Self {
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let mut context = BuildContext::new(store.root(), sizes[0], sizes[1], 7);
        let layer = build(&mut context).unwrap();
        let built = Self { layer, store };
        for (index, (_, variable)) in built.variables().into_iter().enumerate() {
            let values = wave(&variable.size(), 0.37 + index as f64, 0.8).to_kind(kind);
            tch::no_grad(|| variable.shallow_clone().copy_(&values));
        }
        built
    }

    /// Variables by name, in order.
    pub fn variables(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<_> = self.store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Overwrites one variable.
    ///
    /// # Panics
    /// Where there is no such variable, or it has another number of elements.
    pub fn set(&self, name: &str, values: &[f64]) {
        let variable = self.store.variables()[name].shallow_clone();
        let values = Tensor::from_slice(values).view(variable.size().as_slice()).to_kind(variable.kind());
        tch::no_grad(|| variable.shallow_clone().copy_(&values));
    }

    /// The training loss as a tensor.
    ///
    /// # Panics
    /// Where the layer refuses the input.
    pub fn loss(&mut self, hidden: &Tensor, targets: &[i64]) -> Tensor {
        let rng = &mut generator(1, "negatives", 0);
        self.layer.loss_with(hidden, &Tensor::from_slice(targets), rng).unwrap().into_tensor()
    }

    /// The exact log-probabilities of targets.
    ///
    /// # Panics
    /// Where the layer refuses the input.
    pub fn log_prob(&self, hidden: &Tensor, targets: &[i64]) -> Vec<f64> {
        floats(self.layer.log_prob(hidden, &Tensor::from_slice(targets)).unwrap().tensor())
    }

    /// The exact log-probabilities of all classes.
    ///
    /// # Panics
    /// Where the layer refuses the input.
    pub fn log_probs(&self, hidden: &Tensor) -> Tensor {
        self.layer.log_probs(hidden).unwrap().into_tensor()
    }

    /// Parameters as rows of numbers, for an oracle.
    pub fn parameters(&self) -> Parameters {
        self.variables().into_iter().map(|(name, variable)| (name, rows(&variable))).collect()
    }

    /// Names of the variables that one step of plain SGD on a batch does not change, or that have
    /// no gradient.
    ///
    /// # Panics
    /// Where the layer refuses the targets.
    pub fn idle(&mut self, targets: &[i64]) -> Vec<String> {
        let hidden = wave(&[targets.len() as i64, self.layer.hidden_size()], 0.8, 1.0);
        self.loss(&hidden, targets).backward();
        let still = |variable: &Tensor| {
            if !variable.grad().defined() {
                return true;
            }
            let before = variable.detach().copy();
            let step: Tensor = variable.grad() * 0.1;
            let _ = tch::no_grad(|| variable.shallow_clone().subtract_(&step));
            before == *variable
        };
        self.variables().into_iter().filter(|(_, variable)| still(variable)).map(|(name, _)| name).collect()
    }
}
