//! Cost of a layer, counted from its sizes.

use serde::{Deserialize, Serialize};

/// Arithmetic and memory traffic of one call.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Floating-point operations in the matrix products, a multiplication with its addition counted
    /// as 2.
    pub flops: f64,
    /// Bytes of parameters, activations and gradients that must be read or written at least once.
    pub bytes: f64,
}

impl Cost {
    /// A product of `[n, inner]` with `[inner, m]`, elements of `size` bytes: `2 n m inner`
    /// operations, each matrix read or written once.
    pub fn product(n: f64, inner: f64, m: f64, size: f64) -> Self {
        Self { flops: 2.0 * n * inner * m, bytes: size * (n * inner + inner * m + n * m) }
    }

    /// Three times the forward cost: the forward product and the two products of the gradients.
    pub fn with_gradients(self) -> Self {
        self.times(3.0)
    }

    /// The cost of doing it `factor` times.
    pub fn times(self, factor: f64) -> Self {
        Self { flops: self.flops * factor, bytes: self.bytes * factor }
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |sum, cost| sum + cost)
    }
}

/// Cost of one training step and of exact scoring over the same rows, with the number of
/// parameters.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LayerCost {
    /// Loss and all gradients.
    pub train: Cost,
    /// Exact log-probability of one target a row.
    pub eval: Cost,
    /// Trainable parameters.
    pub parameters: u64,
}
