//! Classes sorted by count, and targets of any shape mapped both ways.
#![allow(clippy::unwrap_used)]

use lexmax_output::ClassOrder;
use tch::{Kind, Tensor};

#[test]
fn ranks_of_two_dimensional_targets_come_back_as_ids() {
    let order = ClassOrder::by_count(&[1, 7, 7, 0, 2]).unwrap();
    let ids = Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 1]).view([2, 3]);
    let ranks = order.ranks(&ids, None).unwrap();
    // Ties keep the order of their ids.
    assert_eq!(ranks, Tensor::from_slice(&[3_i64, 0, 1, 4, 2, 0]).view([2, 3]));
    assert_eq!(order.ids(&ranks).unwrap(), ids);
    assert_eq!(order.counts().counts(), [7, 7, 2, 1, 0]);
}

#[test]
fn ranks_keep_the_ignored_index() {
    let order = ClassOrder::by_count(&[1, 5]).unwrap();
    let ranks = order.ranks(&Tensor::from_slice(&[-100_i64, 0, 1]), Some(-100)).unwrap();
    assert_eq!(ranks, Tensor::from_slice(&[-100_i64, 1, 0]));
    let error = order.ranks(&Tensor::from_slice(&[0_i64]), Some(1)).unwrap_err().to_string();
    assert!(error.contains("ignore_index is 1, expected a number outside 0..2"), "{error}");
}

#[test]
fn ranks_of_an_unknown_id_name_it() {
    let order = ClassOrder::by_count(&[1, 5]).unwrap();
    let error = order.ranks(&Tensor::from_slice(&[0_i64, 2]), None).unwrap_err().to_string();
    assert!(error.contains("target 2 at row 1 names no class, expected 0..2"), "{error}");
    let error = order.ids(&Tensor::from_slice(&[-1_i64])).unwrap_err().to_string();
    assert!(error.contains("target -1 at row 0"), "{error}");
    let error = order.ranks(&Tensor::from_slice(&[0.5_f32]), None).unwrap_err().to_string();
    assert!(error.contains("Float"), "{error}");
}

#[test]
fn of_targets_counts_every_occurrence() {
    let targets = Tensor::from_slice(&[3_i64, 3, 1, 3, 1, 0]).view([3, 2]);
    let order = ClassOrder::of_targets(&targets, 5, None).unwrap();
    assert_eq!(order.counts().counts(), [3, 2, 1, 0, 0]);
    assert_eq!(order.ranks(&targets, None).unwrap().sum(Kind::Int64).int64_value(&[]), 4);
    assert!(ClassOrder::of_targets(&targets, 3, None).is_err());
}

#[test]
fn of_targets_leaves_the_ignored_index_uncounted() {
    let targets = Tensor::from_slice(&[-100_i64, 2, 2, -100, 1]);
    let order = ClassOrder::of_targets(&targets, 3, Some(-100)).unwrap();
    assert_eq!(order.counts().counts(), [2, 1, 0]);
    let error = ClassOrder::of_targets(&targets, 3, None).unwrap_err().to_string();
    assert!(error.contains("target -100 at row 0"), "{error}");
    let ignored_alone = ClassOrder::of_targets(&targets.narrow(0, 0, 1), 3, Some(-100));
    assert!(ignored_alone.unwrap_err().to_string().contains("all zero"));
}

#[test]
fn ranks_of_scalars_and_of_nothing_keep_the_shape() {
    let order = ClassOrder::by_count(&[1, 5, 5]).unwrap();
    let scalar = order.ranks(&Tensor::from(0_i64), None).unwrap();
    assert_eq!((scalar.size(), scalar.int64_value(&[])), (vec![], 2));
    let nothing = Tensor::zeros([0, 4], (Kind::Int64, tch::Device::Cpu));
    assert_eq!(order.ranks(&nothing, Some(-1)).unwrap().size(), [0, 4]);
    assert_eq!(order.ids(&nothing).unwrap().size(), [0, 4]);
    let transposed = Tensor::from_slice(&[0_i64, 1, 2, 0]).view([2, 2]).tr();
    let ranks = order.ranks(&transposed, None).unwrap();
    assert_eq!(ranks, Tensor::from_slice(&[2_i64, 1, 0, 2]).view([2, 2]));
}

#[test]
fn by_count_without_classes_or_counts_is_refused() {
    assert!(ClassOrder::by_count(&[]).unwrap_err().to_string().contains("empty"));
    assert!(ClassOrder::by_count(&[0, 0]).unwrap_err().to_string().contains("all zero"));
    let nothing = Tensor::zeros([0], (Kind::Int64, tch::Device::Cpu));
    assert!(ClassOrder::of_targets(&nothing, -3, None).is_err());
}
