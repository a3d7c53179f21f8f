//! `huffman` (gensim's tree) and `log_uniform` (TensorFlow's sampler): tables without tensors to
//! train.

use lexmax::hierarchical::tree::CodeTree;
use lexmax::output::WordCounts;
use lexmax::sampled::proposal::{LogUniform, Proposal};

use crate::case::Case;

/// Ties may be merged in another order, so lengths may differ, but the total of counts times
/// lengths may not.
pub fn check_huffman(case: &Case) {
    let mut counts = Vec::<i64>::try_from(&case.get("counts")).unwrap();
    counts.sort_by(|a, b| b.cmp(a));
    let counts = WordCounts::new(counts.iter().map(|&count| count as u64).collect()).unwrap();
    let tree = CodeTree::huffman(&counts);
    let total: u64 =
        tree.lengths().iter().zip(counts.counts()).map(|(&bits, &count)| u64::from(bits) * count).sum();
    assert_eq!(total as i64, case.get("total_bits").int64_value(&[]), "{}: total bits", case.name);
}

pub fn check_log_uniform(case: &Case) {
    let classes = case.options["range_max"].as_i64().unwrap();
    let proposal = LogUniform::new(classes).unwrap();
    let ours: Vec<f64> = (0..classes).map(|id| proposal.prob(id)).collect();
    case.assert_close("probabilities", &tch::Tensor::from_slice(&ours), &case.get("prob"));
}
