//! Parts of matrices for threads to write: rows in another order than they lie in, and the front of
//! what is left.

/// The rows of `matrix`, `size` elements each, in the order of their numbers; a number out of range
/// or named before is passed over.
///
/// Threads that write scattered rows then need no shared pointer: each gets the slices of its own
/// rows.
pub(crate) fn in_order<T>(
    matrix: &mut [T],
    size: usize,
    order: impl Iterator<Item = usize>,
) -> impl Iterator<Item = &mut [T]> {
    let mut rows: Vec<Option<&mut [T]>> = matrix.chunks_exact_mut(size.max(1)).map(Some).collect();
    order.filter_map(move |row| rows.get_mut(row)?.take())
}

/// Takes the first `len` off a slice.
pub(crate) fn split<'a, N>(from: &mut &'a mut [N], len: usize) -> &'a mut [N] {
    let (now, later) = std::mem::take(from).split_at_mut(len);
    *from = later;
    now
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn rows_come_in_the_order_asked_for_and_each_once() {
        let mut matrix = [0, 1, 10, 11, 20, 21];
        let rows: Vec<_> = in_order(&mut matrix, 2, [2, 0, 2, 9, 1].into_iter()).collect();
        assert_eq!(rows, [[20, 21], [0, 1], [10, 11]]);
    }
}
