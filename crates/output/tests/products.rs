//! Libraries of matrix products: the fused path gives the same numbers by each, to rounding, and
//! the same bits each time.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::Element;
use lexmax_kernels::linear_ce::{Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients};
use lexmax_kernels::product::ProductLibrary;
use lexmax_kernels::projection::Projection;
use lexmax_products::{by_name, libraries};
use proptest::prelude::*;

/// libtorch is loaded, and with it its BLAS.
fn blas() -> ProductLibrary {
    tch::set_num_threads(2);
    by_name("blas", "test").unwrap()
}

fn wave<T: Element>(len: usize, phase: f64) -> Vec<T> {
    (0..len).map(|at| T::from_f64((at as f64 * 1.73 + phase).sin())).collect()
}

/// Losses, then the gradients of hidden states, weight and bias.
fn by<T: Element>(
    library: ProductLibrary,
    [rows, size, classes]: [usize; 3],
    threads: usize,
) -> [Vec<f64>; 4] {
    let (hidden, weight, bias) =
        (wave::<T>(rows * size, 0.1), wave::<T>(classes * size, 0.2), wave(classes, 0.3));
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size: size };
    let targets: Vec<i64> = (0..rows).map(|row| (row * 7 % classes) as i64).collect();
    let (mut d_hidden, mut d_weight, mut d_bias) =
        (wave(rows * size, 0.4), wave(classes * size, 0.5), wave(classes, 0.6));
    let wanted = Gradients {
        hidden: Some(&mut d_hidden),
        weight: Some(&mut d_weight),
        bias: Some(&mut d_bias),
        accumulate: false,
    };
    let mut workspace = Workspace::new(threads).with_products(library);
    let upstream = Upstream::Same(1.0);
    let made =
        loss_and_gradients(linear, &targets, &Options::default(), upstream, wanted, &mut workspace).unwrap();
    let doubles = |numbers: Vec<T>| numbers.into_iter().map(Element::to_f64).collect();
    [made.loss, doubles(d_hidden), doubles(d_weight), doubles(d_bias)]
}

/// Largest difference over the largest number.
fn apart(one: &[f64], other: &[f64]) -> f64 {
    let largest = one.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
    one.iter().zip(other).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / largest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn libraries_agree_to_rounding(rows in 1..40_usize, size in 1..40_usize, classes in 1..900_usize, threads in 1..4_usize) {
        let sizes = [rows, size, classes];
        let (gemm, blas) = (by::<f64>(ProductLibrary::GEMM, sizes, threads), by::<f64>(blas(), sizes, threads));
        for (one, other) in gemm.iter().zip(&blas) {
            prop_assert!(apart(one, other) < 1e-12, "{sizes:?}: {}", apart(one, other));
        }
        let single = by::<f32>(by_name("blas", "test").unwrap(), sizes, threads);
        for (one, other) in gemm.iter().zip(&single) {
            prop_assert!(apart(one, other) < 1e-4, "{sizes:?}: {}", apart(one, other));
        }
    }
}

#[test]
fn each_library_gives_the_same_bits_each_time() {
    tch::set_num_threads(2);
    for library in libraries() {
        for threads in [1, 2] {
            let run = || by::<f32>(library, [100, 33, 5000], threads);
            let first = run();
            // Memory of another alignment in between.
            let _other = vec![0_u8; 12_345];
            assert_eq!(run(), first, "{}, {threads} threads", library.name());
        }
    }
}

#[test]
fn projected_rows_agree_by_both_libraries() {
    let (hidden, weight) = (wave::<f64>(9 * 5, 0.1), wave::<f64>(3 * 5, 0.2));
    let rows = [1, 2, 5, 8];
    let projection = Projection { hidden: &hidden, hidden_size: 5, rows: Some(&rows), weight: &weight };
    let by = |library| {
        let workspace = Workspace::new(1).with_products(library);
        let (mut out, mut d_weight, mut d_hidden) = (vec![0.0; 12], vec![0.0; 15], vec![0.0; 45]);
        projection.forward(&mut out, &workspace).unwrap();
        projection.gradients(&out, Some(&mut d_weight), Some(&mut d_hidden), &workspace).unwrap();
        [out, d_weight, d_hidden]
    };
    let (gemm, blas) = (by(ProductLibrary::GEMM), by(blas()));
    for (one, other) in gemm.iter().zip(&blas) {
        assert!(apart(one, other) < 1e-14);
    }
}
