//! Lengths of the paths in a balanced tree.

/// `floor(log2 V)` for the first words, one more for the others: with `2^d <= V < 2^(d+1)`,
/// `V - 2^d` leaves of the perfect tree of depth `d` are split in two.
pub(super) fn code_lengths(vocab_size: usize) -> Vec<u32> {
    let depth = vocab_size.ilog2();
    let long = 2 * (vocab_size - (1 << depth));
    let mut lengths = vec![depth; vocab_size];
    lengths[vocab_size - long..].fill(depth + 1);
    lengths
}
