//! Dropout with masks from the run's own generators.

use lexmax_autograd::cpu::slice_mut;
use lexmax_kernels::dropout;
use lexmax_kernels::seed::{Generator, generator};
use tch::{Device, Kind, Tensor};

use crate::Result;

/// Inverted dropout (Srivastava et al. 2014): an element is zeroed with probability `p`, the others
/// are scaled by `1 / (1 - p)`. One value serves one training step; its masks follow from the root
/// seed and the step alone, so a resumed run draws the same ones.
#[derive(Debug)]
pub struct Dropout {
    rng: Generator,
    /// Elements whose 16 random bits fall below this are dropped.
    threshold: u16,
    scale: f32,
}

impl Dropout {
    /// The masks of one step. `p` in `0..1` is rounded to a multiple of 2^-16, and the scale with
    /// it.
    pub fn new(p: f64, seed: u64, step: u64) -> Self {
        let threshold = (p * 65536.0).round().clamp(0.0, 65535.0) as u16;
        let scale = (1.0 / (1.0 - f64::from(threshold) / 65536.0)) as f32;
        Self { rng: generator(seed, "dropout", step), threshold, scale }
    }

    /// Drops elements of a tensor of any shape.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn apply(&mut self, tensor: &Tensor) -> Result<Tensor> {
        if self.threshold == 0 {
            return Ok(tensor.shallow_clone());
        }
        let mut mask = Tensor::f_empty(tensor.size(), (Kind::Float, Device::Cpu))?;
        let threads = lexmax_autograd::threads();
        dropout::fill(&mut self.rng, self.threshold, self.scale, slice_mut(&mut mask)?, threads);
        Ok(tensor.f_mul(&mask.f_to_kind(tensor.kind())?.f_to(tensor.device())?)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_share_dropped_and_the_mean_are_right() {
        let n = 200_000_i64;
        for (p, kind) in [(0.2, Kind::Float), (0.5, Kind::Double)] {
            let dropped = Dropout::new(p, 3, 7).apply(&Tensor::ones([n], (kind, Device::Cpu))).unwrap();
            assert_eq!(dropped.kind(), kind);
            let zeros = n as f64 - dropped.count_nonzero(None::<i64>).double_value(&[]);
            let deviation = (p * (1.0 - p) / n as f64).sqrt();
            assert!((zeros / n as f64 - p).abs() < 5.0 * deviation, "p {p}: share {}", zeros / n as f64);
            let mean = dropped.mean(Kind::Double).double_value(&[]);
            assert!((mean - 1.0).abs() < 5.0 * deviation / (1.0 - p), "p {p}: mean {mean}");
        }
    }

    #[test]
    fn masks_follow_from_seed_and_step() {
        let ones = Tensor::ones([64], (Kind::Float, Device::Cpu));
        let mask = |seed, step| Dropout::new(0.5, seed, step).apply(&ones).unwrap();
        assert_eq!(mask(1, 1), mask(1, 1));
        assert_ne!(mask(1, 1), mask(1, 2));
        assert_ne!(mask(1, 1), mask(2, 1));
        let mut of_step = Dropout::new(0.5, 1, 1);
        assert_ne!(of_step.apply(&ones).unwrap(), of_step.apply(&ones).unwrap());
        assert_eq!(Dropout::new(0.0, 1, 1).apply(&ones).unwrap(), ones);
    }
}
