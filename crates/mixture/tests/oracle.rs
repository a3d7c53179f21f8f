//! The mixture of softmaxes against a slow, obvious f64 oracle, over drawn shapes.
#![allow(clippy::unwrap_used)]

mod common;

use common::Head;
use lexmax_conformance::numbers::{Parameters, close, rows};
use lexmax_conformance::wave;
use lexmax_mixture::MixtureConfig;
use lexmax_output::{LossOptions, Reduction};
use proptest::prelude::*;
use tch::Kind;

fn heads() -> impl Strategy<Value = Head> {
    let loss = LossOptions { reduction: Reduction::Sum, ..LossOptions::default() };
    (1..5_i64, prop::option::of(1..6_i64), prop::bool::ANY).prop_map(
        move |(components, latent_size, bias)| {
            Head(MixtureConfig { components, latent_size, bias, tied: false, loss: loss.clone() })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn values_and_gradients_equal_the_oracle(
        head in heads(),
        vocab_size in 1..24_i64,
        hidden_size in 1..7_i64,
        picks in prop::collection::vec(0..1000_i64, 1..6),
    ) {
        let targets: Vec<i64> = picks.iter().map(|pick| pick % vocab_size).collect();
        let mut built = head.build(vocab_size, hidden_size, Kind::Double);
        let hidden = wave(&[targets.len() as i64, hidden_size], 9.1, 1.5);
        let (mut parameters, states) = (built.parameters(), rows(&hidden));
        let dense_of = |parameters: &Parameters| -> Vec<Vec<f64>> {
            states.iter().map(|row| head.oracle_row(parameters, row)).collect()
        };
        let loss_of = |parameters: &Parameters| -> f64 {
            dense_of(parameters).iter().zip(&targets).map(|(row, &target)| -row[target as usize]).sum()
        };

        let expected = dense_of(&parameters);
        let dense = rows(&built.log_probs(&hidden));
        let of_targets = built.log_prob(&hidden, &targets);
        for (row, &target) in targets.iter().enumerate() {
            prop_assert!(close(&dense[row], &expected[row]), "row {row}");
            prop_assert!(close(&of_targets[row..=row], &expected[row][target as usize..=target as usize]));
        }
        let loss = built.loss(&hidden, &targets);
        prop_assert!(close(&[loss.double_value(&[])], &[loss_of(&parameters)]));

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
                    let value = loss_of(&parameters);
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
