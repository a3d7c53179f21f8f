//! The paths of all words as tensors, so that a batch's paths are looked up in a few operations.

use lexmax_output::{OutputError, Result};
use tch::{Device, Kind, Tensor};

use super::CodeTree;

/// Paths one after the other: 4 bytes a step and 8 a word, about `4 log2 V + 8` bytes a word in
/// all.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Start of each word's path in `steps`, `[V + 1]`, i64.
    offsets: Tensor,
    /// Steps of all paths, `2 node + code` each, i32.
    steps: Tensor,
}

/// The steps of a batch's targets, one after the other: `T` in all.
#[derive(Debug)]
pub(crate) struct BatchSteps {
    /// Row of the batch that each step belongs to, `[T]`, i64.
    pub rows: Tensor,
    /// Inner node of each step, `[T]`, i64.
    pub nodes: Tensor,
    /// 1 where the path takes branch 0, -1 where it takes branch 1, `[T]`, i64.
    pub signs: Tensor,
}

impl Paths {
    pub fn new(layer: &'static str, tree: &CodeTree, device: Device) -> Result<Self> {
        let vocab_size = tree.vocab_size();
        if vocab_size > 1 << 30 {
            let expected = "at most 2^30 words, as a step is kept in 32 bits";
            return Err(OutputError::argument(layer, "vocab_size", vocab_size, expected));
        }
        let total: usize = tree.lengths().iter().map(|&length| length as usize).sum();
        let mut offsets = Vec::with_capacity(tree.lengths().len() + 1);
        let mut steps = Vec::with_capacity(total);
        for word in 0..tree.lengths().len() {
            offsets.push(steps.len() as i64);
            steps.extend(tree.path(word).iter().map(|step| (2 * step.node + step.code) as i32));
        }
        offsets.push(steps.len() as i64);
        let (offsets, steps) = (Tensor::f_from_slice(&offsets)?, Tensor::f_from_slice(&steps)?);
        Ok(Self { offsets: offsets.f_to(device)?, steps: steps.f_to(device)? })
    }

    /// Start of each word's path in the steps, `[V + 1]`, i64.
    pub fn offsets(&self) -> &Tensor {
        &self.offsets
    }

    /// Steps of all paths, `2 node + code` each, i32.
    pub fn steps(&self) -> &Tensor {
        &self.steps
    }

    /// The steps of the targets `[M]`. Nothing is padded: the work is the sum of the paths'
    /// lengths.
    pub fn of(&self, targets: &Tensor) -> Result<BatchSteps> {
        let starts = self.offsets.f_index_select(0, targets)?;
        let lengths = self.offsets.f_index_select(0, &targets.f_add_scalar(1)?)?.f_sub(&starts)?;
        let rows = Tensor::f_repeat_interleave(&lengths, None)?;
        // Step `t` of the batch is step `t - (steps of the rows before)` of its row's path.
        let before = lengths.f_cumsum(0, None::<Kind>)?.f_sub(&lengths)?;
        let shift = starts.f_sub(&before)?.f_index_select(0, &rows)?;
        let positions = Tensor::f_arange(rows.size()[0], (Kind::Int64, targets.device()))?.f_add(&shift)?;
        let steps = self.steps.f_index_select(0, &positions)?.f_to_kind(Kind::Int64)?;
        let codes = steps.f_bitwise_and(1)?;
        let nodes = steps.f_bitwise_right_shift_tensor_scalar(1)?;
        let signs = codes.f_mul_scalar(-2)?.f_add_scalar(1)?;
        Ok(BatchSteps { rows, nodes, signs })
    }
}
