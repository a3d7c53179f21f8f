//! Lengths of Huffman codes over sorted counts.

/// Code lengths by the two-queue construction (van Leeuwen 1976): merged weights come out in rising
/// order, so the two lightest nodes are always at the heads of the queue of leaves and the queue of
/// merged nodes.
///
/// Nodes are taken in rising order of weight and their parents are made in that order, so a node
/// taken earlier never lies higher: with counts that fall with the id, lengths never fall.
pub(super) fn code_lengths(counts: &[u64]) -> Vec<u32> {
    if counts.len() < 2 {
        return vec![0; counts.len()];
    }
    let merges = counts.len() - 1;
    // u128: the sum of V counts may leave u64.
    let mut weights: Vec<u128> = Vec::with_capacity(merges);
    let mut parent_of_word = vec![0; counts.len()];
    let mut parent_of_merged = vec![0; merges];
    let (mut words_left, mut next_merged) = (counts.len(), 0);
    for merged in 0..merges {
        let mut weight = 0;
        for _ in 0..2 {
            let word = words_left.checked_sub(1).filter(|&word| {
                // On a tie the leaf goes first, which keeps the tree shallow.
                next_merged == merged || u128::from(counts[word]) <= weights[next_merged]
            });
            if let Some(word) = word {
                weight += u128::from(counts[word]);
                parent_of_word[word] = merged;
                words_left = word;
            } else {
                weight += weights[next_merged];
                parent_of_merged[next_merged] = merged;
                next_merged += 1;
            }
        }
        weights.push(weight);
    }
    // Parents are merged later than their children, so one backward pass meets every parent first.
    let mut depths = vec![0_u32; merges];
    for merged in (0..merges - 1).rev() {
        depths[merged] = depths[parent_of_merged[merged]] + 1;
    }
    parent_of_word.into_iter().map(|parent: usize| depths[parent] + 1).collect()
}
