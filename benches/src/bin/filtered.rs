//! Filtered gradients of a trained model: time over three bare products against what the filter
//! leaves out.
//!
//! `cargo run --release -p lexmax-benches --bin filtered -- MODEL.safetensors [THREADS [REPEATS
//! [MEMORY_MIB]]]`
//!
//! The file holds `hidden` `[N, D]`, `weight` `[V, D]`, `bias` `[V]` (f32) and `targets` `[N]`
//! (i64); `trained.rs` makes one. Errors are relative in the Euclidean norm,
//! against the exact gradients of the same kernels; the mass is the probability dropped from a row,
//! on average.
#![allow(clippy::unwrap_used)]

use lexmax::kernels::linear_ce::{
    Filter, Gradients, Linear, Options, RowLosses, Upstream, Workspace, default_memory_limit,
    loss_and_gradients,
};
use lexmax_benches::bare::{Clock, GemmFloor, Summary};
use safetensors::{Dtype, SafeTensors};

const EPS: [f64; 8] = [1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3];

/// Elements of one tensor, from little-endian bytes.
fn numbers<T, const BYTES: usize>(
    file: &SafeTensors<'_>,
    name: &str,
    kind: Dtype,
    from: fn([u8; BYTES]) -> T,
) -> Vec<T> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), kind, "{name}");
    tensor.data().chunks_exact(BYTES).map(|bytes| from(bytes.try_into().unwrap())).collect()
}

/// Output buffers of the gradients of one setting.
struct GradientBuffers {
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn relative_error(got: &[f32], exact: &[f32]) -> f64 {
    let (mut off, mut norm) = (0.0, 0.0);
    for (got, exact) in got.iter().zip(exact) {
        off += (f64::from(*got) - f64::from(*exact)).powi(2);
        norm += f64::from(*exact).powi(2);
    }
    (off / norm).sqrt()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().expect("MODEL.safetensors [THREADS [REPEATS [MEMORY_MIB]]]");
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |n| n.parse().unwrap());
    let (threads, repeats) = (number(1, 1), number(2, 5));
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let hidden_size = file.tensor("hidden").unwrap().shape()[1];
    let hidden = numbers(&file, "hidden", Dtype::F32, f32::from_le_bytes);
    let weight = numbers(&file, "weight", Dtype::F32, f32::from_le_bytes);
    let bias = numbers(&file, "bias", Dtype::F32, f32::from_le_bytes);
    let targets = numbers(&file, "targets", Dtype::I64, i64::from_le_bytes);
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size };
    let (rows, vocab) = (linear.rows(), linear.vocab_size());

    let mut settings: Vec<(String, Option<Filter>)> = vec![("exact".to_owned(), None)];
    for exact_weight in [false, true] {
        let name = if exact_weight { "hidden" } else { "both" };
        let of = |eps| (format!("{eps:.0e} {name}"), Some(Filter { eps, exact_weight }));
        settings.extend(EPS.map(of));
    }
    let memory = number(3, default_memory_limit(threads, size_of_val(linear.weight)) >> 20) << 20;
    let mut workspace = Workspace::new(threads).with_memory_limit(memory);
    let run = |filter, made: &mut GradientBuffers, workspace: &mut Workspace<f32>| -> RowLosses {
        let options = Options { filter, ..Options::default() };
        let wanted = Gradients {
            hidden: Some(&mut made.hidden),
            weight: Some(&mut made.weight),
            bias: Some(&mut made.bias),
            accumulate: false,
        };
        let upstream = Upstream::Same(1.0 / rows as f64);
        loss_and_gradients(linear, &targets, &options, upstream, wanted, workspace).unwrap()
    };
    let new = || GradientBuffers {
        hidden: vec![0.0; hidden.len()],
        weight: vec![0.0; weight.len()],
        bias: vec![0.0; vocab],
    };
    let (mut exact, mut made) = (new(), new());
    let losses = run(None, &mut exact, &mut workspace);
    let perplexity = (losses.loss.iter().sum::<f64>() / rows as f64).exp();
    println!(
        "N={rows} D={hidden_size} V={vocab}, perplexity {perplexity:.0}, {threads} threads, best of {repeats}"
    );

    let mut floor = GemmFloor::new(&linear);
    let mut bare = Vec::new();
    let mut times = vec![Vec::new(); settings.len()];
    for _ in 0..repeats {
        bare.push(floor.time(&linear, threads));
        for ((_, filter), times) in settings.iter().zip(&mut times) {
            let start = Clock::start();
            run(*filter, &mut made, &mut workspace);
            times.push(start.seconds());
        }
    }
    let bare = Summary::of(&bare);
    println!("three bare products: {:.1} ms best, {:.1} ms median", bare.best * 1e3, bare.median * 1e3);
    println!(
        "| eps, filtered | best / floor | median / floor | processor time, best / floor | error hidden | error weight | mass | kept |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for ((name, filter), times) in settings.iter().zip(&times) {
        let found = run(*filter, &mut made, &mut workspace);
        let time = Summary::of(times);
        let left_out = found.filtered.unwrap_or_default();
        println!(
            "| {name} | {:.3} | {:.3} | {:.3} | {:.1e} | {:.1e} | {:.1e} | {:.1} % |",
            time.best / bare.best,
            time.median / bare.median,
            time.best_processor / bare.best_processor,
            relative_error(&made.hidden, &exact.hidden),
            relative_error(&made.weight, &exact.weight),
            left_out.dropped_mass / rows as f64,
            100.0 * left_out.share_kept(),
        );
    }
}
