//! Comparison of tensors under a tolerance that counts units of rounding of their dtype.

use tch::{Kind, Tensor};

/// Largest absolute difference, in f64.
pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size(), "shapes differ");
    if a.numel() == 0 {
        return 0.0;
    }
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// The gradient of a tensor, dense, whatever its layout; undefined where there is none.
pub fn dense_gradient(tensor: &Tensor) -> Tensor {
    let gradient = tensor.grad();
    if gradient.defined() { to_dense(&gradient) } else { gradient }
}

/// A tensor in the dense layout.
pub(crate) fn to_dense(tensor: &Tensor) -> Tensor {
    if tensor.is_sparse() { tensor.to_dense(None, false) } else { tensor.shallow_clone() }
}

/// Largest absolute value, in f64.
pub(crate) fn magnitude(a: &Tensor) -> f64 {
    if a.numel() == 0 { 0.0 } else { a.to_kind(Kind::Double).abs().max().double_value(&[]) }
}

/// Distance from one to the next number of a dtype.
pub(crate) fn epsilon(kind: Kind) -> f64 {
    match kind {
        Kind::Double => f64::EPSILON,
        Kind::Float => f64::from(f32::EPSILON),
        Kind::BFloat16 => 2f64.powi(-7),
        other => panic!("no tolerance for {other:?}"),
    }
}

/// Units of rounding that any law allows half precision. Its answers are rounded once or twice,
/// and more of such units would be nats.
const HALF_ULPS: f64 = 4.0;

/// Asserts that two tensors agree to `ulps` units of rounding of their magnitude.
pub(crate) fn assert_close(what: &str, got: &Tensor, expected: &Tensor, kind: Kind, ulps: f64) {
    let ulps = if kind == Kind::BFloat16 { ulps.min(HALF_ULPS) } else { ulps };
    let (error, scale) = (difference(got, expected), magnitude(expected).max(1.0));
    let allowed = ulps * epsilon(kind) * scale;
    assert!(
        error <= allowed,
        "{what} ({kind:?}): differs by {error:.3e}, allowed {allowed:.3e}\n{got}\n{expected}"
    );
}
