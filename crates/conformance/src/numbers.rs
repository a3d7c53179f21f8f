//! Arithmetic of slow f64 oracles, on plain slices: each function is its definition.

use std::collections::HashMap;

use lexmax_kernels::logspace::log_sum_exp;
use tch::{Kind, Tensor};

/// Parameters of a layer as rows of numbers, by name.
pub type Parameters = HashMap<String, Vec<Vec<f64>>>;

/// The elements of a tensor in order, as f64.
pub fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// The rows of a matrix; a vector is one row.
pub fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let width = tensor.size().last().copied().unwrap() as usize;
    floats(tensor).chunks(width).map(<[f64]>::to_vec).collect()
}

/// Whether two slices agree to 1e-12 of each number, or of 1 where that is larger.
pub fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0))
}

/// `W x + b` for one input.
pub fn affine(weight: &[Vec<f64>], bias: Option<&Vec<Vec<f64>>>, input: &[f64]) -> Vec<f64> {
    let product = |row: &Vec<f64>| row.iter().zip(input).map(|(a, b)| a * b).sum::<f64>();
    weight.iter().enumerate().map(|(i, row)| product(row) + bias.map_or(0.0, |bias| bias[0][i])).collect()
}

/// `z_c - log sum_j exp z_j`.
pub fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let normaliser = log_sum_exp(logits.iter().copied());
    logits.iter().map(|logit| logit - normaliser).collect()
}
