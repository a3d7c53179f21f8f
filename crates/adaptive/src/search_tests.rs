//! The search gives the dense answer, and the count of scored pairs shows what the bound saved.
#![allow(clippy::unwrap_used)]

use lexmax_output::{BuildContext, OutputLayer, top_k_of};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor, nn};

use crate::{Adaptive, AdaptiveConfig};

const CLASSES: i64 = 60;
const ROWS: i64 = 7;

struct Built {
    layer: Adaptive,
    store: nn::VarStore,
}

fn build(cutoffs: &[i64], range: f64, seed: u64) -> Built {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let mut context = BuildContext::new(store.root(), CLASSES, 5, seed);
    context.init_range = Some(range);
    let config = AdaptiveConfig { cutoffs: cutoffs.to_vec(), tail_bias: true, ..AdaptiveConfig::default() };
    let layer = Adaptive::new(&context, &config).unwrap();
    Built { layer, store }
}

fn hidden(seed: u64) -> Tensor {
    let phases = Tensor::arange(ROWS * 5, (Kind::Double, Device::Cpu)) * 1.7 + seed as f64;
    phases.sin().view([ROWS, 5])
}

/// Sets the head's bias of each cluster.
fn weigh_clusters(built: &Built, shortlist: i64, biases: &[f64]) {
    let variable = built.store.variables()["head.bias"].shallow_clone();
    let mut clusters = variable.narrow(0, shortlist, biases.len() as i64);
    tch::no_grad(|| clusters.copy_(&Tensor::from_slice(biases)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn equals_the_dense_answer(
        cutoffs in prop::collection::btree_set(1..CLASSES, 0..5),
        k in 1..=CLASSES,
        range in 0.1..4.0_f64,
        seed in 0..1000_u64,
    ) {
        let cutoffs: Vec<i64> = cutoffs.into_iter().collect();
        let (built, hidden) = (build(&cutoffs, range, seed), hidden(seed));
        let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
        let expected = top_k_of("test", &dense, k).unwrap();
        let found = built.layer.search("test", &hidden, k).unwrap();
        prop_assert!((&found.top.log_probs - &expected.log_probs).abs().max().double_value(&[]) < 1e-12);
        // The ids may differ only where probabilities tie: each id must have the probability that
        // stands beside it.
        let of_ids = dense.gather(1, &found.top.ids, false);
        prop_assert!((of_ids - &found.top.log_probs).abs().max().double_value(&[]) < 1e-12);
        let (sorted, _) = found.top.ids.sort(1, false);
        let repeated = k > 1 && sorted.diff(1, 1, None::<&Tensor>, None::<&Tensor>).eq(0).any().int64_value(&[]) == 1;
        prop_assert!(!repeated, "an id twice in {}", found.top.ids);
        prop_assert!(found.scored_pairs <= ROWS * cutoffs.len() as i64);
    }
}

#[test]
fn clusters_without_mass_are_not_scored() {
    let built = build(&[10, 20, 40], 0.5, 3);
    weigh_clusters(&built, 10, &[-30.0, -40.0, -50.0]);
    let search = |k| built.layer.search("test", &hidden(3), k).unwrap();
    assert_eq!(search(1).scored_pairs, 0);
    assert_eq!(search(10).scored_pairs, 0);
    // Each cluster is far above the next: it is opened when the ones before it (10, 10 and 20
    // words) are used up.
    assert_eq!(search(11).scored_pairs, ROWS);
    assert_eq!(search(20).scored_pairs, ROWS);
    assert_eq!(search(21).scored_pairs, 2 * ROWS);
    assert_eq!(search(40).scored_pairs, 2 * ROWS);
    assert_eq!(search(CLASSES).scored_pairs, 3 * ROWS);
}

#[test]
fn only_the_rows_that_need_a_cluster_score_it() {
    let built = build(&[10, 35], 0.5, 5);
    // Head entry 10 is cluster 0: it looks at the first coordinate only, and so is likely in some
    // rows alone.
    let weight = built.store.variables()["head.weight"].shallow_clone();
    tch::no_grad(|| {
        let _ = weight.shallow_clone().zero_();
        let _ = weight.get(10).get(0).fill_(20.0);
    });
    weigh_clusters(&built, 10, &[-8.0, -8.0]);
    let hidden = Tensor::zeros([4, 5], (Kind::Double, Device::Cpu));
    let _ = hidden.get(2).get(0).fill_(1.0);
    let found = built.layer.search("test", &hidden, 1).unwrap();
    assert_eq!(found.scored_pairs, 1);
    assert!((10..35).contains(&found.top.ids.int64_value(&[2, 0])));
    let dense = built.layer.log_probs(&hidden).unwrap().into_tensor();
    let best = dense.amax([1_i64].as_slice(), true);
    assert!((&best - &found.top.log_probs).abs().max().double_value(&[]) < 1e-12);
    // Trusting the shortlist alone, which a bound that prunes too much amounts to, misses that row.
    let shortlist = dense.narrow(1, 0, 10).amax([1_i64].as_slice(), true);
    assert!((best - shortlist).abs().max().double_value(&[]) > 1.0);
}
