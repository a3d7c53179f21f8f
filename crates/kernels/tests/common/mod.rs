//! Problems by seed, and the obvious computation: all logits, then everything else, in f64 or f32.
#![allow(dead_code, clippy::unwrap_used)]

use lexmax_kernels::linear_ce::{Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients};
use lexmax_kernels::seed::generator;
use lexmax_kernels::{Element, LogitTransform};
use rand::RngExt;

/// Owned input of one problem, in f64; f32 inputs are these rounded.
#[derive(Debug, Clone)]
pub struct Problem {
    pub hidden: Vec<f64>,
    pub weight: Vec<f64>,
    pub bias: Option<Vec<f64>>,
    pub targets: Vec<i64>,
    pub class_weights: Option<Vec<f64>>,
    pub row_weights: Vec<f64>,
    pub offset: Option<Vec<f64>>,
    pub upstream: Vec<f64>,
    pub size: usize,
    pub vocab_size: usize,
}

impl Problem {
    /// Hidden states and weights are uniform; logits have a standard deviation of about `spread`.
    /// Numbers are exact in f32.
    pub fn new(seed: u64, rows: usize, size: usize, vocab_size: usize, spread: f64) -> Self {
        let mut rng = generator(seed, "kernel tests", 0);
        let scale = (3.0 * spread / (size as f64).sqrt()).sqrt();
        let mut draw = |len: usize, scale: f64, from: f64| -> Vec<f64> {
            (0..len).map(|_| f64::from(((rng.random::<f64>() - from) * 2.0 * scale) as f32)).collect()
        };
        let hidden = draw(rows * size, scale, 0.5);
        let weight = draw(vocab_size * size, scale, 0.5);
        let bias = draw(vocab_size, 1.0, 0.5);
        let class_weights = draw(vocab_size, 1.0, 0.0);
        let offset = draw(vocab_size, 1.0, 0.5);
        let upstream = draw(rows, 1.0, 0.3);
        let targets = draw(rows, 0.5, 0.0)
            .into_iter()
            .map(|u| ((u * vocab_size as f64) as i64).min(vocab_size as i64 - 1))
            .collect();
        // Some rows have no target of their own.
        let row_weights = draw(rows, 1.0, 0.25).into_iter().map(|weight| weight.max(0.0)).collect();
        Self {
            hidden,
            weight,
            bias: Some(bias),
            targets,
            class_weights: Some(class_weights),
            row_weights,
            offset: Some(offset),
            upstream,
            size,
            vocab_size,
        }
    }

    pub fn linear(&self) -> Linear<'_, f64> {
        Linear {
            hidden: &self.hidden,
            weight: &self.weight,
            bias: self.bias.as_deref(),
            hidden_size: self.size,
        }
    }
}

/// The input in f32.
pub struct Rounded {
    pub hidden: Vec<f32>,
    pub weight: Vec<f32>,
    pub bias: Option<Vec<f32>>,
    pub class_weights: Option<Vec<f32>>,
    pub offset: Option<Vec<f32>>,
    pub upstream: Vec<f32>,
    pub size: usize,
}

impl Rounded {
    pub fn of(problem: &Problem) -> Self {
        let round = |numbers: &Vec<f64>| numbers.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        Self {
            hidden: round(&problem.hidden),
            weight: round(&problem.weight),
            bias: problem.bias.as_ref().map(round),
            class_weights: problem.class_weights.as_ref().map(round),
            offset: problem.offset.as_ref().map(round),
            upstream: round(&problem.upstream),
            size: problem.size,
        }
    }

    pub fn linear(&self) -> Linear<'_, f32> {
        Linear {
            hidden: &self.hidden,
            weight: &self.weight,
            bias: self.bias.as_deref(),
            hidden_size: self.size,
        }
    }
}

/// Losses and gradients of a computation, in f64.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub loss: Vec<f64>,
    pub log_normaliser: Vec<f64>,
    pub target_log_prob: Vec<f64>,
    pub d_hidden: Vec<f64>,
    pub d_weight: Vec<f64>,
    pub d_bias: Vec<f64>,
    /// For the gradients of hidden states, weights and bias, the largest sum of magnitudes of the
    /// terms that one number of them is made of. A gradient that cancels rounds by their measure,
    /// not by its own. Zeros where it is not known.
    pub magnitudes: [f64; 3],
}

/// Every transform of logits, the soft cap with the number that the problems use.
pub const TRANSFORMS: [LogitTransform; 3] =
    [LogitTransform::Identity, LogitTransform::SoftCap(4.0), LogitTransform::Sigsoftmax];

macro_rules! transformed {
    ($name:ident, $kind:ty) => {
        /// Definition of a transform and its derivative, both from the logit before it.
        pub fn $name(transform: LogitTransform, z: $kind) -> ($kind, $kind) {
            match transform {
                LogitTransform::Identity => (z, 1.0),
                LogitTransform::SoftCap(cap) => {
                    let t = (z / cap as $kind).tanh();
                    (cap as $kind * t, 1.0 - t * t)
                }
                LogitTransform::Sigsoftmax => {
                    let log_sigmoid = z.min(0.0) - (-z.abs()).exp().ln_1p();
                    (z + log_sigmoid, 1.0 + 1.0 / (1.0 + z.exp()))
                }
            }
        }
    };
}

transformed!(transformed_f64, f64);
transformed!(transformed_f32, f32);

macro_rules! naive {
    ($name:ident, $kind:ty, $transformed:ident) => {
        /// All logits at once, one obvious loop after the other.
        pub fn $name(
            linear: Linear<'_, $kind>,
            targets: &[i64],
            options: &Options<'_, $kind>,
            upstream: &[$kind],
        ) -> Answer {
            let (rows, vocab, size) = (linear.rows(), linear.vocab_size(), linear.hidden_size);
            let weight_of = |c: usize| options.class_weights.map_or(1.0, |w| w[c]);
            let smoothed = options.smoothed_classes.unwrap_or(vocab) as $kind;
            let (e, gamma) = (options.label_smoothing as $kind, options.focal_gamma as $kind);
            let z_loss = options.z_loss as $kind;
            let temperature = options.temperature as $kind;
            let mut out = Answer {
                loss: vec![0.0; rows],
                log_normaliser: vec![0.0; rows],
                target_log_prob: vec![0.0; rows],
                d_hidden: vec![0.0; rows * size],
                d_weight: vec![0.0; vocab * size],
                d_bias: vec![0.0; vocab],
                magnitudes: [0.0; 3],
            };
            let mut magnitudes = [vec![0.0; rows * size], vec![0.0; vocab * size], vec![0.0; vocab]];
            let mut d_hidden: Vec<$kind> = vec![0.0; rows * size];
            let mut d_weight: Vec<$kind> = vec![0.0; vocab * size];
            let mut d_bias: Vec<$kind> = vec![0.0; vocab];
            for i in (0..rows).filter(|i| Some(targets[*i]) != options.ignore_index) {
                let y = targets[i] as usize;
                let w_y = options.row_weights.map_or(weight_of(y), |weights| weights[i] as $kind);
                let h = &linear.hidden[i * size..(i + 1) * size];
                let mut slope: Vec<$kind> = vec![1.0 / temperature; vocab];
                let z: Vec<$kind> = (0..vocab)
                    .map(|c| {
                        let dot: $kind = h.iter().zip(&linear.weight[c * size..]).map(|(a, b)| a * b).sum();
                        let z = (dot + linear.bias.map_or(0.0, |b| b[c])) / temperature;
                        let (z, own_slope) = $transformed(options.transform, z);
                        slope[c] *= own_slope;
                        z + options.logit_offset.map_or(0.0, |o| o[c])
                    })
                    .collect();
                let max = z.iter().copied().fold(<$kind>::MIN, <$kind>::max);
                let lse = max + z.iter().map(|z| (z - max).exp()).sum::<$kind>().ln();
                let log_p: Vec<$kind> = z.iter().map(|z| z - lse).collect();
                let miss = (-log_p[y].exp_m1()).max(f32::MIN_POSITIVE as $kind);
                let (f, df) = if gamma > 0.0 {
                    (
                        miss.powf(gamma),
                        miss.powf(gamma) - gamma * miss.powf(gamma - 1.0) * log_p[y].exp() * log_p[y],
                    )
                } else {
                    (1.0, 1.0)
                };
                let spread: $kind = (0..vocab).map(|c| weight_of(c) * log_p[c]).sum();
                let total: $kind = (0..vocab).map(weight_of).sum();
                let loss = -(1.0 - e) * w_y * f * log_p[y] - e / smoothed * spread + z_loss * w_y * lse * lse;
                out.loss[i] = f64::from(loss);
                out.log_normaliser[i] = f64::from(lse);
                out.target_log_prob[i] = f64::from(log_p[y]);
                for c in 0..vocab {
                    let p = log_p[c].exp();
                    let one = if c == y { 1.0 } else { 0.0 };
                    let g = (1.0 - e) * w_y * df * (p - one)
                        + e / smoothed * (total * p - weight_of(c))
                        + 2.0 * z_loss * w_y * lse * p;
                    let g = upstream[i] * g * slope[c];
                    let terms = (1.0 - e) * w_y * df.abs() * (p + one)
                        + e / smoothed * (total * p + weight_of(c))
                        + 2.0 * z_loss * w_y * lse.abs() * p;
                    let terms = f64::from(upstream[i] * terms * slope[c]).abs();
                    d_bias[c] += g;
                    magnitudes[2][c] += terms;
                    for d in 0..size {
                        d_hidden[i * size + d] += g * linear.weight[c * size + d];
                        d_weight[c * size + d] += g * h[d];
                        magnitudes[0][i * size + d] += terms * f64::from(linear.weight[c * size + d]).abs();
                        magnitudes[1][c * size + d] += terms * f64::from(h[d]).abs();
                    }
                }
            }
            out.magnitudes = magnitudes.map(|sums| sums.into_iter().fold(0.0, f64::max));
            out.d_hidden = d_hidden.into_iter().map(f64::from).collect();
            out.d_weight = d_weight.into_iter().map(f64::from).collect();
            out.d_bias = d_bias.into_iter().map(f64::from).collect();
            out
        }
    };
}

naive!(naive_f64, f64, transformed_f64);
naive!(naive_f32, f32, transformed_f32);

/// The problems' numbers are of order one. A result far below that, as the gradients of one class
/// alone, is a difference of such numbers, and rounds by their measure.
const ORDINARY: f64 = 0.1;

/// Largest difference, relative to the largest exact number.
pub fn error(got: &[f64], exact: &[f64]) -> f64 {
    error_by(ORDINARY, got, exact)
}

/// Largest difference, relative to the largest exact number or to `magnitude`, whichever is larger.
pub fn error_by(magnitude: f64, got: &[f64], exact: &[f64]) -> f64 {
    assert_eq!(got.len(), exact.len());
    let scale = exact.iter().fold(magnitude.max(ORDINARY), |scale, x| scale.max(x.abs()));
    got.iter().zip(exact).map(|(a, b)| (a - b).abs() / scale).fold(0.0, |m, e| if e <= m { m } else { e })
}

/// Loss and all gradients of one call of the kernel.
pub fn fused<T: Element + Into<f64>>(
    linear: Linear<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: Upstream<'_, T>,
    workspace: &mut Workspace<T>,
) -> Answer {
    let zero = T::default();
    let (mut d_hidden, mut d_weight, mut d_bias) =
        (vec![zero; linear.hidden.len()], vec![zero; linear.weight.len()], vec![zero; linear.vocab_size()]);
    let wanted = Gradients {
        hidden: Some(&mut d_hidden),
        weight: Some(&mut d_weight),
        bias: Some(&mut d_bias),
        accumulate: false,
    };
    let rows = loss_and_gradients(linear, targets, options, upstream, wanted, workspace).unwrap();
    let wide = |numbers: Vec<T>| numbers.into_iter().map(Into::into).collect();
    Answer {
        loss: rows.loss,
        log_normaliser: rows.log_normaliser,
        target_log_prob: rows.target_log_prob,
        d_hidden: wide(d_hidden),
        d_weight: wide(d_weight),
        d_bias: wide(d_bias),
        magnitudes: [0.0; 3],
    }
}
