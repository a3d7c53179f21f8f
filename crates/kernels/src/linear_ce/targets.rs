//! The targets' own terms of the gradients, `-t_i` at the target of row `i`: in the tile, or beside
//! products of rounded operands.
//!
//! With operands in bf16 a target's entry must not be one of them. The entries of rare targets are
//! all nearly the same number, one over the batch's size, so they would all be rounded the same
//! way: classes would be pulled up by as much as 0.2 % less than they are pushed down, in every
//! step and along the mean of the hidden states, and a trained model gave frequent classes 6 % too
//! little. The exponentials differ from row to row, and their rounding has no direction.

use std::ops::Range;

use super::buffers::Chunk;
use super::sweep::Call;
use crate::element::Element;
use crate::tile::Shape;
use crate::tile::normalise::NO_TARGET;

/// The rows of a chunk whose target is in the block, and its place there.
pub(crate) fn targets(places: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    places
        .iter()
        .enumerate()
        .filter(|(_, place)| **place != NO_TARGET)
        .map(|(row, place)| (row, *place as usize))
}

impl<T: Element> Call<'_, T> {
    /// Subtracts a target's own term at its place in the tile, where the products take it from
    /// there.
    pub fn subtract_in_tile(&self, tile: &mut [T], shape: Shape, place: usize, row: usize, chunk: &Chunk<T>) {
        if !self.exact_targets {
            let at = place * shape.stride() + row;
            tile[at] = tile[at] - T::from_f64(chunk.target[row]);
        }
    }

    /// Subtracts the targets' own terms from the gradients of a block, where the tile has none of
    /// them: `t_i W_y` from those of the hidden states, `t_i h_i` from those of the block's rows of
    /// the weight.
    pub fn subtract_from_gradients(
        &self,
        places: &[u32],
        chunk: &Chunk<T>,
        classes: &Range<usize>,
        mut d_hidden: Option<&mut [T]>,
        mut d_weight: Option<&mut [T]>,
    ) {
        if !self.exact_targets {
            return;
        }
        let size = self.linear.hidden_size;
        let weight = self.weight(classes);
        let subtract = |sums: &mut [T], factor: T, row: &[T]| {
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum = *sum - factor * *number);
        };
        for (row, class) in targets(places) {
            let factor = T::from_f64(chunk.target[row]);
            let (row, class) = (row * size..(row + 1) * size, class * size..(class + 1) * size);
            if let Some(d_hidden) = &mut d_hidden {
                subtract(&mut d_hidden[row.clone()], factor, &weight[class.clone()]);
            }
            if let Some(d_weight) = &mut d_weight {
                subtract(&mut d_weight[class], factor, &chunk.hidden[row]);
            }
        }
    }
}
