//! Trees against their definitions: full, prefix-free, optimal; and the look-up of paths against
//! the paths.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tch::{Device, Tensor};

use super::*;

fn huffman(counts: &[u64]) -> CodeTree {
    CodeTree::huffman(&WordCounts::new(counts.to_vec()).unwrap())
}

/// Falling counts with ties and zeros, not all zero.
fn drawn_counts(most: usize) -> impl Strategy<Value = Vec<u64>> {
    let skewed = (0_u32..20, 0_u64..4).prop_map(|(shift, base)| base << shift);
    prop::collection::vec(skewed, 1..most).prop_map(|mut counts| {
        counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
        counts[0] = counts[0].max(1);
        counts
    })
}

/// Every inner node is reached by one prefix and has both branches, no word lies on the path to
/// another one, the Kraft sum is 1, and nodes are numbered level by level.
fn check_full_and_prefix_free(tree: &CodeTree) {
    let vocab_size = tree.lengths().len();
    let mut branches: BTreeMap<i64, Vec<(Vec<i64>, i64)>> = BTreeMap::new();
    let mut codes = vec![];
    let mut kraft = 0.0;
    for word in 0..vocab_size {
        let path = tree.path(word);
        assert_eq!(path.len(), tree.lengths()[word] as usize);
        kraft += 2_f64.powi(-(path.len() as i32));
        let code: Vec<i64> = path.iter().map(|step| step.code).collect();
        for (depth, step) in path.iter().enumerate() {
            branches.entry(step.node).or_default().push((code[..depth].to_vec(), step.code));
        }
        codes.push(code);
    }
    assert!((kraft - 1.0).abs() < 1e-12, "Kraft sum {kraft}");
    let sorted = codes.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(sorted, "the codes of a canonical tree rise with the id");
    for pair in codes.windows(2) {
        assert!(!pair[1].starts_with(&pair[0]), "{:?} is a prefix of {:?}", pair[0], pair[1]);
    }
    assert_eq!(branches.len(), vocab_size - 1, "inner nodes");
    let mut by_number = vec![];
    for (number, (&node, reached)) in branches.iter().enumerate() {
        assert_eq!(number as i64, node, "nodes are numbered without gaps");
        let prefix = &reached[0].0;
        assert!(reached.iter().all(|(other, _)| other == prefix), "node {node} is reached by two prefixes");
        assert!(
            (0..2).all(|code| reached.iter().any(|&(_, taken)| taken == code)),
            "node {node} has one branch"
        );
        by_number.push((prefix.len(), prefix.clone()));
    }
    assert!(by_number.windows(2).all(|pair| pair[0] < pair[1]), "nodes are numbered level by level");
}

fn cost(counts: &[u64], lengths: &[u32]) -> u128 {
    counts.iter().zip(lengths).map(|(&count, &length)| u128::from(count) * u128::from(length)).sum()
}

/// The least cost over all full binary trees: every sequence of lengths that never falls and has
/// Kraft sum 1.
fn brute_force(counts: &[u64]) -> u128 {
    fn extend(counts: &[u64], lengths: &mut Vec<u32>, free: u64, best: &mut u128) {
        // `free`: unused share of the code space, in units of 2^-16.
        if lengths.len() == counts.len() {
            if free == 0 {
                *best = (*best).min(cost(counts, lengths));
            }
            return;
        }
        for length in lengths.last().copied().unwrap_or(0)..counts.len() as u32 {
            let share = 1_u64 << (16 - length);
            if share <= free {
                lengths.push(length);
                extend(counts, lengths, free - share, best);
                lengths.pop();
            }
        }
    }
    let mut best = u128::MAX;
    extend(counts, &mut vec![], 1 << 16, &mut best);
    best
}

/// The cost of Huffman's algorithm as it is told: merge the two lightest, again and again.
fn merge_the_two_lightest(counts: &[u64]) -> u128 {
    let mut weights: Vec<u128> = counts.iter().map(|&count| count.into()).collect();
    let mut total = 0;
    while weights.len() > 1 {
        weights.sort_unstable_by_key(|&weight| std::cmp::Reverse(weight));
        let merged = weights.pop().unwrap() + weights.pop().unwrap();
        total += merged;
        weights.push(merged);
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn huffman_trees_are_full_and_prefix_free(counts in drawn_counts(80)) {
        check_full_and_prefix_free(&huffman(&counts));
    }

    #[test]
    fn balanced_trees_are_full_and_prefix_free(vocab_size in 1_i64..200) {
        let tree = CodeTree::balanced(vocab_size).unwrap();
        check_full_and_prefix_free(&tree);
        let lengths = tree.lengths();
        prop_assert!(lengths[lengths.len() - 1] - lengths[0] <= 1);
        prop_assert_eq!(tree.depth() as u32, (vocab_size as f64).log2().ceil() as u32);
    }

    #[test]
    fn huffman_is_optimal(counts in drawn_counts(9)) {
        prop_assert_eq!(cost(&counts, huffman(&counts).lengths()), brute_force(&counts));
    }

    #[test]
    fn huffman_costs_what_merging_the_two_lightest_costs(counts in drawn_counts(150)) {
        let tree = huffman(&counts);
        prop_assert_eq!(cost(&counts, tree.lengths()), merge_the_two_lightest(&counts));
    }

    #[test]
    fn looked_up_paths_are_the_paths(counts in drawn_counts(40), picks in prop::collection::vec(0.0..1.0_f64, 0..12)) {
        let tree = huffman(&counts);
        let targets: Vec<i64> = picks.iter().map(|pick| (pick * counts.len() as f64) as i64).collect();
        let steps = Paths::new("test", &tree, Device::Cpu).unwrap().of(&Tensor::from_slice(&targets)).unwrap();
        let mut expected = (vec![], vec![], vec![]);
        for (row, &target) in targets.iter().enumerate() {
            for step in tree.path(target as usize) {
                expected.0.push(row as i64);
                expected.1.push(step.node);
                expected.2.push(1 - 2 * step.code);
            }
        }
        let vec = |tensor: &Tensor| Vec::<i64>::try_from(tensor).unwrap();
        prop_assert_eq!((vec(&steps.rows), vec(&steps.nodes), vec(&steps.signs)), expected);
    }
}

#[test]
fn brute_force_would_reject_a_tree_that_is_not_optimal() {
    let counts = [100, 1, 1, 1];
    assert!(cost(&counts, CodeTree::balanced(4).unwrap().lengths()) > brute_force(&counts));
}

#[test]
fn fibonacci_counts_give_the_deepest_tree_without_overflow() {
    let mut counts = vec![1_u64, 1];
    while let Some(next) = counts[counts.len() - 1].checked_add(counts[counts.len() - 2]) {
        counts.push(next);
    }
    counts.reverse();
    let tree = huffman(&counts);
    assert_eq!(tree.depth(), counts.len() - 1);
    assert_eq!(tree.path(counts.len() - 1).len(), counts.len() - 1);
    let bound =
        1.45 * counts.iter().map(|&count| count as f64).sum::<f64>().log2() + (counts.len() as f64).log2();
    assert!((tree.depth() as f64) <= bound, "the documented bound on the depth");
}

#[test]
fn sums_beyond_64_bits_and_zero_counts_are_weighed_right() {
    assert_eq!(huffman(&[u64::MAX; 4]).lengths(), [2, 2, 2, 2]);
    // The zeros are merged as a shallow tree of their own, not as a chain.
    assert_eq!(huffman(&[5, 0, 0, 0, 0]).lengths(), [1, 3, 3, 3, 3]);
}

#[test]
fn a_vocabulary_of_one_word_has_an_empty_path() {
    assert!(huffman(&[3]).path(0).is_empty());
    assert!(CodeTree::balanced(1).unwrap().path(0).is_empty());
    assert!(CodeTree::balanced(0).unwrap_err().to_string().contains("vocab_size is 0"));
}

#[test]
fn mean_length_weighs_by_counts_where_there_are_any() {
    let counts = WordCounts::new(vec![6, 1, 1]).unwrap();
    let tree = CodeTree::huffman(&counts);
    assert_eq!(tree.mean_length(Some(&counts)), 10.0 / 8.0);
    assert_eq!(tree.mean_length(None), 5.0 / 3.0);
}
