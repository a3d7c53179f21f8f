//! Loss of each row and the factors of its gradient, from the sums of a chunk: the formulas of
//! `lexmax_kernels::linear_ce::Options`, for rows on any device.

use tch::{Device, Kind, Tensor};

use super::softmax::{ClassWeights, GradientFactors, RowSums, exponentials, gradient};
use super::{ChunkMemory, LinearChunks};
use crate::fused::Gradients;
use crate::{Linear, Result};

/// Options of a row's loss.
///
/// With class weights `w`, the weight `u` of the row's target, smoothing `e` over `V` classes and
/// `p = softmax(z)`, a row costs
///
/// `l = -(1 - e) u (1 - p_y)^gamma log p_y - e/V sum_c w_c log p_c + z_loss u (log sum_c exp
/// z_c)^2`.
///
/// A linear layer that is one part of a larger distribution gets its share of the whole loss by the
/// weights of its rows and the `V` of the whole. All tensors are f32 for half precision.
#[derive(Debug, Default)]
pub struct RowLoss {
    /// Label smoothing `e`, in `0..1`.
    pub label_smoothing: f64,
    /// Number of classes `V` of the whole distribution; read with label smoothing alone.
    pub smoothed_classes: i64,
    /// Weights `w` of the classes in the smoothing, `[V]`; one each where not given.
    pub class_weights: Option<Tensor>,
    /// Weight `u` of each row's target, `[M]`; one each where not given. The target of a row of
    /// weight zero has no effect.
    pub row_weights: Option<Tensor>,
    /// Weight of the squared log-normaliser.
    pub z_loss: f64,
    /// Exponent `gamma` of the focal loss. Not with smoothing.
    pub focal_gamma: f64,
}

/// Losses of the rows, `[M]`, and the gradients of hidden states, weight and bias that were wanted.
#[derive(Debug)]
pub struct Swept {
    /// Loss of each row, `[M]`; f32 for half precision.
    pub losses: Tensor,
    /// Gradients of hidden states, weight and bias.
    pub gradients: Gradients,
}

/// Loss of each row of a softmax over a linear layer, and the wanted gradients of
/// `sum_i upstream_i l_i`, chunk by chunk. Without `upstream` no gradient is made.
///
/// Cost: `2 N D V` operations for the losses, `6 N D V` with gradients. Memory: `memory`, and the
/// gradients.
///
/// # Errors
/// libtorch refused.
pub fn sweep(
    linear: Linear<'_>,
    logit_offset: Option<&Tensor>,
    targets: &Tensor,
    loss: &RowLoss,
    upstream: Option<&Tensor>,
    wanted: [bool; 3],
    memory: ChunkMemory,
) -> Result<Swept> {
    let wanted = wanted.map(|wanted| wanted && upstream.is_some());
    let mut layer = LinearChunks::new(linear, logit_offset, (1, 0), wanted, memory)?;
    let total_weight = loss.total_weight(&linear)?;
    let mut losses = Vec::new();
    for (first, rows) in layer.chunks() {
        let targets = targets.f_narrow(0, first, rows)?;
        let of_chunk = |rows_of: &Tensor| rows_of.f_narrow(0, first, rows);
        let weight = loss.row_weights.as_ref().map(of_chunk).transpose()?;
        let mut logits = layer.logits(first, rows)?;
        let sums = exponentials(&mut logits, &targets, loss.smoothed())?;
        losses.push(loss.loss(&sums, weight.as_ref(), total_weight.as_ref())?);
        let Some(upstream) = upstream.filter(|_| layer.wants_gradients()) else { continue };
        let scale = of_chunk(upstream)?.f_div_scalar(linear.temperature)?;
        let factors = loss.factors(&sums, weight.as_ref(), total_weight.as_ref(), &scale)?;
        gradient(&mut logits, &targets, factors)?;
        layer.add_gradients(first, logits)?;
    }
    let losses = match losses.len() {
        0 => Tensor::f_zeros([0], (crate::dense::wide_kind(linear.weight.kind()), linear.weight.device()))?,
        _ => Tensor::f_cat(&losses, 0)?,
    };
    Ok(Swept { losses, gradients: layer.finish()? })
}

impl RowLoss {
    /// Weights of the smoothing, where there is any.
    fn smoothed(&self) -> Option<ClassWeights<'_>> {
        (self.label_smoothing > 0.0).then_some(self.class_weights.as_ref())
    }

    /// Smoothing of each class, `e / V`.
    fn spread(&self) -> f64 {
        self.label_smoothing / self.smoothed_classes.max(1) as f64
    }

    /// Sum of the smoothing over the classes of this layer, `e/V sum_c w_c`, a number on its
    /// device: reading it would wait for the device.
    fn total_weight(&self, linear: &Linear<'_>) -> Result<Option<Tensor>> {
        let Some(weights) = self.smoothed() else { return Ok(None) };
        let total = match weights {
            Some(weights) => weights.f_sum(None::<Kind>)?,
            None => Tensor::f_full([0_i64; 0], linear.weight.size()[0] as f64, (Kind::Double, Device::Cpu))?,
        };
        Ok(Some(total.f_mul_scalar(self.spread())?))
    }

    /// Loss of each row, `[R]`.
    fn loss(&self, sums: &RowSums, weight: Option<&Tensor>, total: Option<&Tensor>) -> Result<Tensor> {
        let log_prob = &sums.target_log_prob;
        let mut loss = log_prob.f_mul_scalar(self.label_smoothing - 1.0)?;
        if self.focal_gamma > 0.0 {
            loss = loss.f_mul(&focal(log_prob, self.focal_gamma)?.0)?;
        }
        if let Some(weight) = weight {
            // What weighs nothing costs nothing, a target of probability zero too.
            loss = loss.f_mul(weight)?.f_masked_fill(&weight.f_eq(0.0)?, 0.0)?;
        }
        if let (Some(weighted), Some(total)) = (&sums.weighted, total) {
            let of_all = weighted.f_mul_scalar(self.spread())?.f_sub(&sums.log_sum.f_mul(total)?)?;
            loss = loss.f_sub(&of_all)?;
        }
        if self.z_loss > 0.0 {
            let squared = sums.max.f_add(&sums.log_sum)?.f_square()?.f_mul_scalar(self.z_loss)?;
            loss = loss.f_add(&weighted_by(squared, weight)?)?;
        }
        Ok(loss)
    }

    /// Factors of the gradient, each times `scale` `[R]`.
    fn factors(
        &self,
        sums: &RowSums,
        weight: Option<&Tensor>,
        total: Option<&Tensor>,
        scale: &Tensor,
    ) -> Result<GradientFactors<'_>> {
        let mut target = scale.f_mul_scalar(1.0 - self.label_smoothing)?;
        if self.focal_gamma > 0.0 {
            target = target.f_mul(&focal(&sums.target_log_prob, self.focal_gamma)?.1)?;
        }
        let target = weighted_by(target, weight)?;
        let mut mass = target.shallow_clone();
        if let Some(total) = total {
            mass = mass.f_add(&scale.f_mul(total)?)?;
        }
        if self.z_loss > 0.0 {
            let normaliser = sums.max.f_add(&sums.log_sum)?;
            let slope = normaliser.f_mul(scale)?.f_mul_scalar(2.0 * self.z_loss)?;
            mass = mass.f_add(&weighted_by(slope, weight)?)?;
        }
        let spread = match self.smoothed() {
            Some(weights) => Some((scale.f_mul_scalar(self.spread())?, weights)),
            None => None,
        };
        // The exponentials are not divided by their sum.
        Ok(GradientFactors { mass: mass.f_mul(&sums.log_sum.f_neg()?.f_exp()?)?, spread, target })
    }
}

/// Numbers of the rows times the rows' weights.
fn weighted_by(rows: Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
    Ok(match weight {
        Some(weight) => rows.f_mul(weight)?,
        None => rows,
    })
}

/// Focal factor `f = (1 - p)^gamma`, and the derivative of `f log p` with respect to `log p`.
fn focal(log_prob: &Tensor, gamma: f64) -> Result<(Tensor, Tensor)> {
    // -expm1(log p) is 1 - p without cancellation near p = 1; the bound keeps the power's
    // derivative finite there.
    let miss = log_prob.f_expm1()?.f_neg()?.f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
    let factor = miss.f_pow_tensor_scalar(gamma)?;
    // `p log p` is zero where `p` is.
    let finite = log_prob.f_clamp_min(f64::from(f32::MIN))?;
    let entropy = finite.f_exp()?.f_mul(&finite)?.f_mul_scalar(gamma)?;
    let slope = factor.f_sub(&miss.f_pow_tensor_scalar(gamma - 1.0)?.f_mul(&entropy)?)?;
    Ok((factor, slope))
}
