//! The adaptive softmax against a slow, obvious f64 oracle, over drawn partitions, shapes and loss
//! options.
#![allow(clippy::unwrap_used)]

mod common;

use common::{build_on, oracle_loss, oracle_row};
use lexmax_adaptive::AdaptiveConfig;
use lexmax_conformance::numbers::{Parameters, rows};
use lexmax_conformance::wave;
use lexmax_output::fused::Compute;
use lexmax_output::{LossOptions, Reduction};
use proptest::prelude::*;
use tch::Kind;

const IGNORED: i64 = 2;

fn configs() -> impl Strategy<Value = (AdaptiveConfig, i64)> {
    let options = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY, prop::bool::ANY, prop::bool::ANY);
    (2..24_i64, options, prop::sample::select(vec![0.7, 1.0, 2.0, 4.0, 1e3])).prop_flat_map(
        |(vocab_size, (head_bias, tail_bias, smooth, weighted, mean), div_value)| {
            let cutoffs = prop::collection::btree_set(1..vocab_size, 0..4);
            cutoffs.prop_map(move |cutoffs| {
                let weights = || (0..vocab_size).map(|id| 0.5 + (id % 3) as f64).collect();
                let loss = LossOptions {
                    ignore_index: Some(IGNORED),
                    reduction: if mean { Reduction::Mean } else { Reduction::Sum },
                    label_smoothing: if smooth { 0.15 } else { 0.0 },
                    class_weights: weighted.then(weights),
                };
                let cutoffs = cutoffs.into_iter().collect();
                (AdaptiveConfig { cutoffs, div_value, head_bias, tail_bias, tied: false, loss }, vocab_size)
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn values_and_gradients_equal_the_oracle(
        (config, vocab_size) in configs(),
        hidden_size in 1..8_i64,
        picks in prop::collection::vec(0..1000_i64, 1..7),
        path in prop::sample::select(vec![Compute::Reference, Compute::Fastest, Compute::Chunked]),
    ) {
        let targets: Vec<i64> = picks.iter().map(|pick| pick % vocab_size).collect();
        let mut built = build_on(path, false, &config, [vocab_size, hidden_size], Kind::Double);
        let hidden = wave(&[targets.len() as i64, hidden_size], 9.1, 1.5).set_requires_grad(true);
        let dense_of = |parameters: &Parameters, hidden: &[Vec<f64>]| -> Vec<Vec<f64>> {
            hidden.iter().map(|row| oracle_row(parameters, &config.cutoffs, vocab_size, row)).collect()
        };
        let (mut parameters, states) = (built.parameters(), rows(&hidden));

        let expected = dense_of(&parameters, &states);
        let dense = rows(built.layer.log_probs(&hidden).unwrap().tensor());
        let of_targets = built.log_prob(&hidden, &targets);
        for (row, &target) in targets.iter().enumerate() {
            for class in 0..vocab_size as usize {
                let (got, expected) = (dense[row][class], expected[row][class]);
                prop_assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "row {row} class {class}");
            }
            let expected = expected[row][target as usize];
            prop_assert!((of_targets[row] - expected).abs() <= 1e-12 * expected.abs().max(1.0));
        }

        let loss = built.loss(&hidden, &targets);
        let expected = oracle_loss(&expected, &targets, &config.loss);
        prop_assert!((loss.double_value(&[]) - expected).abs() <= 1e-12 * expected.abs().max(1.0));

        // Central differences of the oracle, at a few entries of each parameter.
        loss.backward();
        const STEP: f64 = 1e-5;
        for (name, variable) in built.variables() {
            let gradient = rows(&variable.grad());
            let columns = gradient[0].len();
            for probe in 0..4_usize {
                let at = probe * 7919 % variable.numel();
                let mut moved = |by: f64| {
                    let entry = |parameters: &mut Parameters, by: f64| {
                        parameters.get_mut(&name).unwrap()[at / columns][at % columns] += by;
                    };
                    entry(&mut parameters, by);
                    let value = oracle_loss(&dense_of(&parameters, &states), &targets, &config.loss);
                    entry(&mut parameters, -by);
                    value
                };
                let numeric = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let got = gradient[at / columns][at % columns];
                prop_assert!((got - numeric).abs() <= 1e-7 * numeric.abs().max(1.0), "{name}[{at}]: {got}, {numeric}");
            }
        }
    }
}
