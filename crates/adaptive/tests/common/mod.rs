//! Layers of this crate with parameters away from zero, and the slow, obvious f64 oracle of their
//! distribution and loss.
#![allow(clippy::unwrap_used, dead_code)]

use lexmax_adaptive::{Adaptive, AdaptiveConfig};
use lexmax_conformance::Built;
use lexmax_conformance::numbers::{Parameters, affine, log_softmax};
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};
use tch::Kind;

/// Builds the layer on the path that a user gets.
pub fn build(config: &AdaptiveConfig, vocab_size: i64, hidden_size: i64, kind: Kind) -> Built {
    build_on(Compute::Fastest, false, config, [vocab_size, hidden_size], kind)
}

pub fn build_on(path: Compute, sparse: bool, config: &AdaptiveConfig, sizes: [i64; 2], kind: Kind) -> Built {
    Built::new(sizes, kind, |context| {
        context.compute = path;
        if path == Compute::Chunked {
            // Some hundred rows of the head, and fewer of a cluster: several chunks of each.
            context.workspace_bytes = Some(300 << 10);
        }
        context.sparse_gradients = sparse;
        Ok(Box::new(Adaptive::new(context, config)?))
    })
}

/// `log p(c | h)` of all classes for one row, straight from the definition.
pub fn oracle_row(parameters: &Parameters, cutoffs: &[i64], vocab_size: i64, hidden: &[f64]) -> Vec<f64> {
    let head = log_softmax(&affine(&parameters["head.weight"], parameters.get("head.bias"), hidden));
    let shortlist = cutoffs.first().copied().unwrap_or(vocab_size);
    (0..vocab_size)
        .map(|class| {
            if class < shortlist {
                return head[class as usize];
            }
            let cluster = cutoffs.iter().rposition(|&cutoff| cutoff <= class).unwrap();
            let part = |name: &str| parameters.get(&format!("tail.{cluster}.{name}"));
            let projected = affine(part("projection").unwrap(), None, hidden);
            let within = log_softmax(&affine(part("weight").unwrap(), part("bias"), &projected));
            head[shortlist as usize + cluster] + within[(class - cutoffs[cluster]) as usize]
        })
        .collect()
}

/// Loss with reduction mean or sum under every shared option, straight from its definition.
pub fn oracle_loss(dense: &[Vec<f64>], targets: &[i64], options: &LossOptions) -> f64 {
    let classes = dense[0].len();
    let weight = |class: usize| options.class_weights.as_ref().map_or(1.0, |weights| weights[class]);
    let (mut total, mut divisor) = (0.0, 0.0);
    for (log_probs, &target) in
        dense.iter().zip(targets).filter(|(_, target)| options.ignore_index != Some(**target))
    {
        let target = target as usize;
        let spread: f64 = (0..classes).map(|class| weight(class) * log_probs[class]).sum();
        let e = options.label_smoothing;
        total -= (1.0 - e) * weight(target) * log_probs[target] + e / classes as f64 * spread;
        divisor += weight(target);
    }
    match options.reduction {
        Reduction::Sum => total,
        Reduction::Mean if divisor == 0.0 => 0.0,
        Reduction::Mean => total / divisor,
        Reduction::None => panic!("one number is compared"),
    }
}
