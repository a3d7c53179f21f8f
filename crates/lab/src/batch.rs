//! A split cut into streams that are read side by side, a window at a time.

use tch::{Device, Tensor};

use crate::Result;

/// `B` contiguous streams of one token sequence, side by side; what does not fill a row of streams
/// is left out.
///
/// ```
/// use lexmax_lab::batch::Streams;
/// // Two streams, 0 1 2 and 3 4 5; the last token is left out.
/// let streams = Streams::new(&[0, 1, 2, 3, 4, 5, 6], 2).ok_or("too short")?;
/// let window = streams.window(0, 35, tch::Device::Cpu)?;
/// assert_eq!(window.inputs, tch::Tensor::from_slice(&[0_i64, 3, 1, 4]).view([2, 2]));
/// assert_eq!(window.targets, tch::Tensor::from_slice(&[1_i64, 4, 2, 5]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    tokens: &'a [u32],
    batch: usize,
    length: usize,
}

/// Inputs and the tokens that follow them.
#[derive(Debug)]
pub struct Window {
    /// Input ids `[T, B]`, i64.
    pub inputs: Tensor,
    /// Target ids `[T B]`, i64, in the order of the flattened inputs.
    pub targets: Tensor,
    /// Rows of the window, `T`.
    pub rows: usize,
}

impl<'a> Streams<'a> {
    /// Cuts `tokens` into `batch` streams; `None` where they are too few for streams of at least 2
    /// tokens.
    pub fn new(tokens: &'a [u32], batch: usize) -> Option<Self> {
        let length = tokens.len().checked_div(batch)?;
        (length >= 2).then_some(Self { tokens, batch, length })
    }

    /// Streams side by side, `B`.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Rows that have a target: one less than a stream's length.
    pub fn rows(&self) -> usize {
        self.length - 1
    }

    /// Tokens with a target in one pass.
    pub fn targets_per_pass(&self) -> usize {
        self.rows() * self.batch
    }

    /// Positions, in the token sequence, of the targets of rows `from..to`, in the order of
    /// [`Window::targets`].
    pub fn target_positions(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let Self { batch, length, .. } = *self;
        (from..to).flat_map(move |row| (0..batch).map(move |stream| stream * length + row + 1))
    }

    /// Targets of rows `from..to`, in the order of [`Window::targets`].
    pub fn targets(&self, from: usize, to: usize) -> impl Iterator<Item = u32> {
        let tokens = self.tokens;
        self.target_positions(from, to).map(move |at| tokens[at])
    }

    /// The window that starts at `row`, at most `most` rows long; the last one of a pass may be
    /// shorter.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn window(&self, row: usize, most: usize, device: Device) -> Result<Window> {
        let to = row.saturating_add(most).min(self.rows());
        let rows = to.saturating_sub(row);
        let targets: Vec<i64> = self.targets(row, to).map(i64::from).collect();
        let inputs: Vec<i64> =
            self.target_positions(row, to).map(|at| i64::from(self.tokens[at - 1])).collect();
        let shape = [rows as i64, self.batch as i64];
        Ok(Window {
            inputs: Tensor::f_from_slice(&inputs)?.f_view(shape)?.f_to(device)?,
            targets: Tensor::f_from_slice(&targets)?.f_to(device)?,
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_are_those_of_the_word_language_model() {
        // Streams 0..5, 5..10, 10..15; tokens 15 and 16 are left out. Windows of 3 rows, then the
        // last of 1.
        let tokens: Vec<u32> = (0..17).collect();
        let streams = Streams::new(&tokens, 3).unwrap();
        assert_eq!((streams.rows(), streams.targets_per_pass()), (4, 12));
        let first = streams.window(0, 3, Device::Cpu).unwrap();
        let inputs = Tensor::from_slice(&[0_i64, 5, 10, 1, 6, 11, 2, 7, 12]).view([3, 3]);
        assert_eq!(first.inputs, inputs);
        assert_eq!(first.targets, (inputs + 1).view([9]));
        let last = streams.window(3, 3, Device::Cpu).unwrap();
        assert_eq!(last.rows, 1);
        assert_eq!(last.inputs, Tensor::from_slice(&[3_i64, 8, 13]).view([1, 3]));
        assert_eq!(last.targets, Tensor::from_slice(&[4_i64, 9, 14]));
    }

    proptest! {
        #[test]
        fn every_token_after_the_first_of_a_stream_is_a_target_once(
            tokens in 2_usize..200, batch in 1_usize..20, most in 1_usize..40,
        ) {
            let ids: Vec<u32> = (0..tokens as u32).collect();
            let Some(streams) = Streams::new(&ids, batch) else {
                prop_assert!(tokens / batch < 2);
                return Ok(());
            };
            let mut seen = Vec::new();
            let mut row = 0;
            while row < streams.rows() {
                let window = streams.window(row, most, Device::Cpu).unwrap();
                seen.extend(Vec::<i64>::try_from(&window.targets).unwrap());
                row += window.rows;
            }
            seen.sort_unstable();
            let length = (tokens / batch) as i64;
            let expected: Vec<i64> = (0..length * batch as i64).filter(|id| id % length != 0).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
