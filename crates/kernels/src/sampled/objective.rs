//! The objectives: loss and gradient of each row from the logits of its target and its negatives,
//! one tile at a time.

use super::logistic::{Logistic, Weights};
use crate::buffer::held;
use crate::element::Element;
use crate::simd::{Level, dispatch};
use crate::tile::gradient::{Gradient, TileState};
use crate::tile::normalise::{Keep, Normalise};
use crate::tile::{Shape, Transform};

/// Loss over a target `y` and its negatives `s`, from logits `z = w . h + b` and expected counts
/// `E`; `u_c = z_c - log E_c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// `log(1 + sum_s exp(u_s - u_y))`: the softmax over the target and its negatives.
    Softmax,
    /// `log(1 + exp(-u_y)) + sum_s log(1 + exp(u_s))`: target or noise; with bare logits `z` in the
    /// place of `u` where it is not corrected.
    Logistic {
        /// Whether the logarithms of the expected counts are subtracted.
        corrected: bool,
    },
    /// `sum_s (1 / E_s) log(1 + exp(z_s - z_y))`: the target against each negative.
    Pairwise,
}

impl Objective {
    /// Whether logits are corrected by the expected counts.
    fn is_corrected(self) -> bool {
        matches!(self, Self::Softmax | Self::Logistic { corrected: true })
    }

    /// Term added to the logit of a class with this log expected count that occurs `copies` times.
    pub(super) fn shift(self, log_expected: f64, copies: f64) -> f64 {
        let correction = if self.is_corrected() { -log_expected } else { 0.0 };
        // The softmax counts a class by its logit, the others by the weight of its term.
        if self == Self::Softmax { correction + copies.ln() } else { correction }
    }

    /// Weight of the term of a class.
    pub(super) fn weight(self, log_expected: f64, copies: f64) -> f64 {
        match self {
            Self::Softmax => 1.0,
            Self::Logistic { .. } => copies,
            Self::Pairwise => copies * (-log_expected).exp(),
        }
    }
}

/// Raw logits of negatives, `[negatives, rows]`; those that a row leaves out are [`left_out`].
pub(super) struct Tile<'a, T> {
    pub cells: &'a mut [T],
    pub shape: Shape,
    /// `[negatives]`: added to the logits.
    pub shift: Option<&'a [T]>,
    /// Not read by the softmax.
    pub weights: Weights<'a, T>,
    /// `[negatives]`: gets the sums over rows of the gradients added.
    pub bias: Option<&'a mut [f64]>,
}

/// The rows of a tile, `[rows]` each.
pub(super) struct Rows<'a> {
    /// Logits of the targets, already shifted.
    pub target: &'a [f64],
    /// Derivative of the final number by the row's loss; none where only losses are wanted.
    pub upstream: Option<&'a [f64]>,
    pub loss: &'a mut [f64],
    /// Derivative of the final number by the target's logit.
    pub target_gradient: &'a mut [f64],
}

/// Working space for the rows of a tile.
#[derive(Debug, Default)]
pub(super) struct Scratch<T> {
    max: Vec<T>,
    sum: Vec<T>,
    factor: Vec<T>,
    partial: Vec<T>,
    total: Vec<f64>,
}

/// A logit so low that its negative has no weight, far enough above the lowest finite one for the
/// differences that an objective takes.
pub(super) fn left_out<T: Element>() -> T {
    T::LOWEST * T::from_f64(0.5)
}

/// Losses of the rows; where there is an upstream derivative the tile becomes the gradient of its
/// logits.
pub(super) fn sweep<T: Element>(
    objective: Objective,
    level: Level,
    tile: Tile<'_, T>,
    rows: Rows<'_>,
    scratch: &mut Scratch<T>,
) {
    scratch.fit(tile.shape.padded());
    match objective {
        Objective::Softmax => softmax(level, tile, rows, scratch),
        Objective::Logistic { .. } => logistic(level, tile, rows, scratch),
        Objective::Pairwise => pairwise(level, tile, rows, scratch),
    }
}

/// With `L = log sum_s exp u_s` and `m = 1 - p_y = s(L - u_y)`: the loss is
/// `log(1 + exp(L - u_y))`, which keeps its digits where the target wins, the gradient
/// `m exp(u_s - L)` and, of the target, `-m`.
fn softmax<T: Element>(level: Level, tile: Tile<'_, T>, rows: Rows<'_>, scratch: &mut Scratch<T>) {
    let Tile { cells, shape, shift, bias, .. } = tile;
    let transform = Transform { offset: shift, ..Transform::identity() };
    dispatch(
        level,
        Normalise {
            tile: cells,
            shape,
            transform,
            keep: Keep::Exponentials,
            max: &mut scratch.max,
            sum: &mut scratch.sum,
            weighted: None,
            targets: None,
        },
    );
    for row in 0..shape.rows {
        let sum = scratch.sum[row].to_f64();
        let behind = scratch.max[row].to_f64() + sum.ln() - rows.target[row];
        rows.loss[row] = soft_plus(behind);
        if let Some(upstream) = rows.upstream {
            let missing = upstream[row] * logistic_of(behind);
            rows.target_gradient[row] = -missing;
            scratch.factor[row] = T::from_f64(missing / sum);
        }
    }
    if rows.upstream.is_some() {
        dispatch(
            level,
            Gradient {
                tile: cells,
                shape,
                transform: Transform { offset: None, ..transform },
                from: TileState::Exponentials,
                max: &scratch.max,
                mass: &scratch.factor,
                spread: None,
                bias,
            },
        );
    }
}

/// Gradients are `w s(u_s)` and, of the target, `-s(-u_y)`.
fn logistic<T: Element>(level: Level, tile: Tile<'_, T>, rows: Rows<'_>, scratch: &mut Scratch<T>) {
    logistic_terms(level, tile, None, rows.upstream, rows.loss, scratch);
    for (row, target) in rows.target.iter().enumerate() {
        rows.loss[row] += soft_plus(-target);
        if let Some(upstream) = rows.upstream {
            rows.target_gradient[row] = -upstream[row] * logistic_of(-target);
        }
    }
}

/// Gradients are `w s(z_s - z_y)` and, of the target, minus their sum.
fn pairwise<T: Element>(level: Level, tile: Tile<'_, T>, rows: Rows<'_>, scratch: &mut Scratch<T>) {
    logistic_terms(level, tile, Some(rows.target), rows.upstream, rows.loss, scratch);
    if rows.upstream.is_some() {
        for (gradient, total) in rows.target_gradient.iter_mut().zip(&scratch.total) {
            *gradient = -total;
        }
    }
}

/// The sum over negatives that both share.
fn logistic_terms<T: Element>(
    level: Level,
    tile: Tile<'_, T>,
    below: Option<&[f64]>,
    upstream: Option<&[f64]>,
    loss: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let Scratch { max, factor, partial, total, .. } = scratch;
    for (row, below) in below.unwrap_or_default().iter().enumerate() {
        max[row] = T::from_f64(*below);
    }
    for (row, upstream) in upstream.unwrap_or_default().iter().enumerate() {
        factor[row] = T::from_f64(*upstream);
    }
    loss.fill(0.0);
    dispatch(
        level,
        Logistic {
            tile: tile.cells,
            shape: tile.shape,
            shift: tile.shift,
            below: below.map(|_| &max[..]),
            weights: tile.weights,
            factor,
            loss,
            total: &mut total[..tile.shape.rows],
            bias: tile.bias,
            partial,
        },
    );
}

/// Softplus, `log(1 + exp(x))`.
fn soft_plus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Logistic function, `1 / (1 + exp(-x))`.
fn logistic_of(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

impl<T: Element> Scratch<T> {
    /// Sizes the buffers for so many rows, all zero: padding has no gradient.
    fn fit(&mut self, padded: usize) {
        let zero = T::default();
        for numbers in [&mut self.max, &mut self.sum, &mut self.factor] {
            numbers.clear();
            numbers.resize(padded, zero);
        }
        self.partial.resize(2 * padded, zero);
        self.total.clear();
        self.total.resize(padded, 0.0);
    }
}

held!(Scratch { max, sum, factor, partial, total });
