//! Layers against slow f64 oracles that follow the definitions, and the smallest vocabularies.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{counts, make};
use lexmax_conformance::numbers::{log_softmax, rows};
use lexmax_conformance::uniform;
use lexmax_hierarchical::tree::CodeTree;
use lexmax_hierarchical::{Bins, HierarchicalConfig, TreeKind};
use lexmax_kernels::seed::generator;
use proptest::prelude::*;
use tch::{Kind, Tensor};

const HIDDEN: i64 = 4;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Canonical codes as they are taught: count up, and append zeros where the length grows.
/// `(length, value)` each.
fn textbook_codes(lengths: &[u32]) -> Vec<(u32, u64)> {
    let (mut value, mut before) = (0, lengths[0]);
    lengths
        .iter()
        .map(|&length| {
            value <<= length - before;
            before = length;
            value += 1;
            (length, value - 1)
        })
        .collect()
}

/// Log-probabilities by recursion over the prefixes of the codes.
struct BinaryOracle<'a> {
    codes: Vec<(u32, u64)>,
    inner: Vec<(u32, u64)>,
    weight: Vec<Vec<f64>>,
    bias: Vec<f64>,
    hidden: &'a [f64],
    log_probs: Vec<f64>,
}

impl BinaryOracle<'_> {
    fn visit(&mut self, prefix: (u32, u64), log_prob: f64) {
        if let Some(word) = self.codes.iter().position(|&code| code == prefix) {
            self.log_probs[word] = log_prob;
            return;
        }
        let node = self.inner.iter().position(|&inner| inner == prefix).unwrap();
        let logit = dot(&self.weight[node], self.hidden) + self.bias[node];
        let (length, value) = prefix;
        self.visit((length + 1, 2 * value), log_prob - (-logit).exp().ln_1p());
        self.visit((length + 1, 2 * value + 1), log_prob - logit.exp().ln_1p());
    }
}

fn binary_oracle(tree: &CodeTree, weight: &[Vec<f64>], bias: &[f64], hidden: &[f64]) -> Vec<f64> {
    let codes = textbook_codes(tree.lengths());
    let prefixes =
        codes.iter().flat_map(|&(length, value)| (1..=length).map(move |cut| (length - cut, value >> cut)));
    let inner = prefixes.collect::<BTreeSet<_>>().into_iter().collect();
    let log_probs = vec![f64::NAN; codes.len()];
    let mut oracle =
        BinaryOracle { codes, inner, weight: weight.to_vec(), bias: bias.to_vec(), hidden, log_probs };
    oracle.visit((0, 0), 0.0);
    oracle.log_probs
}

fn check_against(
    layer: &dyn lexmax_output::OutputLayer,
    hidden: &Tensor,
    oracle: impl Fn(&[f64]) -> Vec<f64>,
) {
    let dense = rows(layer.log_probs(hidden).unwrap().tensor());
    for (row, (hidden_row, got)) in rows(hidden).iter().zip(&dense).enumerate() {
        let expected = oracle(hidden_row);
        let targets = Tensor::arange(expected.len() as i64, (Kind::Int64, hidden.device()));
        let repeated = hidden.narrow(0, row as i64, 1).repeat([expected.len() as i64, 1]);
        let of_targets = layer.log_prob(&repeated, &targets).unwrap();
        let of_targets = Vec::<f64>::try_from(of_targets.tensor()).unwrap();
        for ((got, of_target), expected) in got.iter().zip(&of_targets).zip(&expected) {
            let allowed = 1e-13 * expected.abs().max(1.0);
            assert!((got - expected).abs() <= allowed, "log_probs {got}, oracle {expected}");
            assert!((of_target - expected).abs() <= allowed, "log_prob {of_target}, oracle {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn binary_trees_follow_the_recursion(vocab_size in 2_i64..40, huffman: bool, bias: bool) {
        let tree = if huffman { TreeKind::Huffman } else { TreeKind::Balanced };
        let config = HierarchicalConfig { tree, bias, ..HierarchicalConfig::default() };
        let mut made = make(Kind::Double, vocab_size, HIDDEN, &config);
        let variables = made.store.variables();
        prop_assert_eq!(variables.contains_key("bias"), bias);
        let weight = rows(&variables["weight"]);
        let bias = variables.get("bias").map_or(vec![0.0; weight.len()], |bias| Vec::try_from(bias).unwrap());
        let tree = if huffman { CodeTree::huffman(&counts(vocab_size)) } else { CodeTree::balanced(vocab_size).unwrap() };
        let hidden = uniform(&mut made.rng, &[3, HIDDEN], 2.0);
        check_against(made.layer.as_ref(), &hidden, |hidden| binary_oracle(&tree, &weight, &bias, hidden));
    }

    #[test]
    fn two_levels_follow_the_definition(vocab_size in 1_i64..40, share in 0.0..1.0_f64, bias: bool) {
        let classes = 1 + (share * vocab_size as f64) as i64;
        let (tree, bins) = (TreeKind::TwoLevel, Some(Bins::Size));
        let config = HierarchicalConfig { tree, classes: Some(classes), bins, bias, ..HierarchicalConfig::default() };
        let mut made = make(Kind::Double, vocab_size, HIDDEN, &config);
        let variables = made.store.variables();
        prop_assert_eq!(variables.contains_key("class_bias") && variables.contains_key("bias"), bias);
        let (weight, class_weight) = (rows(&variables["weight"]), rows(&variables["class_weight"]));
        let biases = |name, size| variables.get(name).map_or(vec![0.0; size], |bias| Vec::try_from(bias).unwrap());
        let (word_bias, class_bias) = (biases("bias", weight.len()), biases("class_bias", class_weight.len()));
        // Sizes of equal bins differ by one at most; which are larger is the layer's choice, so it
        // is asked.
        let context = lexmax_output::BuildContext::new(made.store.root() / "again", vocab_size, HIDDEN, 1);
        let sizes = lexmax_hierarchical::TwoLevel::new(&context, &config).unwrap().class_sizes();
        let hidden = uniform(&mut made.rng, &[3, HIDDEN], 2.0);
        check_against(made.layer.as_ref(), &hidden, |hidden| {
            let logit = |weight: &[f64], bias: f64| dot(weight, hidden) + bias;
            let class_logits: Vec<_> = class_weight.iter().zip(&class_bias).map(|(w, &b)| logit(w, b)).collect();
            let mut first = 0;
            let mut all = vec![];
            for (&size, of_class) in sizes.iter().zip(log_softmax(&class_logits)) {
                let words = first..first + size as usize;
                let logits: Vec<_> = words.map(|word| logit(&weight[word], word_bias[word])).collect();
                all.extend(log_softmax(&logits).iter().map(|of_word| of_class + of_word));
                first += size as usize;
            }
            all
        });
    }
}

#[test]
fn single_word_has_probability_one_and_a_zero_loss_in_the_graph() {
    for config in
        common::every_tree(&lexmax_output::LossOptions { label_smoothing: 0.1, ..Default::default() })
    {
        let mut made = make(Kind::Double, 1, HIDDEN, &config);
        let hidden = uniform(&mut made.rng, &[3, HIDDEN], 2.0).set_requires_grad(true);
        let targets = Tensor::zeros([3], (Kind::Int64, hidden.device()));
        let loss = made.layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap();
        assert_eq!(loss.value().unwrap(), 0.0, "{:?}", config.tree);
        loss.backward().unwrap();
        assert_eq!(hidden.grad().abs().max().double_value(&[]), 0.0, "{:?}", config.tree);
        assert_eq!(rows(made.layer.log_probs(&hidden).unwrap().tensor()), vec![vec![0.0]; 3]);
        let top = made.layer.top_k(&hidden, 1).unwrap();
        assert_eq!(Vec::<Vec<i64>>::try_from(&top.ids).unwrap(), vec![vec![0]; 3]);
        let drawn = made.layer.sample(&hidden, &mut generator(1, "draws", 0)).unwrap();
        assert_eq!(Vec::<i64>::try_from(&drawn).unwrap(), [0, 0, 0]);
        if config.tree != TreeKind::TwoLevel {
            assert!(made.store.variables().is_empty(), "one word needs no choice");
            assert_eq!(made.layer.cost(3).train.flops, 0.0);
        }
    }
}

#[test]
fn with_two_words_a_binary_tree_is_logistic_regression() {
    let mut made = make(Kind::Double, 2, HIDDEN, &HierarchicalConfig::default());
    let hidden = uniform(&mut made.rng, &[5, HIDDEN], 2.0);
    let variables = made.store.variables();
    let logit = hidden.linear(&variables["weight"], Some(&variables["bias"]));
    let expected = Tensor::cat(&[&logit.log_sigmoid(), &(-&logit).log_sigmoid()], 1);
    let log_probs = made.layer.log_probs(&hidden).unwrap().into_tensor();
    assert!((log_probs - expected).abs().max().double_value(&[]) < 1e-14);

    // Probabilities next to 1 keep their digits: `log sigmoid(z) - z` in place of `log sigmoid(-z)`
    // would lose them all. Logits of 36 and -36, give or take the bias.
    let far = &hidden * 36.0 / hidden.linear(&variables["weight"], None::<&Tensor>).abs();
    let far = Tensor::cat(&[&far, &-&far], 0);
    let logit = far.linear(&variables["weight"], Some(&variables["bias"]));
    let exact = Tensor::cat(&[&logit.log_sigmoid(), &(-&logit).log_sigmoid()], 1);
    let off = |log_probs: &Tensor| ((log_probs - &exact) / &exact).abs().max().double_value(&[]);
    let cancelling = Tensor::cat(&[&logit.log_sigmoid(), &(logit.log_sigmoid() - &logit)], 1);
    assert!(off(made.layer.log_probs(&far).unwrap().tensor()) < 1e-12);
    assert!(off(&cancelling) > 1e-3, "the cancelling form passes the check");
    assert_eq!(made.layer.top_k(&hidden, 2).unwrap().ids.size(), [5, 2]);
}
