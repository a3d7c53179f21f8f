//! Does the conformance suite notice? Each mutant is the exact softmax with one defect that a
//! published package had (rows of `docs/DEFECTS.md`), and the suite must reject it.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_conformance::{Case, check};
use lexmax_full::{Full, FullConfig};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_output::{
    BuildContext, ComputePath, LayerCost, LogProb, LossOptions, OutputLayer, Reduction, Result, TopK,
    TrainingLoss, sample_from,
};
use tch::{Kind, Tensor};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    /// None: the wrapper alone must pass, or the rest proves nothing.
    None,
    /// Row 7: per-row losses come in the order of clusters.
    ClusterOrder,
    /// Row 8: `log_prob` disagrees with the loss.
    LogProbDisagrees,
    /// Row 9: a parameter that never enters the loss.
    DeadParameter,
    /// Rows 10 and 12: a floor inside the logarithm.
    Floor,
    /// Row 13: the loss has the wrong sign.
    WrongSign,
    /// Row 14: one upstream gradient for all rows.
    SharedUpstream,
    /// Row 15: smoothing over a part of the classes.
    LocalSmoothing,
    /// Row 17: half precision is refused.
    NoHalf,
    /// Row 18: ignored rows count in the mean.
    IgnoredInMean,
    /// Row 20: claims a cost that does not grow with the rows.
    PretendsToSave,
    /// Gives the gradient of the hidden states that it prepared out of hand, so that clipping
    /// changes what a second pass gives.
    LendsItsGradient,
    /// Row 21: draws that depend on the number of threads.
    ThreadedDraws,
    /// Draws for its loss, and does not say so: a loss without a generator would repeat its draws.
    DrawsUnsaid,
    /// Gives draws of rows where hidden states have another leading shape.
    ForgetsTheShape,
    /// Leaves the last row out of the gradients on the chunked path.
    LosesTheLastChunk,
}

#[derive(Debug)]
struct Mutant {
    inner: Full,
    options: LossOptions,
    defect: Defect,
}

impl Mutant {
    fn new(context: &BuildContext<'_>, options: LossOptions, defect: Defect) -> Result<Self> {
        if defect == Defect::DeadParameter {
            let _ = context.weight("dead", 2, 2)?;
        }
        let config = FullConfig { loss: options.clone(), ..FullConfig::default() };
        Ok(Self { inner: Full::new(context, &config)?, options, defect })
    }

    fn local_smoothing(&self, hidden: &Tensor, targets: &Tensor) -> Tensor {
        let dense = self.inner.log_probs(hidden).unwrap().into_tensor();
        let at_target = dense.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1);
        let part = dense.narrow(1, 0, dense.size()[1] / 2).mean_dim([-1_i64].as_slice(), false, None::<Kind>);
        -(at_target * (1.0 - self.options.label_smoothing) + part * self.options.label_smoothing)
    }
}

/// Hands on the loss, and under an upstream gradient of ones gives the hidden states the tensor
/// that it keeps itself.
struct Lender {
    prepared: Tensor,
}

impl Function for Lender {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        Ok(vec![context.input(0)?.f_mul_scalar(1.0)?])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let upstream = context.grad_output(0)?;
        let of_hidden = if upstream.eq(1.0).all().int64_value(&[]) == 1 {
            self.prepared.shallow_clone()
        } else {
            &self.prepared * upstream.unsqueeze(-1)
        };
        Ok(vec![Some(upstream.shallow_clone()), Some(of_hidden)])
    }
}

impl OutputLayer for Mutant {
    fn name(&self) -> &'static str {
        "mutant"
    }
    fn vocab_size(&self) -> i64 {
        self.inner.vocab_size()
    }
    fn hidden_size(&self) -> i64 {
        self.inner.hidden_size()
    }
    fn loss_rows(&self, hidden: &Tensor, targets: &Tensor, rng: &mut Generator) -> Result<TrainingLoss> {
        if self.defect == Defect::LendsItsGradient && hidden.requires_grad() {
            let alone = hidden.detach().set_requires_grad(true);
            let loss = self.inner.loss_rows(&alone, targets, rng)?.into_tensor();
            if !loss.requires_grad() {
                return Ok(TrainingLoss::exact(loss));
            }
            let sum = loss.sum(None::<Kind>);
            let prepared = Tensor::f_run_backward(&[&sum], &[&alone], true, false)?.remove(0);
            let lent = apply(Lender { prepared }, &[Some(&loss), Some(hidden)]).unwrap().remove(0);
            return Ok(TrainingLoss::exact(lent));
        }
        if self.defect == Defect::LosesTheLastChunk && self.compute_path() == ComputePath::Chunked {
            let all = hidden.size()[0] - 1;
            let parts = [hidden.narrow(0, 0, all), hidden.narrow(0, all, 1).detach()];
            return self.inner.loss_rows(&Tensor::cat(&parts, 0), targets, rng);
        }
        let loss = self.inner.loss_rows(hidden, targets, rng)?;
        let by_rows = self.options.reduction == Reduction::None;
        let changed = match self.defect {
            Defect::ClusterOrder if by_rows => loss.tensor().index_select(0, &targets.argsort(0, false)),
            Defect::WrongSign => -loss.tensor(),
            Defect::SharedUpstream if by_rows => {
                // The value of each row with the gradient of their mean.
                loss.tensor().detach()
                    + (loss.tensor().mean(None::<Kind>) - loss.tensor().mean(None::<Kind>).detach())
            }
            Defect::LocalSmoothing if by_rows && self.options.label_smoothing > 0.0 => {
                self.local_smoothing(hidden, targets)
            }
            Defect::NoHalf if hidden.kind() == Kind::BFloat16 => loss.tensor().to_kind(Kind::Float),
            Defect::IgnoredInMean if self.options.reduction == Reduction::Mean => {
                let ignored = self.options.ignore_index.unwrap_or(i64::MIN);
                let counted = targets.ne(ignored).sum(Kind::Int64).int64_value(&[]).max(1);
                loss.tensor() * (counted as f64 / targets.size()[0] as f64)
            }
            Defect::DrawsUnsaid => {
                let of_eight = Tensor::zeros([1, 8], (Kind::Double, hidden.device())).log_softmax(-1, None);
                let drawn = sample_from(&of_eight, rng)?.int64_value(&[0]);
                return Ok(TrainingLoss::surrogate(loss.into_tensor() * (1.0 + drawn as f64)));
            }
            _ => return Ok(loss),
        };
        Ok(TrainingLoss::exact(changed))
    }
    fn log_prob_rows(&self, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        let exact = self.inner.log_prob_rows(hidden, targets)?;
        Ok(match self.defect {
            Defect::LogProbDisagrees => LogProb::from_normalised(exact.into_tensor() - 0.01),
            _ => exact,
        })
    }
    fn log_probs_rows(&self, hidden: &Tensor) -> Result<LogProb> {
        let exact = self.inner.log_probs_rows(hidden)?;
        Ok(match self.defect {
            Defect::Floor => LogProb::from_normalised((exact.into_tensor().exp() + 1e-8).log()),
            _ => exact,
        })
    }
    fn top_k_rows(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.inner.top_k_rows(hidden, k)
    }
    fn sample_rows(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        if self.defect == Defect::ThreadedDraws {
            let mut own = generator(tch::get_num_threads() as u64, "draws", 0);
            return sample_from(self.inner.log_probs_rows(hidden)?.tensor(), &mut own);
        }
        self.inner.sample_rows(hidden, rng)
    }
    fn sample(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        match (self.defect, hidden.dim()) {
            (_, 2) => self.sample_rows(hidden, rng),
            (Defect::ForgetsTheShape, 3) => self.sample_rows(&hidden.flatten(0, 1), rng),
            _ => self.inner.sample(hidden, rng),
        }
    }
    fn compute_path(&self) -> ComputePath {
        self.inner.compute_path()
    }
    fn cost(&self, rows: u64) -> LayerCost {
        self.inner.cost(if self.defect == Defect::PretendsToSave { 1 } else { rows })
    }
}

fn survives(defect: Defect) -> bool {
    let case = Case {
        name: "mutant",
        vocab_size: 23,
        hidden_size: 5,
        build: &|context, loss| Ok(Box::new(Mutant::new(context, loss, defect)?)),
        refuses: &[],
    };
    catch_unwind(AssertUnwindSafe(|| check(&case))).is_ok()
}

#[test]
fn the_wrapper_alone_passes() {
    assert!(survives(Defect::None));
}

#[test]
fn every_mutant_is_caught() {
    let defects = [
        Defect::ClusterOrder,
        Defect::LogProbDisagrees,
        Defect::DeadParameter,
        Defect::Floor,
        Defect::WrongSign,
        Defect::SharedUpstream,
        Defect::LocalSmoothing,
        Defect::NoHalf,
        Defect::IgnoredInMean,
        Defect::PretendsToSave,
        Defect::LendsItsGradient,
        Defect::ThreadedDraws,
        Defect::DrawsUnsaid,
        Defect::ForgetsTheShape,
        Defect::LosesTheLastChunk,
    ];
    for defect in defects {
        assert!(!survives(defect), "the suite did not notice {defect:?}");
    }
}
