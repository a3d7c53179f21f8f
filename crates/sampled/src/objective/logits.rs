//! Logits of targets and negatives, their correction, and the negatives that a row leaves out.

use lexmax_output::Result;
use lexmax_output::dense::wide_kind;
use tch::{Kind, Tensor};

use super::Scored;
use crate::negatives::Negatives;

/// Logits of the rows' targets, `[N]`, and of their negatives, `[N, S]`, at least in f32.
#[derive(Debug)]
pub struct Logits {
    /// Logits of the targets, `[N]`.
    pub target: Tensor,
    /// Logits of the negatives, `[N, S]`.
    pub negative: Tensor,
}

impl Logits {
    /// `z = w . h + b` for targets and negatives. One gather of the weight rows serves both, so
    /// that its gradient is scattered into one `[V, D]`, not two.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(scored: &Scored<'_>, negatives: &Negatives) -> Result<Self> {
        let (hidden, rows) = (scored.hidden, scored.targets.size()[0]);
        let samples = negatives.ids.size().last().copied().unwrap_or(0);
        let gathered = if negatives.in_batch {
            scored.targets.shallow_clone()
        } else {
            Tensor::f_cat(&[scored.targets, &negatives.ids.f_view([-1])?], 0)?
        };
        let of_targets = |all: &Tensor| all.f_narrow(0, 0, rows);
        let of_negatives = |all: &Tensor| match negatives.in_batch {
            true => Ok(all.shallow_clone()),
            false => all.f_narrow(0, rows, all.size()[0] - rows),
        };
        let weight = scored.weight.f_index_select(0, &gathered)?;
        let bias = scored.bias.map(|bias| bias.f_index_select(0, &gathered)).transpose()?;

        let mut target = hidden.f_mul(&of_targets(&weight)?)?.f_sum_dim_intlist(
            [-1_i64].as_slice(),
            false,
            None::<Kind>,
        )?;
        if let Some(bias) = &bias {
            target = target.f_add(&of_targets(bias)?)?;
        }
        let bias = bias.as_ref().map(of_negatives).transpose()?;
        let negative = if negatives.per_row() {
            let weight = of_negatives(&weight)?.f_view([rows, samples, hidden.size()[1]])?;
            let logits = weight.f_bmm(&hidden.f_unsqueeze(2)?)?.f_squeeze_dim(2)?;
            match bias {
                Some(bias) => logits.f_add(&bias.f_view([rows, samples])?)?,
                None => logits,
            }
        } else {
            hidden.f_linear(&of_negatives(&weight)?, bias.as_ref())?
        };
        let kind = wide_kind(hidden.kind());
        Ok(Self { target: target.f_to_kind(kind)?, negative: negative.f_to_kind(kind)? })
    }

    /// Subtracts the logarithm of the expected count from each logit, the target's included.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn corrected(&self, negatives: &Negatives) -> Result<Self> {
        let kind = self.target.kind();
        Ok(Self {
            target: self.target.f_sub(&negatives.target_log_expected_count.f_to_kind(kind)?)?,
            negative: self.negative.f_sub(&negatives.log_expected_count.f_to_kind(kind)?)?,
        })
    }

    /// Gives the masked negatives, `[N, S]`, a logit so low that their weight is exactly zero. It
    /// is finite: an infinite one turns to NaN as soon as something multiplies it by zero.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn without(&self, masked: Option<&Tensor>) -> Result<Self> {
        let negative = match masked {
            None => self.negative.shallow_clone(),
            Some(masked) => {
                let lowest =
                    if self.negative.kind() == Kind::Double { f64::MIN } else { f64::from(f32::MIN) };
                // Half of it leaves room for the differences that an objective takes.
                self.negative.f_masked_fill(masked, lowest / 2.0)?
            }
        };
        Ok(Self { target: self.target.shallow_clone(), negative })
    }
}

/// The negatives that rows leave out, `[N, S]`, bool: accidental hits where they are removed, and
/// in-batch always the row's own target.
///
/// # Errors
/// Shapes that do not fit.
pub fn left_out(
    targets: &Tensor,
    negatives: &Negatives,
    remove_accidental_hits: bool,
) -> Result<Option<Tensor>> {
    if remove_accidental_hits {
        // In-batch this covers the row's own target too.
        return Ok(Some(targets.f_unsqueeze(1)?.f_eq_tensor(&negatives.ids)?));
    }
    if negatives.in_batch {
        let rows = targets.size()[0];
        return Ok(Some(Tensor::f_eye(rows, (Kind::Bool, targets.device()))?));
    }
    Ok(None)
}
