//! Rounding and products against the formulas of the module, bit for bit, at every level.

use super::pack::{element, halves, round, widened};
use super::*;
use proptest::prelude::*;

#[test]
fn rounding_goes_to_the_nearest_even_bf16() {
    let cases = [
        (1.0, 0x3f80),
        (-0.0, 0x8000),
        // 1 + 2^-8 lies between 1 and 1 + 2^-7; the even one is 1. 1 + 3 * 2^-8 goes up.
        (1.003_906_2, 0x3f80),
        (1.003_906_4, 0x3f81),
        (1.011_718_8, 0x3f82),
        (f32::MAX, 0x7f80),
        (f32::NEG_INFINITY, 0xff80),
        (f32::MIN_POSITIVE, 0x0080),
        // Subnormal numbers are zero.
        (f32::MIN_POSITIVE / 2.0, 0),
        (-f32::MIN_POSITIVE * 0.99, 0x8000),
    ];
    for (value, bits) in cases {
        assert_eq!(round(value), bits, "{value}");
    }
    assert!(widened(round(f32::NAN)).is_nan());
    assert!(widened(round(f32::from_bits(0x7f80_0001))).is_nan(), "the low bits alone are not lost");
    assert_eq!(halves(0x3f80_4000), [1.0, 2.0]);
}

/// The sums of the module's formula, one element at a time.
fn by_definition(
    left: Matrix<'_, f32>,
    right: Matrix<'_, f32>,
    start: f32,
    i: usize,
    j: usize,
    k: usize,
) -> f32 {
    let product = |d: usize| {
        let [a, b] = [element(left, i, d), element(right, d, j)].map(|value| widened(round(value)));
        a * b
    };
    blocks(k, DEPTH).fold(start, |total, block| {
        let pairs = block.clone().step_by(2);
        total
            + pairs.fold(0.0, |sum, low| {
                let high = if low + 1 < block.end { product(low + 1) } else { 0.0 };
                sum + high + product(low)
            })
    })
}

/// Numbers of very different sizes, which make every rounding visible.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| {
        let drawn = (i + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
            .wrapping_add(seed)
            .wrapping_mul(0xd129_0bcd);
        (drawn % 20_011) as f32 * 0.1 - 1000.0
    };
    (0..count).map(|i| number(i) * [1.0, 1e-3, 37.0][i % 3]).collect()
}

fn check(level: Level, [m, n, k]: [usize; 3], layouts: [bool; 2], gap: usize, accumulate: bool) {
    let (left, right) = (numbers(m * (k + gap) + k * gap, 3), numbers((k + gap) * (n + gap), 5));
    let matrix = |data, by_rows, rows: usize, columns: usize| {
        if by_rows { Matrix::rows(data, columns + gap) } else { Matrix::columns(data, rows + gap) }
    };
    let left = matrix(&left, layouts[0], m, k);
    let right = matrix(&right, layouts[1], k, n);
    let stride = n + gap;
    let mut out = vec![0.25; m * stride];
    let start = if accumulate { 0.25 } else { 0.0 };
    multiply_at(level, Product::new(&mut out, stride, [m, n, k], left, right, accumulate).expect("sizes"));
    for i in 0..m {
        for j in 0..n {
            let expected = by_definition(left, right, start, i, j, k);
            let found = out[i * stride + j];
            assert!(found.to_bits() == expected.to_bits(), "{level:?} at {i}, {j}: {found} for {expected}");
        }
        assert!(out[i * stride + n..][..gap].iter().all(|value| *value == 0.25), "written beyond a row");
    }
}

/// Levels that this processor has, so that its own instruction is held to the definition.
fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_available())
}

#[test]
fn products_beyond_one_block_have_the_bits_of_the_definition() {
    for level in levels() {
        for sizes in [[13, 33, 2 * DEPTH + 3], [ROWS + 7, 17, 9], [3, COLUMNS + 41, DEPTH + 1], [1, 1, 1]] {
            check(level, sizes, [true, true], 0, false);
            check(level, sizes, [false, false], 2, true);
        }
    }
}

proptest! {
    #[test]
    fn products_have_the_bits_of_the_definition(
        m in 1..60_usize, n in 1..80_usize, k in 1..70_usize, layouts: [bool; 2], gap in 0..3_usize, accumulate: bool,
    ) {
        for level in levels() {
            check(level, [m, n, k], layouts, gap, accumulate);
        }
    }
}

#[test]
fn exact_sums_take_rounded_operands() {
    let left = [1.003_906_2, 3.0];
    let right = [1e9, 1.0];
    let mut out = [1.0];
    let (rows, columns) = (Matrix::rows(&left, 2), Matrix::rows(&right, 1));
    multiply_exactly(Product::new(&mut out, 1, [1, 1, 2], rows, columns, true).expect("sizes"));
    let billion = f64::from(widened(round(1e9)));
    assert_eq!(out, [billion + 3.0 + 1.0]);
}
