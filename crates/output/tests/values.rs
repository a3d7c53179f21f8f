//! Sums that must not saturate, and the shared ways to choose classes.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::seed::generator;
use lexmax_output::{ExactNll, LogProb, WordCounts, sample_from};
use tch::{Device, Kind, Tensor};

/// Row 11 of `docs/DEFECTS.md`: a running sum in f32 stopped growing. A thousand million tokens'
/// worth must still count.
#[test]
fn a20_11_sums_do_not_saturate() {
    let of = |value: f64, count: i64| {
        let targets = Tensor::full([count], value, (Kind::Float, Device::Cpu));
        ExactNll::of_targets(&LogProb::from_normalised(targets)).unwrap()
    };
    let mut nll: ExactNll = of(-6.9e9, 1).into_iter().sum();
    let before = nll.nats();
    for more in of(-6.9, 1000) {
        nll += more;
    }
    assert!((nll.nats() - before - 6900.0).abs() < 0.01, "{nll:?}");
    assert_eq!(nll.tokens(), 1001);
    // All classes of a row are not that many targets.
    let dense = LogProb::from_normalised(Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)));
    assert!(ExactNll::of_targets(&dense).unwrap_err().to_string().contains("[2, 3]"));
    // The defect: token by token, an f32 sum of that size does not move at all.
    let defect = (0..1000).fold(6.9e9_f32, |sum, _| sum + 6.9);
    assert_eq!(defect, 6.9e9_f32);

    let counts = WordCounts::new(vec![u64::from(u32::MAX), 1_000_000_000, 1]).unwrap();
    assert_eq!(counts.total(), 5_294_967_296.0);
}

#[test]
fn counts_must_fall_and_the_error_says_where() {
    let text = WordCounts::new(vec![5, 6, 1]).unwrap_err().to_string();
    assert!(text.contains("6 at id 1 after 5") && text.contains("falling"), "{text}");
    assert!(WordCounts::new(vec![]).unwrap_err().to_string().contains("empty"));
    assert!(WordCounts::new(vec![0, 0]).unwrap_err().to_string().contains("all zero"));
}

#[test]
fn draws_stay_inside_when_one_class_has_all_the_mass() {
    for certain in [0, 4] {
        let log_probs = Tensor::full([200, 5], f64::NEG_INFINITY, (Kind::Double, Device::Cpu));
        let _ = log_probs.select(1, certain).fill_(0.0);
        let ids = sample_from(&log_probs, &mut generator(1, "draws", 0)).unwrap();
        assert_eq!(ids.eq(certain).all().int64_value(&[]), 1);
    }
}
