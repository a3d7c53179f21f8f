//! Responsibilities of a mixture's components for every class of a tile, for label smoothing.
//!
//! The `K` components of a token are neighbouring rows. With `e_k = exp(z_kc - max_k)` and
//! `j_k = pi_k / sum_c exp(z_kc - max_k)` a class has `p(c) = sum_k e_k j_k`, and component `k` the
//! share `r_k(c) = e_k j_k / p(c)` in it. Where `p(c)` is too small to be divided by, shares and
//! logarithm come from the logits in log space.

use super::gradient::TileState;
use super::{ROW_MULTIPLE, Shape, Transform};
use crate::element::Element;
use crate::logspace::log_sum_exp;
use crate::simd::{Kernel, Vector};

/// Classes whose shares are summed in `T` before they are added to the rest.
const PARTIAL_SUM: usize = 64;

/// Sweep over one tile that holds logits.
#[derive(Debug)]
pub struct Shares<'a, T> {
    pub(crate) tile: &'a mut [T],
    pub(crate) shape: Shape,
    pub(crate) transform: Transform<'a, T>,
    /// [`TileState::Logits`] or [`TileState::Raw`].
    pub(crate) from: TileState,
    /// Number of components `K`, a divisor of the shape's rows.
    pub(crate) components: usize,
    /// Largest logit of each row, `[padded]`.
    pub(crate) max: &'a [T],
    /// Factor `j_k = pi_k / sum_c exp(z_kc - max_k)` of each row, `[padded]`.
    pub(crate) joint: &'a [T],
    /// Term `log pi_k - log sum_c exp z_kc` of each row, `[rows]`.
    pub(crate) log_joint: &'a [f64],
    /// Class weights `w`, `[classes]`.
    pub(crate) weights: Option<&'a [T]>,
    /// Workspace for the exponentials of one class, `[padded]`.
    pub(crate) exponentials: &'a mut [T],
    /// Workspace for the responsibilities of one class, `[padded]`.
    pub(crate) shares: &'a mut [T],
    pub(crate) wanted: SharesOutput<'a, T>,
}

/// Result that the sweep computes from the responsibilities.
#[derive(Debug)]
pub enum SharesOutput<'a, T> {
    /// Sums over the classes, added to the outputs; the tile keeps its transformed logits.
    Sums {
        /// Workspace, `[padded]`.
        partial: &'a mut [T],
        /// Sum of weighted responsibilities, `sum_c w_c r_k(c)`, `[rows]`.
        shares: &'a mut [f64],
        /// Sum of weighted log-probabilities, `sum_c w_c log p(c)`, one for each token.
        log_probs: &'a mut [f64],
    },
    /// Gradient of the raw logits in place of the tile, without the target's own term:
    /// `(mass_k e_k - spread w_c r_k(c)) f'`.
    Gradient {
        /// Factor of the exponentials, `[padded]`, zero for padding.
        mass: &'a [T],
        /// Factor of the weighted responsibilities, `[padded]`, zero for padding.
        spread: &'a [T],
        /// Gradient of the bias, `[classes]`; sums over this tile's rows are added.
        bias: Option<&'a mut [f64]>,
    },
}

impl<T: Element> Shares<'_, T> {
    /// Probabilities below this are taken from their logarithms: what they are made of may have
    /// lost digits.
    fn least() -> f64 {
        if size_of::<T>() == size_of::<f32>() { 1e-30 } else { 1e-290 }
    }

    /// Fills the shares of one class from its exponentials, and adds up `w log p` where it is asked
    /// for.
    #[inline(always)]
    fn share_out(&mut self, class: usize, weight: f64) {
        let (rows, start) = (self.shape.rows, class * self.shape.stride());
        for (token, first) in (0..rows).step_by(self.components).enumerate() {
            let group = first..first + self.components;
            let mut prob = T::default();
            for row in group.clone() {
                let joint = self.exponentials[row] * self.joint[row];
                self.shares[row] = joint;
                prob = prob + joint;
            }
            let prob = prob.to_f64();
            let log_prob = if prob >= Self::least() {
                let inverse = T::from_f64(1.0 / prob);
                for share in &mut self.shares[group] {
                    *share = *share * inverse;
                }
                if matches!(self.wanted, SharesOutput::Gradient { .. }) { continue } else { prob.ln() }
            } else {
                let offset = self.transform.offset.map_or(0.0, |offset| offset[class].to_f64());
                let logit = |row: usize| self.tile[start + row].to_f64() + offset + self.log_joint[row];
                let log_prob = log_sum_exp(group.clone().map(logit));
                for row in group {
                    // A class that no component gives any probability is shared evenly.
                    let share = match log_prob == f64::NEG_INFINITY {
                        true => 1.0 / self.components as f64,
                        false => (logit(row) - log_prob).exp(),
                    };
                    self.shares[row] = T::from_f64(share);
                }
                log_prob
            };
            if let SharesOutput::Sums { log_probs, .. } = &mut self.wanted
                && weight > 0.0
            {
                log_probs[token] += weight * log_prob;
            }
        }
    }
}

impl<T: Element> Kernel<T> for Shares<'_, T> {
    type Out = ();

    fn check(&self) {
        let Shape { rows, classes } = self.shape;
        let padded = self.shape.padded();
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len() && self.from != TileState::Exponentials);
        assert!(self.components > 0 && rows.is_multiple_of(self.components));
        assert!(self.max.len() >= padded && self.joint.len() >= padded && self.log_joint.len() >= rows);
        assert!(self.exponentials.len() >= padded && self.shares.len() >= padded);
        assert!(self.weights.is_none_or(|weights| weights.len() == classes));
        self.transform.check(classes);
        match &self.wanted {
            SharesOutput::Sums { partial, shares, log_probs } => {
                assert!(partial.len() >= padded && shares.len() >= rows);
                assert!(log_probs.len() >= rows / self.components);
            }
            SharesOutput::Gradient { mass, spread, bias } => {
                assert!(mass.len() >= padded && spread.len() >= padded);
                assert!(bias.as_ref().is_none_or(|bias| bias.len() == classes));
            }
        }
    }

    // The sweep, a class at a time.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let (rows, padded, stride) = (self.shape.rows, self.shape.padded(), self.shape.stride());
        let nothing = T::default();
        self.shares[rows..padded].fill(nothing);
        if let SharesOutput::Sums { partial, .. } = &mut self.wanted {
            partial[..padded].fill(nothing);
        }
        for class in 0..self.shape.classes {
            let weight = self.weights.map_or(1.0, |weights| weights[class].to_f64());
            // SAFETY: `padded <= stride`, rows advance by `LANES` which divides `padded`, and the
            // checks hold, so every register lies in its slice.
            unsafe {
                let row_of = self.tile.as_mut_ptr().add(class * stride);
                for row in (0..padded).step_by(V::LANES) {
                    let mut value = V::load(row_of.add(row));
                    if self.from == TileState::Raw {
                        value = self.transform.apply(value, class);
                        value.store(row_of.add(row));
                    }
                    let below =
                        self.transform.add_offset(value, class).sub(V::load(self.max.as_ptr().add(row)));
                    below.exp().store(self.exponentials.as_mut_ptr().add(row));
                }
            }
            self.share_out(class, weight);
            let factor = T::from_f64(weight);
            match &mut self.wanted {
                SharesOutput::Sums { partial, shares, .. } => {
                    for (sum, share) in partial[..padded].iter_mut().zip(&self.shares[..padded]) {
                        *sum = *sum + factor * *share;
                    }
                    if (class + 1).is_multiple_of(PARTIAL_SUM) || class + 1 == self.shape.classes {
                        for (sum, partial) in shares[..rows].iter_mut().zip(&mut partial[..rows]) {
                            *sum += partial.to_f64();
                            *partial = nothing;
                        }
                    }
                }
                SharesOutput::Gradient { mass, spread, bias } => {
                    // SAFETY: as above.
                    let sum = unsafe {
                        let row_of = self.tile.as_mut_ptr().add(class * stride);
                        let mut sum = V::splat(nothing);
                        for row in (0..padded).step_by(V::LANES) {
                            let value = V::load(row_of.add(row));
                            let share = V::load(self.shares.as_ptr().add(row)).mul(V::splat(factor));
                            let of_all = V::load(self.exponentials.as_ptr().add(row))
                                .mul(V::load(mass.as_ptr().add(row)));
                            let mut result = of_all.sub(share.mul(V::load(spread.as_ptr().add(row))));
                            if !self.transform.is_affine() {
                                result = self.transform.function.times_slope(result, value);
                            }
                            result.store(row_of.add(row));
                            sum = sum.add(result);
                        }
                        sum.sum()
                    };
                    if let Some(bias) = bias {
                        bias[class] += sum;
                    }
                }
            }
        }
    }
}
