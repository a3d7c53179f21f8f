//! A layer with its optimizer and one batch, and the check of its answers against f64.

use anyhow::{Context, Result, bail, ensure};
use lexmax::kernels::seed::generator;
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, OutputLayer};
use lexmax_optim::{Optimizer, OptimizerConfig, SgdConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::floor::relative;
use crate::{Layer, Sizes, Task, inputs};

/// Rows whose answers are compared with f64.
pub(crate) const CHECKED: i64 = 8;
/// Largest relative deviation of an f32 answer.
pub(crate) const TOLERANCE: f64 = 1e-3;
/// Small, for the parameters must stay what they are over hundreds of steps.
const LEARNING_RATE: f64 = 1e-4;
const SEED: u64 = 1;
const NOT_A_LAYER: &str = "a language model is more than its layer: see `LanguageModel`";

/// One layer, its parameters and one batch.
#[derive(Debug)]
pub struct Subject {
    which: Layer,
    sizes: Sizes,
    layer: Box<dyn OutputLayer>,
    store: nn::VarStore,
    optimizer: Optimizer,
    hidden: Tensor,
    targets: Tensor,
    draws: u64,
}

impl Subject {
    /// Builds the layer, with row-sparse gradients where `task` is a step.
    ///
    /// # Errors
    /// The layer or the optimizer cannot be built.
    pub fn new(which: Layer, task: Task, compute: Compute, sizes: Sizes) -> Result<Self> {
        Self::of_kind(which, task, compute, sizes, Kind::Float)
    }

    fn of_kind(which: Layer, task: Task, compute: Compute, sizes: Sizes, kind: Kind) -> Result<Self> {
        let counts = inputs::counts(sizes.classes)?;
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let mut context = BuildContext::new(store.root(), sizes.classes, sizes.width, SEED);
        context.counts = Some(&counts);
        context.compute = compute;
        context.sparse_gradients = task == Task::Step;
        let layer = which
            .config(sizes.classes)?
            .build(&context)
            .with_context(|| format!("building {which:?} on {sizes:?}"))?;
        let mut variables: Vec<(String, Tensor)> = store.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let optimizer = Optimizer::new(variables, &OptimizerConfig::Sgd(SgdConfig::default()))?;
        let hidden = inputs::hidden(sizes)?.f_to_kind(kind)?;
        let mut subject = Self {
            which,
            sizes,
            layer,
            store,
            optimizer,
            hidden,
            targets: inputs::targets(sizes)?,
            draws: 0,
        };
        subject.clear()?;
        Ok(subject)
    }

    /// Drops all gradients, as before a step.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn clear(&mut self) -> Result<()> {
        self.optimizer.zero_grad()?;
        self.hidden = self.hidden.f_detach()?.f_set_requires_grad(true)?;
        Ok(())
    }

    /// Does the task once.
    ///
    /// # Errors
    /// The layer or the optimizer reports one.
    pub fn run(&mut self, task: Task) -> Result<()> {
        match task {
            Task::LanguageModel => bail!(NOT_A_LAYER),
            Task::Train => self.train(),
            Task::Step => {
                self.train()?;
                Ok(self.optimizer.step(LEARNING_RATE)?)
            }
            Task::Evaluate => {
                let _guard = tch::no_grad_guard();
                std::hint::black_box(self.layer.log_prob(&self.hidden, &self.targets)?);
                Ok(())
            }
            Task::TopTen => {
                let _guard = tch::no_grad_guard();
                std::hint::black_box(self.layer.top_k(&self.hidden, 10)?);
                Ok(())
            }
        }
    }

    fn train(&mut self) -> Result<()> {
        self.draws += 1;
        let mut rng = generator(SEED, "negatives", self.draws);
        self.layer.loss_with(&self.hidden, &self.targets, &mut rng)?.backward()?;
        Ok(())
    }

    /// Bytes of the gradients that are there, of parameters and hidden states.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn gradient_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        let variables = self.store.trainable_variables();
        for variable in variables.iter().chain([&self.hidden]) {
            let gradient = variable.f_grad()?;
            if !gradient.defined() {
                continue;
            }
            let parts = if gradient.is_sparse() {
                vec![gradient.f_internal_values()?, gradient.f_internal_indices()?]
            } else {
                vec![gradient]
            };
            bytes +=
                parts.iter().map(|part| (part.numel() * part.kind().elt_size_in_bytes()) as u64).sum::<u64>();
        }
        Ok(bytes)
    }

    /// Compares the answer on a few rows with the definition: the reference path in f64 with the
    /// same parameters, plain ATen operations that the conformance suite holds to the definitions.
    /// Returns the largest relative deviation, over loss and all gradients where the task trains,
    /// and the parameters after it where it is a step.
    ///
    /// # Errors
    /// The answer is wrong, or a layer reports an error.
    pub fn check(&mut self, task: Task) -> Result<f64> {
        let rows = self.sizes.rows.min(CHECKED);
        let sizes = Sizes { rows, ..self.sizes };
        let mut truth = Self::of_kind(self.which, Task::Train, Compute::Reference, sizes, Kind::Double)?;
        truth.store.copy(&self.store)?;
        let hidden = self.hidden.f_detach()?.f_narrow(0, 0, rows)?.f_contiguous()?;
        let targets = self.targets.f_narrow(0, 0, rows)?.f_contiguous()?;
        let deviation = match task {
            Task::LanguageModel => bail!(NOT_A_LAYER),
            Task::Train | Task::Step => {
                let given = loss_and_gradient(&*self.layer, &hidden, &targets)?;
                let expected = loss_and_gradient(&*truth.layer, &hidden.f_to_kind(Kind::Double)?, &targets)?;
                let of_loss = (given.0 - expected.0).abs() / expected.0.abs().max(f64::MIN_POSITIVE);
                let mut deviation = of_loss.max(relative(&given.1, &expected.1)?);
                deviation = deviation.max(self.off_by_gradients(&truth)?);
                if task == Task::Step {
                    deviation = deviation.max(self.off_after_a_step(&truth)?);
                }
                self.clear()?;
                deviation
            }
            Task::Evaluate | Task::TopTen => {
                let _guard = tch::no_grad_guard();
                let double = hidden.f_to_kind(Kind::Double)?;
                if task == Task::Evaluate {
                    let given = self.layer.log_prob(&hidden, &targets)?.into_tensor();
                    relative(
                        &given.f_to_kind(Kind::Double)?,
                        truth.layer.log_prob(&double, &targets)?.tensor(),
                    )?
                } else {
                    let given = self.layer.top_k(&hidden, 10)?;
                    let dense = truth.layer.log_probs(&double)?.into_tensor();
                    let best = dense.f_topk(10, -1, true, true)?.0;
                    // By value: where two classes are as good as equal, either may come first.
                    let chosen = dense.f_gather(1, &given.ids, false)?;
                    relative(&chosen, &best)?.max(relative(&given.log_probs.f_to_kind(Kind::Double)?, &best)?)
                }
            }
        };
        ensure!(
            deviation < TOLERANCE,
            "{} {}: off from f64 by {deviation}, expected less than {TOLERANCE}",
            self.which.name(),
            task.name()
        );
        Ok(deviation)
    }

    /// The parameters by name, and those of the same layer in f64.
    fn beside<'a>(&self, truth: &'a Self) -> impl Iterator<Item = (Tensor, Tensor)> + use<'a> {
        let (own, others) = (self.store.variables(), truth.store.variables());
        own.into_iter().filter_map(move |(name, own)| Some((own, others.get(&name)?.shallow_clone())))
    }

    /// Largest relative deviation of a parameter's gradient.
    fn off_by_gradients(&self, truth: &Self) -> Result<f64> {
        let mut largest: f64 = 0.0;
        for (own, other) in self.beside(truth) {
            let (given, expected) = (dense(&own.f_grad()?)?, dense(&other.f_grad()?)?);
            if expected.defined() {
                ensure!(given.defined(), "{}: a parameter has no gradient", self.which.name());
                largest = largest.max(relative(&given.f_to_kind(Kind::Double)?, &expected)?);
            }
        }
        Ok(largest)
    }

    /// Takes a step with the gradients that are there, and compares what it changed with the
    /// gradient's own: the relative deviation. Takes it back.
    fn off_after_a_step(&mut self, truth: &Self) -> Result<f64> {
        let _guard = tch::no_grad_guard();
        let before: Vec<(String, Tensor)> =
            self.store.variables().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        // A large one: differences of f32 numbers keep few digits of a small one.
        self.optimizer.step(1.0)?;
        let (after, others) = (self.store.variables(), truth.store.variables());
        let mut largest: f64 = 0.0;
        for (name, before) in before {
            let (Some(after), Some(other)) = (after.get(&name), others.get(&name)) else { continue };
            let gradient = dense(&other.f_grad()?)?;
            if gradient.defined() {
                let moved = before.f_to_kind(Kind::Double)?.f_sub(&after.f_to_kind(Kind::Double)?)?;
                // Rounding of the parameters themselves, where the gradient is smaller than that.
                let rounding = f64::from(f32::EPSILON) * before.f_norm()?.f_double_value(&[])?;
                let off = moved.f_sub(&gradient)?.f_norm()?.f_double_value(&[])? - rounding;
                largest = largest.max(off / gradient.f_norm()?.f_double_value(&[])?.max(f64::MIN_POSITIVE));
            }
            after.shallow_clone().f_copy_(&before)?;
        }
        Ok(largest)
    }
}

/// A gradient in the dense layout; undefined where there is none.
fn dense(gradient: &Tensor) -> Result<Tensor> {
    if gradient.defined() && gradient.is_sparse() {
        return Ok(gradient.f_to_dense(None::<Kind>, false)?);
    }
    Ok(gradient.shallow_clone())
}

/// Loss and gradient of the hidden states, in f64, with one set of draws for every caller.
fn loss_and_gradient(layer: &dyn OutputLayer, hidden: &Tensor, targets: &Tensor) -> Result<(f64, Tensor)> {
    let hidden = hidden.f_detach()?.f_set_requires_grad(true)?;
    let loss = layer.loss_with(&hidden, targets, &mut generator(SEED, "check", 0))?;
    loss.backward()?;
    Ok((loss.value()?, hidden.f_grad()?.f_to_kind(Kind::Double)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SIZES: Sizes = Sizes { rows: 12, width: 8, classes: 2500 };

    #[test]
    fn every_layer_is_right_on_both_paths_and_a_wrong_one_is_seen() {
        for layer in Layer::ALL {
            for task in [Task::Train, Task::Step, Task::Evaluate, Task::TopTen] {
                for compute in [Compute::Fastest, Compute::Reference] {
                    let mut subject = Subject::new(layer, task, compute, SIZES).unwrap();
                    subject.run(task).unwrap();
                    subject.clear().unwrap();
                    let deviation = subject.check(task).unwrap();
                    assert!(deviation < 1e-4, "{layer:?} {task:?} {compute:?}: {deviation}");
                }
            }
        }
        // An optimizer that takes another step than gradient descent.
        let mut subject = Subject::new(Layer::Full, Task::Step, Compute::Fastest, SIZES).unwrap();
        let adagrad = OptimizerConfig::Adagrad(lexmax_optim::AdagradConfig::default());
        subject.optimizer =
            Optimizer::new(subject.store.variables().into_iter().collect(), &adagrad).unwrap();
        let error = subject.check(Task::Step).unwrap_err().to_string();
        assert!(error.contains("full step: off from f64"), "{error}");
        // A layer whose answer is not what its parameters say.
        let mut subject = Subject::new(Layer::Full, Task::Evaluate, Compute::Fastest, SIZES).unwrap();
        let other = Subject::new(Layer::Full, Task::Evaluate, Compute::Fastest, SIZES).unwrap();
        tch::no_grad(|| {
            for mut variable in subject.store.trainable_variables() {
                let _ = variable.f_add_scalar_(0.25).unwrap().f_mul_scalar_(1.5).unwrap();
            }
        });
        subject.layer = other.layer;
        let error = subject.check(Task::Evaluate).unwrap_err().to_string();
        assert!(error.contains("full evaluate: off from f64"), "{error}");
    }

    #[test]
    fn gradients_are_counted() {
        let mut subject = Subject::new(Layer::Full, Task::Train, Compute::Fastest, SIZES).unwrap();
        assert_eq!(subject.gradient_bytes().unwrap(), 0);
        subject.run(Task::Train).unwrap();
        // Weight, bias and hidden states.
        assert_eq!(subject.gradient_bytes().unwrap(), 4 * (2500 * 8 + 2500 + 12 * 8));
    }
}
