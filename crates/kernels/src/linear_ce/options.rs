//! Options of the loss, with the meaning that every layer of the suite gives them.

use super::filter::Filter;
use super::input::Linear;
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::tile::Transform;
use crate::transform::{LogitTransform, check_divisor};

/// Options of the cross-entropy.
///
/// With `z_c = f((W_c h + b_c) / temperature) + offset_c`, where `f` is the transform, class
/// weights `w` (all one where none are given), smoothing `e` and `p = softmax(z)`, row `i` with
/// target `y` costs
///
/// `l_i = -(1 - e) w_y (1 - p_y)^gamma log p_y - e/V sum_c w_c log p_c + z_loss w_y (log sum_c exp
/// z_c)^2`.
///
/// A linear layer that is one part of a larger distribution (the head or a cluster of an adaptive
/// softmax) gets the part's share of the whole loss by [`row_weights`](Self::row_weights) in place
/// of `w_y` and [`smoothed_classes`](Self::smoothed_classes) in place of `V`; `w_c` then weighs the
/// smoothing alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options<'a, T> {
    /// Rows with this target cost nothing and get no gradient; what their hidden states hold does
    /// not matter.
    pub ignore_index: Option<i64>,
    /// Label smoothing `e`, in `0..1`.
    pub label_smoothing: f64,
    /// Class weights `w`, `[V]`, from zero up.
    pub class_weights: Option<&'a [T]>,
    /// Weight of each row's target in place of `w_y`, `[N]`, from zero up; the target of a row of
    /// weight zero has no effect.
    pub row_weights: Option<&'a [f64]>,
    /// Number of classes of the whole distribution in place of `V` in the smoothing, at least `V`.
    pub smoothed_classes: Option<usize>,
    /// Weight of the squared log-normaliser, from zero up (PaLM, 2022, arXiv 2204.02311).
    pub z_loss: f64,
    /// Exponent `gamma` of the focal loss, from zero up (Lin et al. 2017, "Focal Loss for Dense
    /// Object Detection", arXiv 1708.02002). Not with smoothing.
    pub focal_gamma: f64,
    /// Temperature: divides the logits before anything else; above zero.
    pub temperature: f64,
    /// Transform `f` of the logits.
    pub transform: LogitTransform,
    /// Offset added to the logits, `[V]`: `tau log prior` of the logit-adjusted loss (Menon et al.
    /// 2021, arXiv 2007.07314). No gradient.
    pub logit_offset: Option<&'a [T]>,
    /// Filter that drops classes of negligible probability from the gradients. Not with smoothing.
    pub filter: Option<Filter>,
}

impl<T> Default for Options<'_, T> {
    fn default() -> Self {
        Self {
            ignore_index: None,
            label_smoothing: 0.0,
            class_weights: None,
            row_weights: None,
            smoothed_classes: None,
            z_loss: 0.0,
            focal_gamma: 0.0,
            temperature: 1.0,
            transform: LogitTransform::Identity,
            logit_offset: None,
            filter: None,
        }
    }
}

impl<'a, T: Element> Options<'a, T> {
    /// Weight `w_y` of a row with target `class`.
    pub(crate) fn target_weight(&self, row: usize, class: usize) -> f64 {
        match (self.row_weights, self.class_weights) {
            (Some(weights), _) => weights.get(row).copied().unwrap_or(0.0),
            (None, Some(weights)) => weights.get(class).map_or(0.0, |weight| weight.to_f64()),
            (None, None) => 1.0,
        }
    }

    /// The way from raw logits to those of the softmax.
    pub(crate) fn transform(&self, linear: &Linear<'a, T>) -> Transform<'a, T> {
        Transform {
            bias: linear.bias,
            scale: 1.0 / self.temperature,
            function: self.transform,
            offset: self.logit_offset,
        }
    }

    /// Slope of the transform at the logit of a class, offset included.
    pub(crate) fn slope(&self, logit: f64, class: usize) -> f64 {
        let offset =
            self.logit_offset.and_then(|offset| offset.get(class)).map_or(0.0, |offset| offset.to_f64());
        let transformed = logit - offset;
        // Of a target that an offset masks nothing is known.
        if transformed.is_nan() { 1.0 } else { self.transform.slope(transformed) }
    }

    pub(crate) fn check(&self, op: &'static str, vocab_size: usize) -> Result<()> {
        let check = |name, value: f64, fits: bool, expected: &str| {
            if fits && value.is_finite() {
                Ok(())
            } else {
                Err(KernelError::argument(op, name, value, expected))
            }
        };
        let smoothing = self.label_smoothing;
        check("label_smoothing", smoothing, (0.0..1.0).contains(&smoothing), "0 <= label_smoothing < 1")?;
        check("z_loss", self.z_loss, self.z_loss >= 0.0, "a finite number from zero up")?;
        check("focal_gamma", self.focal_gamma, self.focal_gamma >= 0.0, "a finite number from zero up")?;
        check_divisor::<T>(op, "temperature", self.temperature)?;
        self.transform.check::<T>(op)?;
        if self.focal_gamma > 0.0 && smoothing > 0.0 {
            let expected =
                "none beside focal_gamma: the focal factor is that of one target, not of a smoothed one";
            return Err(KernelError::argument(op, "label_smoothing", smoothing, expected));
        }
        self.check_filter(op)?;
        if let Some(weights) = self.class_weights {
            KernelError::check_length(op, "class_weights", weights.len(), vocab_size, "one for each class")?;
            let bad = weights
                .iter()
                .map(|weight| weight.to_f64())
                .find(|weight| !(0.0..f64::INFINITY).contains(weight));
            if let Some(bad) = bad {
                return Err(KernelError::argument(op, "class_weights", bad, "finite weights from zero up"));
            }
        }
        if let Some(classes) = self.smoothed_classes.filter(|classes| *classes < vocab_size) {
            let expected = format!("at least {vocab_size}, the classes of the linear layer");
            return Err(KernelError::argument(op, "smoothed_classes", classes, expected));
        }
        if let Some(offset) = self.logit_offset {
            KernelError::check_length(op, "logit_offset", offset.len(), vocab_size, "one for each class")?;
        }
        Ok(())
    }

    /// The filter, where it can drop anything.
    pub(crate) fn active_filter(&self) -> Option<Filter> {
        self.filter.filter(|filter| filter.eps > 0.0)
    }

    fn check_filter(&self, op: &'static str) -> Result<()> {
        let Some(Filter { eps, .. }) = self.filter else { return Ok(()) };
        if !(0.0..1.0).contains(&eps) {
            return Err(KernelError::argument(op, "filter.eps", eps, "0 <= eps < 1"));
        }
        if self.label_smoothing > 0.0 {
            let expected =
                "none beside a filter: with smoothing every class has a gradient that does not vanish with p";
            return Err(KernelError::argument(op, "label_smoothing", self.label_smoothing, expected));
        }
        Ok(())
    }

    pub(crate) fn check_rows(&self, op: &'static str, rows: usize) -> Result<()> {
        let Some(weights) = self.row_weights else { return Ok(()) };
        KernelError::check_length(op, "row_weights", weights.len(), rows, "one for each row of hidden")?;
        match weights.iter().find(|weight| !(0.0..f64::INFINITY).contains(*weight)) {
            Some(bad) => Err(KernelError::argument(op, "row_weights", bad, "finite weights from zero up")),
            None => Ok(()),
        }
    }
}
