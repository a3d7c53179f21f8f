//! Large tensors in pieces that stay in cache while a rule makes several passes over them.

use tch::{Device, Tensor};

use crate::error::Result;

/// Elements of one piece: 512 KiB of `f32`, so that the three or four tensors of a rule share a second-level cache,
/// and enough for libtorch to divide it between threads.
pub(crate) const PIECE: i64 = 1 << 17;

/// Calls `update` with matching flat pieces of `tensors` (all of one shape) in turn; with the tensors themselves
/// where they are small, strided, or not on the CPU (a launch for each piece costs more there than it saves).
pub(crate) fn for_pieces<const K: usize>(
    tensors: [&Tensor; K],
    mut update: impl FnMut([Tensor; K]) -> Result<()>,
) -> Result<()> {
    let whole = |t: &&Tensor| t.device() != Device::Cpu || !t.is_contiguous() || t.numel() <= PIECE as usize;
    if tensors.iter().any(whole) {
        return update(tensors.map(Tensor::shallow_clone));
    }
    let mut pieces = Vec::with_capacity(K);
    for tensor in tensors {
        pieces.push(tensor.f_view(-1)?.f_split(PIECE, 0)?.into_iter());
    }
    while let Ok(matching) = pieces.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>().try_into() {
        update(matching)?;
    }
    Ok(())
}
