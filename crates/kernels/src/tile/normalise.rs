//! First sweep over a tile: transforms the logits, and finds the largest of each row, the sum of
//! exponentials and the logits of targets.

use super::{ROW_MULTIPLE, Shape, Transform};
use crate::element::Element;
use crate::simd::{Kernel, Vector};

/// A row without a target in this block.
pub const NO_TARGET: u32 = u32::MAX;

/// Classes whose exponentials are summed in one register before they are added to the rest: sums of
/// sums keep f32's rounding error small.
const PARTIAL_SUM: usize = 64;

/// Content of a tile after the first sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Exponentials, `exp(z - max of the row in this tile)`.
    Exponentials,
    /// The transformed logits, without the offset.
    Logits,
}

/// One sweep over one tile. Per row and for this tile: `max = max_c z_c`,
/// `sum = sum_c exp(z_c - max)`, and, where class weights `w` are asked for,
/// `weighted = sum_c w_c (z_c - max)`.
#[derive(Debug)]
pub struct Normalise<'a, T> {
    pub(crate) tile: &'a mut [T],
    pub(crate) shape: Shape,
    pub(crate) transform: Transform<'a, T>,
    pub(crate) keep: Keep,
    /// Output `max`, `[padded]`.
    pub(crate) max: &'a mut [T],
    /// Output `sum`, `[padded]`.
    pub(crate) sum: &'a mut [T],
    /// Output `weighted`, `[padded]`, and the class weights, `[classes]` (all one for `None`).
    pub(crate) weighted: Option<(&'a mut [T], Option<&'a [T]>)>,
    /// Index of each row's target in this block or [`NO_TARGET`], `[rows]`, and the output for its
    /// logit, offset included.
    pub(crate) targets: Option<(&'a [u32], &'a mut [T])>,
}

impl<T: Element> Kernel<T> for Normalise<'_, T> {
    type Out = ();

    fn check(&self) {
        let (padded, classes) = (self.shape.padded(), self.shape.classes);
        assert!(padded.is_multiple_of(ROW_MULTIPLE) && self.shape.stride() >= padded);
        assert!(self.tile.len() >= self.shape.len());
        assert!(self.max.len() >= padded && self.sum.len() >= padded);
        self.transform.check(classes);
        if let Some((sums, weights)) = &self.weighted {
            assert!(sums.len() >= padded && weights.is_none_or(|weights| weights.len() == classes));
        }
        if let Some((places, logits)) = &self.targets {
            assert!(places.len() >= self.shape.rows && logits.len() >= self.shape.rows);
        }
    }

    // The sweep, `UNROLL` registers of rows at a time.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const UNROLL: usize>(mut self) {
        let (classes, stride) = (self.shape.classes, self.shape.stride());
        for start in (0..self.shape.padded()).step_by(ROW_MULTIPLE) {
            // SAFETY: `start + ROW_MULTIPLE <= padded <= stride`, and the checks hold, so every
            // register lies in its slice.
            unsafe {
                let max = {
                    let strip = self.tile.as_mut_ptr().add(start);
                    largest::<V, UNROLL>(&self, |class, part| strip.add(class * stride + part * V::LANES))
                };
                for (part, max) in max.iter().enumerate() {
                    max.store(self.max.as_mut_ptr().add(start + part * V::LANES));
                }
                pick_targets(&mut self, start);
                // Taken anew: the tile was read as a slice in between.
                let strip = self.tile.as_mut_ptr().add(start);
                let at = |class: usize, part: usize| strip.add(class * stride + part * V::LANES);
                let mut sums = [V::splat(T::default()); UNROLL];
                let mut weighted_sums = sums;
                for first in (0..classes).step_by(PARTIAL_SUM) {
                    let mut partial = [V::splat(T::default()); UNROLL];
                    let mut weighted_partial = partial;
                    for class in first..classes.min(first + PARTIAL_SUM) {
                        for part in 0..UNROLL {
                            let logit = self.transform.add_offset(V::load(at(class, part)), class);
                            let below = logit.sub(max[part]);
                            let exponential = below.exp();
                            partial[part] = partial[part].add(exponential);
                            if self.keep == Keep::Exponentials {
                                exponential.store(at(class, part));
                            }
                            match self.weighted {
                                Some((_, Some(weights))) => {
                                    let weight = *weights.get_unchecked(class);
                                    // A class of weight zero may have probability zero.
                                    if weight > T::default() {
                                        weighted_partial[part] =
                                            below.mul_add(V::splat(weight), weighted_partial[part]);
                                    }
                                }
                                Some((_, None)) => weighted_partial[part] = weighted_partial[part].add(below),
                                None => {}
                            }
                        }
                    }
                    for part in 0..UNROLL {
                        sums[part] = sums[part].add(partial[part]);
                        weighted_sums[part] = weighted_sums[part].add(weighted_partial[part]);
                    }
                }
                for part in 0..UNROLL {
                    let to = start + part * V::LANES;
                    sums[part].store(self.sum.as_mut_ptr().add(to));
                    if let Some((out, _)) = &mut self.weighted {
                        weighted_sums[part].store(out.as_mut_ptr().add(to));
                    }
                }
            }
        }
    }
}

/// Transforms the strip in place and gives the largest logit of each row, offset included.
///
/// # Safety
/// As [`Kernel::run`]; `at` gives the registers of the strip.
#[inline(always)]
unsafe fn largest<V: Vector<Scalar: Element>, const UNROLL: usize>(
    job: &Normalise<'_, V::Scalar>,
    at: impl Fn(usize, usize) -> *mut V::Scalar,
) -> [V; UNROLL] {
    // SAFETY: as the caller. Starting from the lowest finite number keeps `z - max` defined where
    // all are -infinity.
    unsafe {
        let mut max = [V::splat(V::Scalar::LOWEST); UNROLL];
        let keeps_raw = job.transform.keeps_raw();
        for class in 0..job.shape.classes {
            for (part, max) in max.iter_mut().enumerate() {
                let mut logit = V::load(at(class, part));
                if !keeps_raw {
                    logit = job.transform.apply(logit, class);
                    logit.store(at(class, part));
                }
                *max = max.max(job.transform.add_offset(logit, class));
            }
        }
        max
    }
}

/// Writes out the logits of those rows of the strip whose target is in this block.
fn pick_targets<T: Element>(job: &mut Normalise<'_, T>, start: usize) {
    let Some((places, logits)) = &mut job.targets else { return };
    for row in start..job.shape.rows.min(start + ROW_MULTIPLE) {
        let class = places[row];
        if class != NO_TARGET {
            let class = class as usize;
            let logit = job.tile[class * job.shape.stride() + row];
            logits[row] = job.transform.offset.map_or(logit, |offset| logit + offset[class]);
        }
    }
}
