//! Negatives that a caller holds and changes in place between the two passes.

use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::{Negatives, Objective};
use tch::{Device, Kind, Tensor};

fn wave(shape: &[i64], phase: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.3 + phase).sin().view(shape)
}

/// Who sees a set of negatives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sets {
    Shared,
    PerRow,
    InBatch,
}

/// The tensors of a batch, by name.
fn batch(sets: Sets) -> (Tensor, Negatives) {
    let targets = Tensor::from_slice(&[5_i64, 0, 2]);
    let ids = match sets {
        Sets::Shared => Tensor::from_slice(&[1_i64, 2, 7, 7]),
        Sets::PerRow => Tensor::from_slice(&[1_i64, 2, 7, 7, 5, 0]).view([3, 2]),
        Sets::InBatch => targets.shallow_clone(),
    };
    let counts = ids.to_kind(Kind::Double) * 0.1 + 0.2;
    let mut negatives = Negatives::new(ids, &counts, &wave(&[3], 2.0).abs()).unwrap();
    negatives.in_batch = sets == Sets::InBatch;
    (targets, negatives)
}

/// Gradients of hidden states, weight and bias; the change of one tensor comes between the passes.
fn gradients(objective: Objective, sets: Sets, changed: Option<usize>) -> Result<Vec<Tensor>, String> {
    let inputs = [wave(&[3, 4], 0.1), wave(&[9, 4], 0.2), wave(&[9], 0.3)].map(|x| x.set_requires_grad(true));
    let (targets, negatives) = batch(sets);
    let scored = Scored { hidden: &inputs[0], targets: &targets, weight: &inputs[1], bias: Some(&inputs[2]) };
    let rows = loss_rows(objective, &scored, &negatives, sets != Sets::InBatch).unwrap();
    let Negatives { ids, log_expected_count, target_log_expected_count, .. } = &negatives;
    let held = [&targets, ids, log_expected_count, target_log_expected_count];
    if let Some(changed) = changed {
        let mut tensor = held[changed].shallow_clone();
        let other = if tensor.kind() == Kind::Int64 { (&tensor + 1).remainder(9) } else { &tensor * 0.5 };
        tensor.copy_(&other);
    }
    (rows * wave(&[3], 0.7)).sum(Kind::Double).f_backward().map_err(|error| error.to_string())?;
    Ok(inputs.iter().map(Tensor::grad).collect())
}

#[test]
fn negatives_changed_between_passes_are_an_error_or_harmless() {
    for objective in Objective::ALL {
        for sets in [Sets::Shared, Sets::PerRow, Sets::InBatch] {
            let expected = gradients(objective, sets, None).unwrap();
            for changed in 0..4 {
                match gradients(objective, sets, Some(changed)) {
                    Ok(gradients) => assert_eq!(gradients, expected, "{objective:?}, {sets:?}, {changed}"),
                    Err(error) => assert!(error.contains("modified by an inplace operation"), "{error}"),
                }
            }
        }
    }
}
