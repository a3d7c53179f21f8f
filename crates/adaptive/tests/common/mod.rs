//! A layer with parameters away from zero, and the slow, obvious f64 oracle of its distribution and loss.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;

use lexmax_adaptive::{Adaptive, AdaptiveConfig};
use lexmax_kernels::logspace::log_sum_exp;
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Reduction};
use tch::{Device, Kind, Tensor, nn};

pub struct Built {
    pub layer: Adaptive,
    pub store: nn::VarStore,
}

/// Numbers in `-scale..scale` without a pattern that a layer could share.
pub fn wave(shape: &[i64], phase: f64, scale: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    ((Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.73 + phase).sin() * scale).view(shape)
}

/// On the path that a user gets.
pub fn build(config: &AdaptiveConfig, vocab_size: i64, hidden_size: i64, kind: Kind) -> Built {
    build_on(Compute::Fastest, false, config, [vocab_size, hidden_size], kind)
}

pub fn build_on(path: Compute, sparse: bool, config: &AdaptiveConfig, sizes: [i64; 2], kind: Kind) -> Built {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(kind);
    let mut context = BuildContext::new(store.root(), sizes[0], sizes[1], 7);
    context.compute = path;
    context.sparse_gradients = sparse;
    let layer = Adaptive::new(&context, config).unwrap();
    let built = Built { layer, store };
    for (index, (_, variable)) in built.variables().into_iter().enumerate() {
        let values = wave(&variable.size(), 0.37 + index as f64, 0.8).to_kind(kind);
        tch::no_grad(|| variable.shallow_clone().copy_(&values));
    }
    built
}

impl Built {
    /// Variables by name, in order.
    pub fn variables(&self) -> Vec<(String, Tensor)> {
        let mut named: Vec<_> = self.store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// The loss as a tensor.
    pub fn loss(&mut self, hidden: &Tensor, targets: &[i64]) -> Tensor {
        let rng = &mut generator(1, "negatives", 0);
        self.layer.loss(hidden, &Tensor::from_slice(targets), rng).unwrap().into_tensor()
    }

    pub fn log_prob(&self, hidden: &Tensor, targets: &[i64]) -> Vec<f64> {
        floats(self.layer.log_prob(hidden, &Tensor::from_slice(targets)).unwrap().tensor())
    }

    /// Parameters as rows of numbers, for the oracle.
    pub fn parameters(&self) -> Parameters {
        self.variables().into_iter().map(|(name, variable)| (name, rows(&variable))).collect()
    }
}

pub fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).view(-1)).unwrap()
}

/// Rows of a matrix; a vector is one row.
pub fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let width = tensor.size().last().copied().unwrap() as usize;
    floats(tensor).chunks(width).map(<[f64]>::to_vec).collect()
}

/// Parameters by name.
pub type Parameters = HashMap<String, Vec<Vec<f64>>>;

fn affine(weight: &[Vec<f64>], bias: Option<&Vec<Vec<f64>>>, input: &[f64]) -> Vec<f64> {
    let product = |row: &Vec<f64>| row.iter().zip(input).map(|(a, b)| a * b).sum::<f64>();
    weight.iter().enumerate().map(|(i, row)| product(row) + bias.map_or(0.0, |bias| bias[0][i])).collect()
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let normaliser = log_sum_exp(logits.iter().copied());
    logits.iter().map(|logit| logit - normaliser).collect()
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
