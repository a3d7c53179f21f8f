//! The fused loss and gradients, in f32 and with products in bf16, beside their floors: the same
//! three matrix products, bare, by the crate `gemm` and by libtorch.
//!
//! `cargo run --release -p lexmax-benches --bin sweep -- [ROWS HIDDEN VOCAB [THREADS [REPEATS
//! [MEMORY_MIB]]]]`
//!
//! Prints the best and the median of interleaved repeats and their ratios, by the wall's clock and
//! in processor time, which does not count waiting on a shared machine, and the time in bf16 over
//! that in f32. The answers are checked before anything is timed.
#![allow(clippy::unwrap_used)]

use lexmax::kernels::linear_ce::{
    Gradients, Linear, Options, Upstream, Workspace, default_memory_limit, loss, loss_and_gradients,
    workspace_bytes,
};
use lexmax::kernels::product::{Precision, has_bf16_instructions};
use lexmax::kernels::seed::generator;
use lexmax::kernels::{Level, logspace::log_sum_exp, set_runner};
use lexmax_benches::bare::{Clock, GemmFloor, Seconds, Summary};
use lexmax_benches::{Floor as TorchFloor, Sizes};
use rand::RngExt;

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let (rows, size, vocab) =
        if given.len() >= 3 { (given[0], given[1], given[2]) } else { (1024, 256, 33_278) };
    let threads = given.get(3).copied().unwrap_or(1);
    let repeats = given.get(4).copied().unwrap_or(5);
    let memory =
        given.get(5).map_or(default_memory_limit(threads, 4 * vocab * size), |mebibytes| mebibytes << 20);
    let mut rng = generator(1, "sweep example", 0);
    let mut draw =
        |len: usize, scale: f32| (0..len).map(|_| (rng.random::<f32>() - 0.5) * scale).collect::<Vec<f32>>();
    let (hidden, weight, bias) = (draw(rows * size, 2.0), draw(vocab * size, 1.0), draw(vocab, 1.0));
    let targets: Vec<i64> =
        draw(rows, 1.0).iter().map(|u| (((u + 0.5) * vocab as f32) as i64).min(vocab as i64 - 1)).collect();
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size: size };
    let options = Options::default();
    let (mut d_hidden, mut d_weight, mut d_bias) =
        (vec![0.0; rows * size], vec![0.0; vocab * size], vec![0.0; vocab]);
    tch::set_num_threads(i32::try_from(threads).unwrap());
    let choice = lexmax_products::chosen().unwrap();
    println!("products by {}: {}", choice.library.name(), choice.reason);
    // As the layers have it: libtorch's threads, which are awake from the call before.
    set_runner(|count, work| drop(lexmax_autograd::for_each_index(count, work)));
    let mut workspace = Workspace::new(threads).with_memory_limit(memory).with_products(choice.library);
    let mut mixed = Workspace::new(threads).with_memory_limit(memory);
    mixed.set_precision(Precision::Bf16);
    let fused =
        |workspace: &mut Workspace<f32>, d_hidden: &mut [f32], d_weight: &mut [f32], d_bias: &mut [f32]| {
            let wanted = Gradients {
                hidden: Some(d_hidden),
                weight: Some(d_weight),
                bias: Some(d_bias),
                accumulate: false,
            };
            let upstream = Upstream::Same(1.0 / rows as f64);
            loss_and_gradients(linear, &targets, &options, upstream, wanted, workspace).unwrap()
        };
    for (workspace, tolerance) in [(&mut workspace, 1e-5), (&mut mixed, 3e-3)] {
        let got = fused(workspace, &mut d_hidden, &mut d_weight, &mut d_bias);
        check(linear, &targets, &got.loss, &d_bias, tolerance);
    }

    let mut forward = Workspace::new(threads).with_memory_limit(memory).with_products(choice.library);
    let mut floor = GemmFloor::new(&linear);
    let [rows_, size_, vocab_] = [rows, size, vocab].map(|number| i64::try_from(number).unwrap());
    let torch = TorchFloor::new(Sizes { rows: rows_, width: size_, classes: vocab_ }, 3).unwrap();
    let mut times: [Vec<Seconds>; 5] = Default::default();
    for _ in 0..repeats {
        times[0].push(floor.time(&linear, threads));
        let start = Clock::start();
        torch.run().unwrap();
        times[3].push(start.seconds());
        let start = Clock::start();
        fused(&mut workspace, &mut d_hidden, &mut d_weight, &mut d_bias);
        times[1].push(start.seconds());
        let start = Clock::start();
        fused(&mut mixed, &mut d_hidden, &mut d_weight, &mut d_bias);
        times[4].push(start.seconds());
        let start = Clock::start();
        loss(linear, &targets, &options, &mut forward).unwrap();
        times[2].push(start.seconds());
    }
    let operations = 6.0 * rows as f64 * size as f64 * vocab as f64;
    println!(
        "N={rows} D={size} V={vocab} threads={threads} {:?}, best and median of {repeats}",
        Level::best()
    );
    let bytes = workspace_bytes::<f32>(rows, size, vocab, threads, memory, true);
    println!("workspace at most {:.1} MiB", bytes as f64 / f64::from(1 << 20));
    // The faster of the two.
    let [gemm, torch] = [0, 3].map(|index| Summary::of(&times[index]));
    let floor = if gemm.median <= torch.median { gemm } else { torch };
    for (name, index, share) in [
        ("bare, by gemm", 0, 1.0),
        ("bare, by libtorch", 3, 1.0),
        ("loss and gradients", 1, 1.0),
        ("the same in bf16", 4, 1.0),
        ("loss alone", 2, 1.0 / 3.0),
    ] {
        let time = Summary::of(&times[index]);
        println!(
            "{name:20} {:9.1} {:9.1} ms  {:6.1} GFLOP/s  {:5.3} {:5.3} of the faster floor, processor time {:5.3} {:5.3}",
            time.best * 1e3,
            time.median * 1e3,
            operations * share / time.best / 1e9,
            time.best / floor.best,
            time.median / floor.median,
            time.best_processor / floor.best_processor,
            time.median_processor / floor.median_processor,
        );
    }
    let [full, mixed] = [1, 4].map(|index| Summary::of(&times[index]));
    println!(
        "bf16 over f32: {:.3} best, {:.3} median; processor time {:.3} and {:.3} ({})",
        mixed.best / full.best,
        mixed.median / full.median,
        mixed.best_processor / full.best_processor,
        mixed.median_processor / full.median_processor,
        if has_bf16_instructions() { "by AVX-512-BF16" } else { "without instructions for bf16" },
    );
}

/// Losses of a few rows in f64, and the sum of the bias's gradient, which is zero.
fn check(linear: Linear<'_, f32>, targets: &[i64], losses: &[f64], d_bias: &[f32], tolerance: f64) {
    let size = linear.hidden_size;
    for row in (0..losses.len()).step_by(losses.len().div_ceil(4)) {
        let hidden = &linear.hidden[row * size..(row + 1) * size];
        let logits: Vec<f64> = linear
            .weight
            .chunks_exact(size)
            .zip(linear.bias.unwrap())
            .map(|(weight, bias)| {
                weight.iter().zip(hidden).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
                    + f64::from(*bias)
            })
            .collect();
        let exact = log_sum_exp(logits.iter().copied()) - logits[targets[row] as usize];
        assert!(
            (losses[row] - exact).abs() <= tolerance * exact.max(1.0),
            "row {row}: {} instead of {exact}",
            losses[row]
        );
    }
    let total: f64 = d_bias.iter().map(|x| f64::from(*x)).sum();
    assert!(total.abs() < 1e-5, "the bias's gradient sums to {total}");
}
