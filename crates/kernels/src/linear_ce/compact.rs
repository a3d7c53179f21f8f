//! The kept classes of a block alone: tile, weight, bias and offset gathered, and the weight's
//! gradient spread out again.

use super::buffers::FilterBuffers;
use crate::element::Element;
use crate::product::ProductLibrary;
use crate::tile::{Shape, Transform, product};

impl<T: Element> FilterBuffers<T> {
    /// Moves the kept classes of a tile to its front.
    pub fn compact(&self, tile: &mut [T], shape: Shape) -> Shape {
        let (stride, padded) = (shape.stride(), shape.padded());
        for (to, from) in self.kept.iter().map(|class| *class as usize).enumerate() {
            if to != from {
                tile.copy_within(from * stride..from * stride + padded, to * stride);
            }
        }
        Shape { classes: self.kept.len(), ..shape }
    }

    /// The kept classes' rows of a block's weight.
    pub fn rows_of(&mut self, weight: &[T], size: usize) -> &[T] {
        for (to, class) in self.weight.chunks_exact_mut(size).zip(&self.kept) {
            let from = *class as usize * size;
            to.copy_from_slice(&weight[from..from + size]);
        }
        &self.weight[..self.kept.len() * size]
    }

    /// The weight's gradient of a block from its compacted tile; that of dropped classes is zero.
    pub fn spread_weight_gradient(
        &mut self,
        by: &ProductLibrary,
        out: &mut [T],
        (tile, shape): (&[T], Shape),
        hidden: &[T],
        size: usize,
        add: bool,
    ) {
        let made = &mut self.weight[..shape.classes * size];
        product::weight_gradient(by, made, (tile, shape), hidden, size, false);
        if !add {
            out.fill(T::default());
        }
        for (made, class) in made.chunks_exact(size).zip(&self.kept) {
            let from = *class as usize * size;
            for (out, made) in out[from..from + size].iter_mut().zip(made) {
                *out = *out + *made;
            }
        }
    }
}

/// The transform of the kept classes alone.
pub(super) fn gather_transform<'a, T: Element>(
    kept: &[u32],
    transform: Transform<'_, T>,
    bias: &'a mut [T],
    offset: &'a mut [T],
) -> Transform<'a, T> {
    fn gather<'a, T: Element>(kept: &[u32], from: Option<&[T]>, to: &'a mut [T]) -> Option<&'a [T]> {
        let from = from?;
        for (to, class) in to.iter_mut().zip(kept) {
            *to = from[*class as usize];
        }
        Some(&to[..kept.len()])
    }
    Transform {
        bias: gather(kept, transform.bias, bias),
        offset: gather(kept, transform.offset, offset),
        scale: transform.scale,
        function: transform.function,
    }
}
