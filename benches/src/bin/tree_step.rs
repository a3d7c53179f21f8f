//! Times one training step of a tree layer and its parts, for growing vocabularies, beside the bare
//! operations and the reference path.
//!
//! `cargo run --release -p lexmax-benches --bin tree_step -- [TREE [ROWS HIDDEN [REPEATS
//! [VOCAB...]]]]`
//!
//! `TREE` is `huffman`, `balanced` or `two-level`. Targets follow a Zipf law, as the counts that
//! the tree is fitted to. A step is loss, gradients and the update of the rows that have one. Times
//! are the best of interleaved repeats in milliseconds, of steps the median too, after the two
//! paths were seen to agree. Last comes a step with label smoothing, which needs all words, at V =
//! 33,278.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use lexmax::hierarchical::{HierarchicalConfig, TreeKind, build};
use lexmax::kernels::seed::{Generator, generator};
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, LossOptions, OutputLayer, WordCounts};
use lexmax_autograd::cpu::{slice, slice_mut};
use rand::RngExt;
use tch::{Device, Kind, Tensor, nn};

const LEARNING_RATE: f32 = 0.05;

/// One layer with its variables.
struct Built {
    layer: Box<dyn OutputLayer>,
    store: nn::VarStore,
    /// Forgets gradients, so that each step hands over its own.
    optimizer: nn::Optimizer,
}

impl Built {
    fn new(
        counts: &WordCounts,
        config: &HierarchicalConfig,
        size: i64,
        compute: Compute,
        sparse: bool,
    ) -> Self {
        let store = nn::VarStore::new(Device::Cpu);
        let mut context = BuildContext::new(store.root(), counts.vocab_size(), size, 1);
        context.counts = Some(counts);
        context.compute = compute;
        context.sparse_gradients = sparse;
        let layer = build(&context, config).unwrap();
        let optimizer = nn::OptimizerConfig::build(nn::Sgd::default(), &store, 1.0).unwrap();
        Self { layer, store, optimizer }
    }

    /// Seconds of loss, backward pass and update, and the loss.
    fn step(&mut self, hidden: &Tensor, targets: &Tensor) -> ([f64; 3], f64) {
        self.optimizer.zero_grad();
        let mut hidden = hidden.detach().set_requires_grad(true);
        let start = Instant::now();
        let loss = self.layer.loss_with(&hidden, targets, &mut generator(1, "negatives", 0)).unwrap();
        let forward = start.elapsed().as_secs_f64();
        loss.backward().unwrap();
        let backward = start.elapsed().as_secs_f64();
        for variable in self.store.trainable_variables() {
            update(&variable);
        }
        let all = start.elapsed().as_secs_f64();
        hidden.zero_grad();
        ([forward, backward - forward, all - backward], loss.value().unwrap())
    }
}

/// Plain gradient descent: every row where the gradient is dense, its own rows where it is not.
fn update(variable: &Tensor) {
    let gradient = variable.grad();
    let mut values = variable.detach();
    if !gradient.is_sparse() {
        let _ = values.f_sub_(&(gradient * f64::from(LEARNING_RATE))).unwrap();
        return;
    }
    // The layer's rows rise and none comes twice, so nothing needs to be coalesced.
    let (rows, gradients) =
        (gradient.internal_indices().select(0, 0).contiguous(), gradient.internal_values());
    let width = usize::try_from(gradients.numel() as i64 / gradients.size()[0].max(1)).unwrap().max(1);
    let values = slice_mut::<f32>(&mut values).unwrap();
    for (row, gradient) in
        slice::<i64>(&rows).unwrap().iter().zip(slice::<f32>(&gradients).unwrap().chunks(width))
    {
        let start = *row as usize * width;
        for (value, gradient) in values[start..start + width].iter_mut().zip(gradient) {
            *value -= LEARNING_RATE * gradient;
        }
    }
}

/// The best and the median of times, in milliseconds.
fn best_and_median(times: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    (times[0] * 1e3, times[times.len() / 2] * 1e3)
}

/// Operations a second of a plain product on the same threads.
fn product_rate(rows: i64, size: i64) -> f64 {
    let (a, b) = (
        Tensor::rand([rows, size], (Kind::Float, Device::Cpu)),
        Tensor::rand([size, 1024], (Kind::Float, Device::Cpu)),
    );
    let time = |_| {
        let start = Instant::now();
        let _ = a.matmul(&b);
        start.elapsed().as_secs_f64()
    };
    2.0 * (rows * size * 1024) as f64 / (best_and_median((0..100).map(time)).0 / 1e3)
}

/// Counts by Zipf's law.
fn zipf_counts(vocab: i64) -> WordCounts {
    WordCounts::new((0..vocab as u64).map(|rank| 100_000_000 / (rank + 1)).collect()).unwrap()
}

/// Draws from `1 / (rank + 1)`.
fn zipf(rng: &mut Generator, counts: &WordCounts, rows: i64) -> Tensor {
    let mut cumulative = 0.0;
    let sums: Vec<f64> = counts
        .counts()
        .iter()
        .map(|count| {
            cumulative += *count as f64;
            cumulative
        })
        .collect();
    let draw =
        |_| sums.partition_point(|sum| *sum <= rng.random::<f64>() * cumulative).min(sums.len() - 1) as i64;
    Tensor::from_slice(&(0..rows).map(draw).collect::<Vec<i64>>())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tree = match arguments.first().map_or("huffman", String::as_str) {
        "huffman" => TreeKind::Huffman,
        "balanced" => TreeKind::Balanced,
        "two-level" => TreeKind::TwoLevel,
        other => panic!("the tree is {other}, expected huffman, balanced or two-level"),
    };
    let number = |index: usize, default| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (rows, size, repeats): (i64, i64, usize) = (number(1, 1024), number(2, 256), number(3, 30) as usize);
    let vocabs: Vec<i64> = match arguments.get(4..) {
        Some(given) if !given.is_empty() => given.iter().map(|text| text.parse().unwrap()).collect(),
        _ => vec![10_000, 33_278, 1_000_000],
    };
    tch::set_num_threads(2);
    let rate = product_rate(rows, size);
    println!(
        "{tree:?}, N = {rows}, D = {size}, 2 threads, f32; a plain product makes {:.0} GFLOP/s",
        rate / 1e9
    );
    println!(
        "{:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>9}",
        "V", "bare", "loss", "backward", "update", "step", "median", "step/bare", "dense", "reference"
    );
    let mut first = None;
    let config = HierarchicalConfig { tree, ..HierarchicalConfig::default() };
    for vocab in vocabs {
        let mut rng = generator(7, "step example", 0);
        let counts = zipf_counts(vocab);
        // The reference path makes [V, D] in each step: left out where that says nothing more.
        let paths = [(Compute::Fastest, true), (Compute::Fastest, false), (Compute::Reference, false)];
        let kept = if vocab > 200_000 { 1 } else { paths.len() };
        let mut made: Vec<_> = paths[..kept]
            .iter()
            .map(|(compute, sparse)| Built::new(&counts, &config, size, *compute, *sparse))
            .collect();
        let mut times = vec![vec![]; kept];
        let mut operations = 0.0;
        for repeat in 0..repeats + 3 {
            let hidden = Tensor::rand([rows, size], (Kind::Float, Device::Cpu)) - 0.5;
            let targets = zipf(&mut rng, &counts, rows);
            let mut losses = vec![];
            for (made, times) in made.iter_mut().zip(&mut times) {
                let (parts, loss) = made.step(&hidden, &targets);
                losses.push(loss);
                if repeat >= 3 {
                    times.push(parts);
                }
            }
            assert!(
                losses.iter().all(|loss| (loss - losses[0]).abs() < 1e-3),
                "the paths differ: {losses:?}"
            );
            operations = made[0].layer.cost(rows as u64).train.flops;
        }
        let part = |times: &[[f64; 3]], part: usize| best_and_median(times.iter().map(|parts| parts[part])).0;
        let step = |times: &[[f64; 3]]| best_and_median(times.iter().map(|parts| parts.iter().sum()));
        let bare = operations / rate * 1e3;
        let (all, usual) = step(&times[0]);
        print!(
            "{vocab:>9} {bare:>7.3} {:>9.3} {:>9.3} {:>9.3}",
            part(&times[0], 0),
            part(&times[0], 1),
            part(&times[0], 2)
        );
        print!(" {all:>9.3} {usual:>9.3} {:>10.1}", all / bare);
        for other in &times[1..] {
            print!(" {:>9.3}", step(other).0);
        }
        let ratio = all / *first.get_or_insert(all);
        println!("   {ratio:.2} x the first");
    }
    smoothed(config, rows, size);
}

/// A step with label smoothing on both paths.
fn smoothed(config: HierarchicalConfig, rows: i64, size: i64) {
    let loss = LossOptions { label_smoothing: 0.1, ..config.loss.clone() };
    let config = HierarchicalConfig { loss, ..config };
    let counts = zipf_counts(33_278);
    let hidden = Tensor::rand([rows, size], (Kind::Float, Device::Cpu)) - 0.5;
    let targets = zipf(&mut generator(7, "step example", 0), &counts, rows);
    let mut best = [Compute::Fastest, Compute::Reference]
        .map(|compute| (Built::new(&counts, &config, size, compute, false), f64::INFINITY));
    for _ in 0..5 {
        let losses = best.each_mut().map(|(made, best)| {
            let (parts, loss) = made.step(&hidden, &targets);
            *best = best.min(parts[0] + parts[1]);
            loss
        });
        assert!((losses[0] - losses[1]).abs() < 1e-3, "the paths differ: {losses:?}");
    }
    let [fused, reference] = best.map(|(_, best)| best * 1e3);
    println!(
        "label smoothing, V = 33,278: loss and gradients {fused:.1} ms, reference {reference:.1} ms, {:.2} of it",
        fused / reference
    );
}
