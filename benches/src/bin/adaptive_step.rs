//! A training step of the adaptive softmax by its parts, beside the bare matrix products of the
//! same shapes.
//!
//! `cargo run --release -p lexmax-benches --bin adaptive_step -- [ROWS HIDDEN VOCAB
//! CUTOFF,CUTOFF,.. [THREADS [REPEATS [uniform]]]]`
//!
//! Targets follow the frequencies `1 / (id + 2.7)` (or are uniform). Medians of interleaved
//! repeats: what the parts leave of the whole step is routing, checks, the graph and fresh memory.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use lexmax::adaptive::{Adaptive, AdaptiveConfig};
use lexmax::kernels::linear_ce::{Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients};
use lexmax::kernels::projection::Projection;
use lexmax::kernels::seed::generator;
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, OutputLayer, TrainingLoss};
use lexmax_autograd::cpu::slice;
use rand::RngExt;
use tch::{Device, Tensor, nn};

/// One softmax of the step: its rows, width and entries.
struct Part {
    name: String,
    hidden: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    targets: Vec<i64>,
}

impl Part {
    fn sizes(&self) -> [usize; 3] {
        [self.targets.len(), self.weight.size()[0] as usize, self.weight.size()[1] as usize]
    }

    fn sweep(&self, workspace: &mut Workspace<f32>) {
        let [rows, entries, width] = self.sizes();
        let (mut d_hidden, mut d_weight) = (vec![0.0; rows * width], vec![0.0; entries * width]);
        let mut d_bias = self.bias.as_ref().map(|_| vec![0.0; entries]);
        let linear = Linear {
            hidden: slice(&self.hidden).unwrap(),
            weight: slice(&self.weight).unwrap(),
            bias: self.bias.as_ref().map(|bias| slice(bias).unwrap()),
            hidden_size: width,
        };
        let into = Gradients {
            hidden: Some(&mut d_hidden),
            weight: Some(&mut d_weight),
            bias: d_bias.as_deref_mut(),
            accumulate: false,
        };
        let upstream = Upstream::Same(1.0 / rows as f64);
        loss_and_gradients(linear, &self.targets, &Options::default(), upstream, into, workspace).unwrap();
    }

    /// The three products, `threads` shares of the entries side by side.
    fn bare(&self, logits: &mut Vec<f32>, threads: usize) {
        let [rows, entries, width] = self.sizes();
        let (hidden, weight) = (slice::<f32>(&self.hidden).unwrap(), slice::<f32>(&self.weight).unwrap());
        let share = entries.div_ceil(threads);
        logits.resize((rows * entries).max(logits.len()), 0.0);
        let mut d_weight = vec![0.0_f32; entries * width];
        std::thread::scope(|scope| {
            let shares = logits.chunks_mut(share * rows).zip(d_weight.chunks_mut(share * width));
            for ((logits, d_weight), weight) in shares.zip(weight.chunks(share * width)) {
                let entries = weight.len() / width;
                scope.spawn(move || {
                    let mut d_hidden = vec![0.0; rows * width];
                    product([entries, rows, width], logits, (weight, [width, 1]), (hidden, [1, width]));
                    product([rows, width, entries], &mut d_hidden, (logits, [1, rows]), (weight, [width, 1]));
                    product([entries, width, rows], d_weight, (logits, [rows, 1]), (hidden, [width, 1]));
                });
            }
        });
    }
}

/// Row-major `out [m, n] = left [m, k] right [k, n]`, each operand with its strides
/// `(row, column)`.
fn product([m, n, k]: [usize; 3], out: &mut [f32], left: (&[f32], [usize; 2]), right: (&[f32], [usize; 2])) {
    assert!(out.len() >= m * n && left.0.len() >= m * k && right.0.len() >= k * n);
    let strides = |of: [usize; 2]| of.map(|stride| stride as isize);
    let ([left_row, left_column], [right_row, right_column]) = (strides(left.1), strides(right.1));
    // SAFETY: the operands are dense with these strides, so `m k`, `k n` and `m n` numbers are all
    // that is touched, and the slices hold as many; `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            left.0.as_ptr(),
            left_column,
            left_row,
            right.0.as_ptr(),
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn draw_targets(rows: usize, vocab: usize, uniform: bool) -> Vec<i64> {
    let mut sums = Vec::with_capacity(vocab);
    let mut total = 0.0;
    for id in 0..vocab {
        total += if uniform { 1.0 } else { 1.0 / (id as f64 + 2.7) };
        sums.push(total);
    }
    let mut rng = generator(1, "targets of the example", 0);
    let mut draw = || rng.random::<f64>() * total;
    (0..rows).map(|_| draw()).map(|u| sums.partition_point(|sum| *sum <= u).min(vocab - 1) as i64).collect()
}

/// The gradients of all parameters and of the hidden states.
fn gradients(loss: &TrainingLoss, store: &nn::VarStore, hidden: &Tensor) -> Vec<Tensor> {
    let mut inputs = store.trainable_variables();
    inputs.push(hidden.shallow_clone());
    Tensor::f_run_backward(&[loss.tensor()], &inputs, false, false).unwrap()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2] * 1e3
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: usize| given.get(at).map_or(or, |text| text.parse().unwrap());
    let (rows, size, vocab) = (number(0, 1024), number(1, 256), number(2, 33_278));
    let cutoffs = given.get(3).map_or("2000,10000", String::as_str);
    let cutoffs: Vec<i64> = cutoffs.split(',').map(|cutoff| cutoff.parse().unwrap()).collect();
    let (threads, repeats) = (number(4, 2), number(5, 15));
    tch::set_num_threads(threads as i32);

    let build = |store: &nn::VarStore, compute| {
        let mut context = BuildContext::new(store.root(), vocab as i64, size as i64, 1);
        context.compute = compute;
        let config = AdaptiveConfig { cutoffs: cutoffs.clone(), ..AdaptiveConfig::default() };
        Adaptive::new(&context, &config).unwrap()
    };
    let (store, other) = (nn::VarStore::new(Device::Cpu), nn::VarStore::new(Device::Cpu));
    let layer = build(&store, Compute::Fastest);
    // The same parameters, by plain ATen.
    let reference = build(&other, Compute::Reference);
    let targets = draw_targets(rows, vocab, given.get(6).is_some_and(|word| word == "uniform"));
    let ids = Tensor::from_slice(&targets);
    let noise: Vec<f32> = {
        let mut rng = generator(2, "hidden states of the example", 0);
        (0..rows * size).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
    };
    let hidden = Tensor::from_slice(&noise).view([rows as i64, size as i64]).set_requires_grad(true);

    let variables = store.variables();
    let variable = |name: &str| variables.get(name).map(Tensor::detach);
    let part_of = |target: i64| cutoffs.iter().filter(|cutoff| **cutoff <= target).count();
    let head_target = |target: &i64| match part_of(*target) {
        0 => *target,
        part => cutoffs[0] + part as i64 - 1,
    };
    let mut parts = vec![Part {
        name: "head".to_owned(),
        hidden: hidden.detach(),
        weight: variable("head.weight").unwrap(),
        bias: variable("head.bias"),
        targets: targets.iter().map(head_target).collect(),
    }];
    let mut visits = Vec::new();
    for (index, cutoff) in cutoffs.iter().enumerate() {
        let own: Vec<usize> = (0..rows).filter(|row| part_of(targets[*row]) == index + 1).collect();
        if own.is_empty() {
            continue;
        }
        let ids = Tensor::from_slice(&own.iter().map(|row| *row as i64).collect::<Vec<_>>());
        let projection = variable(&format!("tail.{index}.projection")).unwrap();
        parts.push(Part {
            name: format!("cluster {index}"),
            hidden: hidden.detach().index_select(0, &ids).linear(&projection, None::<&Tensor>),
            weight: variable(&format!("tail.{index}.weight")).unwrap(),
            bias: None,
            targets: own.iter().map(|row| targets[*row] - cutoff).collect(),
        });
        visits.push((own, projection));
    }

    let mut times: Vec<Vec<f64>> = vec![Vec::new(); 2 * parts.len() + 9];
    let (mut workspace, mut logits) = (Workspace::new(threads), Vec::new());
    let mut d_hidden = vec![0.0; rows * size];
    for _ in 0..=repeats {
        let mut slot = times.iter_mut();
        let mut time = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            slot.next().unwrap().push(start.elapsed().as_secs_f64());
        };
        let mut loss = None;
        time(&mut || loss = Some(layer.loss_with(&hidden, &ids, &mut generator(1, "negatives", 0)).unwrap()));
        // As gradients that an optimizer dropped before: handed over, not added to what is there.
        time(&mut || drop(gradients(&loss.take().unwrap(), &store, &hidden)));
        time(&mut || drop(layer.log_prob(&hidden.detach(), &ids).unwrap()));
        time(&mut || {
            let rows = hidden.detach();
            for ((own, weight), part) in visits.iter().zip(&parts[1..]) {
                let projection = Projection {
                    hidden: slice(&rows).unwrap(),
                    hidden_size: size,
                    rows: Some(own),
                    weight: slice(weight).unwrap(),
                };
                let [count, _, width] = part.sizes();
                let (mut out, mut d_weight) = (vec![0.0; count * width], vec![0.0; width * size]);
                projection.forward(&mut out, &workspace).unwrap();
                projection.gradients(&out, Some(&mut d_weight), Some(&mut d_hidden), &workspace).unwrap();
            }
        });
        for part in &parts {
            time(&mut || part.sweep(&mut workspace));
        }
        for part in &parts {
            time(&mut || part.bare(&mut logits, threads));
        }
        let rows = hidden.detach();
        for layer in [&layer, &reference] {
            time(&mut || drop(layer.top_k(&rows, 10).unwrap()));
            time(&mut || drop(layer.sample(&rows, &mut generator(1, "draws", 0)).unwrap()));
        }
        time(&mut || {
            let loss = reference.loss_with(&hidden, &ids, &mut generator(1, "negatives", 0)).unwrap();
            drop(gradients(&loss, &other, &hidden));
        });
    }
    // The first repeat warms up.
    let mut medians = times.iter_mut().map(|times| median(&mut times[1..]));
    let mut next = || medians.next().unwrap();
    println!(
        "N={rows} D={size} V={vocab} cutoffs {cutoffs:?}, {threads} threads, medians of {repeats} in ms"
    );
    let (forward, backward, evaluation, projections) = (next(), next(), next(), next());
    let sweeps: Vec<f64> = parts.iter().map(|_| next()).collect();
    let bare: Vec<f64> = parts.iter().map(|_| next()).collect();
    for ((part, sweep), bare) in parts.iter().zip(&sweeps).zip(&bare) {
        let [rows, entries, width] = part.sizes();
        let shape = format!("[{rows}, {width}] x [{entries}, {width}]");
        let rate = 6e-6 * (rows * entries * width) as f64 / bare;
        println!(
            "{:10} {shape:28} sweep {sweep:7.2}  bare products {bare:7.2} ({rate:5.1} GFLOP/s)",
            part.name
        );
    }
    let [top_k, sample, plain_top_k, plain_sample, plain_step] = [(); 5].map(|()| next());
    let (sweeps, bare) = (sweeps.iter().sum::<f64>(), bare.iter().sum::<f64>());
    let step = forward + backward;
    println!("projections {projections:.2}");
    println!("sweeps {sweeps:.2}, bare products {bare:.2}, ratio {:.3}", sweeps / bare);
    println!("log_prob of the targets {evaluation:.2}");
    println!(
        "loss and gradients {step:.2} (loss {forward:.2}, backward {backward:.2}): {:.3} of the bare products, {:.2} beside \
         sweeps and projections",
        step / bare,
        step - sweeps - projections
    );
    println!(
        "top 10 {top_k:.2} and draws {sample:.2}; reference path {plain_top_k:.2} and {plain_sample:.2}"
    );
    println!("loss and gradients on the reference path {plain_step:.2}");
}
