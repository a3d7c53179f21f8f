//! Objectives: the loss of each row from the logits of its target and of its negatives.
//!
//! All of them see the same logits `z = w . h + b` of the target and of `S` negatives ([`logits`])
//! and differ in what they make of them. An accidental hit is a negative that is the row's target;
//! where hits are removed it has the weight zero. What that does to the optimum differs, and each
//! objective says it.

pub mod logits;
pub mod nce;
pub mod negative_sampling;
pub mod one_vs_each;
pub mod sampled_softmax;

use lexmax_output::{OutputError, Result};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::negatives::Negatives;
use logits::Logits;

/// Loss over a target and its negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Softmax over the target and its negatives, logits corrected by the log expected count.
    #[default]
    SampledSoftmax,
    /// Noise-contrastive estimation: is a class the target or noise, logits corrected by the log
    /// expected count.
    Nce,
    /// Negative sampling: is a class the target or noise, logits without the correction, as in
    /// word2vec.
    NegativeSampling,
    /// The pairwise bound: the target against each negative, weighed by one over its expected
    /// count.
    OneVsEach,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Self; 4] = [Self::SampledSoftmax, Self::Nce, Self::NegativeSampling, Self::OneVsEach];
}

/// A batch and the parameters that score it.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a Tensor,
    /// Targets, `[N]`, i64.
    pub targets: &'a Tensor,
    /// Class weight, `[V, D]`.
    pub weight: &'a Tensor,
    /// Class bias, `[V]`.
    pub bias: Option<&'a Tensor>,
}

impl Scored<'_> {
    /// Checks what anyone may have put together.
    fn check(&self) -> Result<()> {
        let op = "scored";
        let shape = |what, given: &Tensor, expected: &str| {
            Err(OutputError::Shape { op, what, given: given.size(), expected: expected.to_owned() })
        };
        if self.targets.dim() != 1 {
            return shape("targets", self.targets, "[N]");
        }
        if self.targets.kind() != Kind::Int64 {
            let (given, expected) = (self.targets.kind(), "Int64".to_owned());
            return Err(OutputError::Kind { op, what: "targets", given, expected });
        }
        let &[vocab_size, width] = self.weight.size().as_slice() else {
            return shape("weight", self.weight, "[V, D]");
        };
        let rows = self.targets.size()[0];
        if self.hidden.size() != [rows, width] {
            return shape("hidden", self.hidden, &format!("[{rows}, {width}]"));
        }
        if let Some(bias) = self.bias.filter(|bias| bias.size() != [vocab_size]) {
            return shape("bias", bias, &format!("[{vocab_size}]"));
        }
        let targets = Vec::<i64>::try_from(self.targets)?;
        match targets.iter().position(|target| !(0..vocab_size).contains(target)) {
            None => Ok(()),
            Some(row) => {
                let (given, or_ignored) = (targets[row], String::new());
                Err(OutputError::Target { op, row: row as i64, given, vocab_size, or_ignored })
            }
        }
    }
}

/// Loss of each row, `[N]`, for given negatives: the whole computation of [`crate::Sampled`]'s
/// training loss but for the drawing and the reduction.
///
/// Reads `N + S` rows of the weight (`N + N S` where every row has its own negatives, `N`
/// in-batch); the gradient of the weight is zero in all others. In half precision the objective is
/// computed in f32 from the product.
///
/// ```
/// use lexmax_sampled::objective::{Scored, loss_rows};
/// use lexmax_sampled::{Negatives, Objective};
/// use tch::{Device, Kind, Tensor};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let options = (Kind::Double, Device::Cpu);
/// let (hidden, weight) = (Tensor::zeros([1, 4], options), Tensor::zeros([9, 4], options));
/// let targets = Tensor::from_slice(&[5_i64]);
/// let ids = Tensor::from_slice(&[0_i64, 5, 7]); // 5 is an accidental hit
/// let negatives = Negatives::new(ids, &Tensor::ones([3], options), &Tensor::ones([1], options))?;
/// let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: None };
/// let loss = loss_rows(Objective::SampledSoftmax, &scored, &negatives, true)?;
/// assert!((loss.double_value(&[0]) - 3_f64.ln()).abs() < 1e-12); // one of 5, 0 and 7, all alike
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Shapes that do not fit; targets or negatives that are no classes of the weight; expected counts
/// that are not finite numbers above zero.
pub fn loss_rows(
    objective: Objective,
    scored: &Scored<'_>,
    negatives: &Negatives,
    remove_accidental_hits: bool,
) -> Result<Tensor> {
    scored.check()?;
    negatives.check_for(scored)?;
    rows_of(objective, scored, negatives, remove_accidental_hits)
}

/// [`loss_rows`] of what is known to fit: the layer checks its batch and draws negatives that do.
pub(crate) fn rows_of(
    objective: Objective,
    scored: &Scored<'_>,
    negatives: &Negatives,
    remove_accidental_hits: bool,
) -> Result<Tensor> {
    let logits = Logits::new(scored, negatives)?;
    let hits = logits::left_out(scored.targets, negatives, remove_accidental_hits)?;
    let rows = match objective {
        Objective::SampledSoftmax => {
            sampled_softmax::rows(&logits.corrected(negatives)?.without(hits.as_ref())?)?
        }
        Objective::Nce => nce::rows(&logits.corrected(negatives)?.without(hits.as_ref())?)?,
        Objective::NegativeSampling => negative_sampling::rows(&logits.without(hits.as_ref())?)?,
        Objective::OneVsEach => one_vs_each::rows(&logits.without(hits.as_ref())?, negatives)?,
    };
    Ok(rows.f_to_kind(scored.hidden.kind())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_objectives_is_whole() {
        // The message names every variant in backquotes, after the empty one that was given.
        let message = serde_json::from_str::<Objective>("\"\"").map_err(|error| error.to_string());
        let message = message.err().unwrap_or_default();
        assert_eq!(message.matches('`').count(), 2 * (1 + Objective::ALL.len()), "{message}");
    }
}
