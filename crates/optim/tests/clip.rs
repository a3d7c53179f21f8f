//! Clipping against an `f64` loop, for random sizes and lengths.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{OptimError, Optimizer, OptimizerConfig, clip_factor, clip_grad_norm, grad_norm};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

/// A parameter whose gradient is `gradient`.
fn parameter(gradient: &Tensor) -> Tensor {
    let p = gradient.zeros_like().set_requires_grad(true);
    (&p * gradient).sum(gradient.kind()).backward();
    p
}

fn named(gradients: &[Tensor]) -> Vec<(String, Tensor)> {
    gradients.iter().enumerate().map(|(i, g)| (i.to_string(), parameter(g))).collect()
}

fn wave(length: i64, scale: f64, kind: Kind) -> Tensor {
    ((Tensor::arange(length, (Kind::Double, Device::Cpu)) * 0.7 + scale).sin() * scale).to_kind(kind)
}

fn f64_norm(gradients: &[Tensor]) -> f64 {
    let square = |g: &Tensor| {
        let values: Vec<f64> = Vec::try_from(g.to_kind(Kind::Double)).unwrap();
        values.iter().map(|v| v * v).sum::<f64>()
    };
    gradients.iter().map(square).sum::<f64>().sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_norm_and_the_scaled_gradients_are_those_of_the_oracle(
        lengths in proptest::collection::vec(0i64..10_000, 1..4),
        scale in 1e-6f64..1e6,
        share in 0.1f64..3.0,
    ) {
        let gradients: Vec<Tensor> = lengths.iter().map(|&n| wave(n, scale, Kind::Double)).collect();
        let parameters = named(&gradients);
        let truth = f64_norm(&gradients);
        let max = share * truth.max(1e-9);
        let norm = clip_grad_norm(&parameters, max).unwrap();
        prop_assert!((norm - truth).abs() <= 1e-13 * truth, "{norm} {truth}");
        let factor = (max / (norm + 1e-6)).min(1.0);
        for ((_, p), g) in parameters.iter().zip(&gradients) {
            prop_assert!(p.grad().equal(&(g * factor)), "every element is scaled by {factor}");
        }
        let after: Vec<Tensor> = parameters.iter().map(|(_, p)| p.grad()).collect();
        prop_assert!(f64_norm(&after) <= max * (1.0 + 1e-12));
    }
}

#[test]
fn a_large_float_gradient_has_an_exact_norm() {
    let gradient = wave(3_000_001, 0.3, Kind::Float) + 0.1;
    let norm = clip_grad_norm(&named(&[gradient.copy()]), f64::INFINITY).unwrap();
    let truth = f64_norm(&[gradient]);
    assert!((norm - truth).abs() < f64::from(f32::EPSILON) * truth, "{norm} {truth}");
}

#[test]
fn short_zero_and_missing_gradients_stay() {
    let short = wave(50, 0.01, Kind::Float);
    let zero = Tensor::zeros([7, 2], (Kind::Float, Device::Cpu));
    let mut parameters = named(&[short.copy(), zero.copy()]);
    let without = Tensor::zeros([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    parameters.push(("without".into(), without));
    let norm = clip_grad_norm(&parameters, 0.25).unwrap();
    assert!(norm > 0.0 && norm < 0.25);
    assert_eq!((parameters[0].1.grad(), parameters[1].1.grad()), (short, zero));
    assert!(!parameters[2].1.grad().defined());
    assert_eq!(clip_grad_norm(&parameters[1..], 0.25).unwrap(), 0.0);
    assert_eq!(clip_grad_norm(&[], 0.25).unwrap(), 0.0);
}

#[test]
fn a_norm_that_is_not_finite_comes_back_and_nothing_is_scaled() {
    for bad in [f32::NAN, f32::INFINITY] {
        let gradients = [Tensor::from_slice(&[3.0f32, 4.0]), Tensor::from_slice(&[bad, 1.0])];
        let parameters = named(&gradients);
        let norm = clip_grad_norm(&parameters, 1.0).unwrap();
        assert_eq!(norm.is_nan(), bad.is_nan());
        assert!(!norm.is_finite());
        assert_eq!(parameters[0].1.grad(), gradients[0]);
    }
}

#[test]
fn norm_that_is_not_finite_has_clip_factor_one() {
    for norm in [f64::NAN, f64::INFINITY] {
        assert_eq!(clip_factor(norm, 1.0).unwrap(), 1.0);
        assert_eq!(clip_factor(norm, f64::INFINITY).unwrap(), 1.0);
    }
    assert_eq!(clip_factor(0.5, 1.0).unwrap(), 1.0);
    assert_eq!(clip_factor(1e300, f64::INFINITY).unwrap(), 1.0);
    assert_eq!(clip_factor(5.0, 1.0).unwrap(), 1.0 / (5.0 + 1e-6));
    // Both ways end in the same place where one element of a gradient is infinite.
    let ends = [false, true].map(|fold| {
        let named = named(&[Tensor::from_slice(&[3.0f32, f32::INFINITY])]);
        let again = vec![("0".to_string(), named[0].1.shallow_clone())];
        let mut optimizer = Optimizer::new(again, &OptimizerConfig::default()).unwrap();
        if fold {
            let factor = clip_factor(grad_norm(&named).unwrap(), 1.0).unwrap();
            optimizer.step_scaled(0.5, factor).unwrap();
        } else {
            clip_grad_norm(&named, 1.0).unwrap();
            optimizer.step(0.5).unwrap();
        }
        named[0].1.detach()
    });
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0], Tensor::from_slice(&[-1.5f32, f32::NEG_INFINITY]));
}

#[test]
fn squares_beyond_the_range_of_the_kind_are_counted() {
    for kind in [Kind::Float, Kind::BFloat16] {
        for (value, count) in [(1e20, 2), (1e-30, 2), (1e35, 100_000), (1e-25, 100_000)] {
            let gradient = Tensor::full([count], value, (kind, Device::Cpu));
            let parameters = named(&[gradient.copy()]);
            let truth = f64_norm(&[gradient.copy()]);
            assert!(truth.is_finite() && truth > 0.0);
            let norm = grad_norm(&parameters).unwrap();
            assert!((norm - truth).abs() <= 1e-11 * truth, "{kind:?} {value}: {norm} {truth}");
            assert_eq!(clip_grad_norm(&parameters, 0.5).unwrap(), norm);
            let after = grad_norm(&parameters).unwrap();
            let expected = clip_factor(norm, 0.5).unwrap() * norm;
            let rounding = if kind == Kind::Float { 1e-5 } else { 4e-3 };
            assert!((after - expected).abs() <= rounding * expected, "{kind:?} {value}: {after} {expected}");
        }
    }
}

#[test]
fn a_tensor_under_two_names_is_refused() {
    let mut parameters = named(&[Tensor::from_slice(&[3.0f32, 4.0])]);
    parameters.push(("tied".into(), parameters[0].1.shallow_clone()));
    for error in [clip_grad_norm(&parameters, 1.0).unwrap_err(), grad_norm(&parameters).unwrap_err()] {
        assert_eq!(error.to_string(), "parameters 0 and tied are the same tensor, expected it once");
    }
    assert_eq!(parameters[0].1.grad(), Tensor::from_slice(&[3.0f32, 4.0]));
    let sparse = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).to_sparse_sparse_dim(1);
    let error = grad_norm(&[("sparse".into(), sparse)]).unwrap_err();
    assert!(matches!(error, OptimError::NotDense { name } if name == "sparse"));
}

#[test]
fn unfit_maxima_are_refused() {
    for max in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        let expected = format!("clip max norm is {max}, expected a number > 0");
        assert_eq!(clip_grad_norm(&[], max).unwrap_err().to_string(), expected);
        assert_eq!(clip_factor(1.0, max).unwrap_err().to_string(), expected);
    }
}
