//! Bad configurations are refused with the value and what was expected; the cost follows sizes and
//! counts.
#![allow(clippy::unwrap_used)]

use lexmax_adaptive::{Adaptive, AdaptiveConfig};
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Result, WordCounts};
use tch::{Device, nn};

fn try_build(config: &AdaptiveConfig, counts: Option<&WordCounts>) -> Result<Adaptive> {
    let store = nn::VarStore::new(Device::Cpu);
    let mut context = BuildContext::new(store.root(), 100, 16, 1);
    context.counts = counts;
    Adaptive::new(&context, config)
}

fn error(config: AdaptiveConfig) -> String {
    try_build(&config, None).unwrap_err().to_string()
}

fn cutoffs(cutoffs: &[i64]) -> AdaptiveConfig {
    AdaptiveConfig { cutoffs: cutoffs.to_vec(), ..AdaptiveConfig::default() }
}

#[test]
fn cutoffs_out_of_order_name_the_pair() {
    let text = error(cutoffs(&[10, 50, 20]));
    assert!(text.contains("50 followed by 20 at position 2") && text.contains("rise strictly"), "{text}");
    let text = error(cutoffs(&[10, 10]));
    assert!(text.contains("10 followed by 10 at position 1"), "{text}");
}

#[test]
fn cutoffs_out_of_range_name_the_value() {
    for (list, words) in [
        ([0, 10], "0 at position 0"),
        ([-4, 10], "-4 at position 0"),
        ([10, 100], "100 at position 1"),
        ([10, i64::MAX], "position 1"),
    ] {
        let text = error(cutoffs(&list));
        assert!(text.contains(words) && text.contains("1 <= cutoff < 100"), "{text}");
    }
    try_build(&cutoffs(&[1, 99]), None).unwrap();
}

#[test]
fn the_divisor_must_be_a_finite_number_above_zero() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let text = error(AdaptiveConfig { div_value: bad, ..cutoffs(&[10]) });
        assert!(
            text.contains("div_value") && text.contains(&bad.to_string()) && text.contains("above zero"),
            "{text}"
        );
    }
    let text = error(AdaptiveConfig { div_value: 1e-200, ..cutoffs(&[10]) });
    assert!(text.contains("div_value") && text.contains("width"), "{text}");
}

#[test]
fn tying_is_refused_by_name() {
    let text = error(AdaptiveConfig { tied: true, ..cutoffs(&[10]) });
    assert!(text.contains("`tied`") && text.contains("narrower"), "{text}");
}

#[test]
fn unknown_keys_and_wrong_counts_are_errors() {
    let text = toml::from_str::<AdaptiveConfig>("cutofs = [10]").unwrap_err().to_string();
    assert!(text.contains("cutofs") && text.contains("cutoffs"), "{text}");
    let parsed: AdaptiveConfig =
        toml::from_str("cutoffs = [10, 20]\ndiv_value = 2.0\ntail_bias = true").unwrap();
    assert_eq!(parsed, AdaptiveConfig { div_value: 2.0, tail_bias: true, ..cutoffs(&[10, 20]) });
    let counts = WordCounts::new(vec![5; 99]).unwrap();
    let text = try_build(&cutoffs(&[10]), Some(&counts)).unwrap_err().to_string();
    assert!(text.contains("counts") && text.contains("99") && text.contains("100"), "{text}");
}

#[test]
fn cost_is_that_of_the_clusters_which_rows_reach() {
    let flops = |loss: LossOptions, counts: Option<&WordCounts>| {
        let layer = try_build(&AdaptiveConfig { loss, ..cutoffs(&[10, 40]) }, counts).unwrap();
        (layer.cost(1000).train.flops, layer.cost(1000).eval.flops)
    };
    // D = 16: head of 12 entries; clusters of 30 and 60 words with widths 4 and 1.
    let expected = |first: f64, second: f64| {
        let head = 2.0 * 16.0 * 12.0;
        let tails = first * 2.0 * (16.0 * 4.0 + 4.0 * 30.0) + second * 2.0 * (16.0 + 60.0);
        1000.0 * (head + tails)
    };
    let same = |got: f64, expected: f64| {
        assert!((got - expected).abs() <= 1e-12 * expected, "{got}, not {expected}")
    };
    // 900 tokens in the shortlist, 60 and 40 in the clusters, some words never seen.
    let mut counts = vec![90; 10];
    counts.extend([vec![2; 30], vec![1; 40], vec![0; 20]].concat());
    let counts = WordCounts::new(counts).unwrap();
    let (train, eval) = flops(LossOptions::default(), Some(&counts));
    same(eval, expected(0.06, 0.04));
    same(train, 3.0 * eval);
    same(flops(LossOptions::default(), None).1, expected(0.3, 0.6));
    let smoothed = flops(LossOptions { label_smoothing: 0.1, ..LossOptions::default() }, Some(&counts));
    same(smoothed.0, 3.0 * expected(1.0, 1.0));
    same(smoothed.1, eval);
}
