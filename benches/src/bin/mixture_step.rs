//! One training step of a mixture of softmaxes: the fused path, the reference path, and the bare
//! matrix products of the latter, with the memory that each takes beyond parameters, input and
//! gradients.
//!
//! `cargo run --release -p lexmax-benches --bin mixture_step -- [ROWS HIDDEN VOCAB COMPONENTS
//! [THREADS [REPEATS]]]`
//!
//! Last come the ten likeliest classes. A step is the loss and the gradients of all parameters and
//! of the hidden states. The two paths are held to each other before anything is timed; repeats are
//! interleaved. Peak memory is the process's, as Linux counts it, and needs `/proc`.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use lexmax::kernels::seed::generator;
use lexmax::mixture::{Mixture, MixtureConfig};
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, LossOptions, OutputLayer};
use rand::RngExt;
use tch::{Device, Kind, Tensor, nn};

/// `N`, `D`, `V`, `K`.
#[derive(Clone, Copy)]
struct Sizes {
    rows: i64,
    hidden: i64,
    vocab: i64,
    components: i64,
    smoothing: f64,
}

/// A layer with its parameters and the way that it takes.
struct Way {
    name: &'static str,
    layer: Mixture,
    variables: Vec<Tensor>,
}

impl Way {
    fn new(name: &'static str, sizes: Sizes, compute: Compute) -> Self {
        let store = nn::VarStore::new(Device::Cpu);
        let mut context = BuildContext::new(store.root(), sizes.vocab, sizes.hidden, 1);
        context.compute = compute;
        let loss = LossOptions { label_smoothing: sizes.smoothing, ..LossOptions::default() };
        let config = MixtureConfig { components: sizes.components, loss, ..MixtureConfig::default() };
        let layer = Mixture::new(&context, &config).unwrap();
        let mut variables: Vec<_> = store.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        Self { name, layer, variables: variables.into_iter().map(|(_, variable)| variable).collect() }
    }

    /// Loss and gradients.
    fn step(&mut self, hidden: &Tensor, targets: &Tensor) -> (f64, Vec<Tensor>) {
        let rng = &mut generator(1, "negatives", 0);
        let loss = self.layer.loss_with(hidden, targets, rng).unwrap().into_tensor();
        let mut inputs = vec![hidden];
        inputs.extend(&self.variables);
        let gradients = Tensor::run_backward(&[&loss], &inputs, false, false);
        (loss.double_value(&[]), gradients)
    }

    /// Bytes by which the process grew at most in a step, without those of the gradients.
    fn peak_bytes(&mut self, hidden: &Tensor, targets: &Tensor) -> Option<u64> {
        let read = |key: &str| -> Option<u64> {
            let status = std::fs::read_to_string("/proc/self/status").ok()?;
            let line = status.lines().find(|line| line.starts_with(key))?.to_owned();
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
        };
        // Sets the high-water mark back to what is resident now.
        std::fs::write("/proc/self/clear_refs", "5").ok()?;
        let before = read("VmRSS:")?;
        let (_, gradients) = self.step(hidden, targets);
        let made: usize = gradients.iter().map(|tensor| tensor.numel() * size_of::<f32>()).sum();
        Some(read("VmHWM:")?.saturating_sub(before + made as u64))
    }
}

/// The `3 K` products with the class weight, and nothing else.
fn bare_products(states: &[Tensor], weight: &Tensor) {
    let transposed = weight.transpose(0, 1);
    for state in states {
        let logits = state.matmul(&transposed);
        let _ = logits.matmul(weight);
        let _ = logits.transpose(0, 1).matmul(state);
    }
}

fn compare(sizes: Sizes, repeats: usize) {
    let mut rng = generator(1, "step example", 0);
    let draw: Vec<f32> = (0..sizes.rows * sizes.hidden).map(|_| rng.random::<f32>() - 0.5).collect();
    let hidden = Tensor::from_slice(&draw).view([sizes.rows, sizes.hidden]).set_requires_grad(true);
    let targets: Vec<i64> = (0..sizes.rows).map(|_| rng.random_range(0..sizes.vocab)).collect();
    let targets = Tensor::from_slice(&targets);
    let states: Vec<Tensor> = (0..sizes.components).map(|_| hidden.detach().tanh()).collect();

    let mut ways =
        [Way::new("fused", sizes, Compute::Fastest), Way::new("reference", sizes, Compute::Reference)];
    let weight = ways[1].variables.last().unwrap().detach();
    assert_eq!(weight.size(), [sizes.vocab, sizes.hidden]);
    // What libtorch sets up at its first calls is not counted.
    let small = Sizes { rows: 16, vocab: 64, ..sizes };
    for compute in [Compute::Fastest, Compute::Reference] {
        let targets = targets.narrow(0, 0, 16).remainder(64);
        Way::new("small", small, compute).step(&hidden.narrow(0, 0, 16), &targets);
    }
    let memory: Vec<_> = ways.iter_mut().map(|way| way.peak_bytes(&hidden, &targets)).collect();
    let [(loss, fused), (other, reference)] = ways.each_mut().map(|way| way.step(&hidden, &targets));
    assert!((loss - other).abs() <= 1e-5 * other, "losses {loss} and {other}");
    for (a, b) in fused.iter().zip(&reference) {
        let (error, scale) = ((a - b).abs().max().double_value(&[]), b.abs().max().double_value(&[]));
        assert!(error <= 1e-4 * scale, "gradients of {:?} differ by {error} of {scale}", b.size());
    }
    drop((fused, reference));

    let mut spent = [[f64::INFINITY; 2]; 3];
    let mut timed = |index: usize, run: &mut dyn FnMut()| {
        let (start, processor) = (Instant::now(), processor_seconds());
        run();
        let now = [start.elapsed().as_secs_f64(), processor_seconds() - processor];
        spent[index] = [0, 1].map(|clock| spent[index][clock].min(now[clock]));
    };
    for _ in 0..repeats {
        for (index, way) in ways.iter_mut().enumerate() {
            timed(index, &mut || drop(way.step(&hidden, &targets)));
        }
        timed(2, &mut || tch::no_grad(|| bare_products(&states, &weight)));
    }
    let Sizes { rows, hidden, vocab, components, smoothing } = sizes;
    let threads = tch::get_num_threads();
    println!(
        "mos of {components}, label smoothing {smoothing}, N={rows} D={hidden} V={vocab}, {threads} threads, best of {repeats}: time, processor time"
    );
    for (index, [time, processor]) in spent.iter().enumerate() {
        let name = ways.get(index).map_or("bare products", |way| way.name);
        let held = memory.get(index).copied().flatten();
        let held =
            held.map_or(String::new(), |bytes| format!("{:8.1} MiB", bytes as f64 / f64::from(1 << 20)));
        println!(
            "{name:14} {:9.1} {:9.1} ms  {:5.3} {:5.3} of the reference  {held}",
            time * 1e3,
            processor * 1e3,
            time / spent[1][0],
            processor / spent[1][1],
        );
    }
}

/// The exact ten likeliest classes of each row on both paths: of a fresh layer, whose flat
/// components disagree, and of one with ten times its class weight, whose probabilities are as
/// uneven as after training.
fn top_ten(sizes: Sizes, repeats: usize) {
    for factor in [1.0, 10.0] {
        let mut best = [f64::INFINITY; 2];
        let mut ways =
            [Way::new("fused", sizes, Compute::Fastest), Way::new("reference", sizes, Compute::Reference)];
        let hidden = Tensor::randn([sizes.rows, sizes.hidden], (Kind::Float, Device::Cpu));
        let _guard = tch::no_grad_guard();
        for way in &mut ways {
            let _ = way.variables.last_mut().unwrap().f_mul_scalar_(factor).unwrap();
        }
        for _ in 0..repeats {
            let found = ways.each_ref().map(|way| {
                let start = Instant::now();
                let top = way.layer.top_k(&hidden, 10).unwrap();
                (start.elapsed().as_secs_f64(), top.log_probs)
            });
            let [(_, fused), (_, reference)] = &found;
            assert!((fused - reference).abs().max().double_value(&[]) < 1e-3, "the paths differ");
            best.iter_mut().zip(found).for_each(|(best, (time, _))| *best = best.min(time));
        }
        println!(
            "top 10, class weight times {factor}: {:.1} ms, reference {:.1} ms, {:.2} of it",
            best[0] * 1e3,
            best[1] * 1e3,
            best[0] / best[1]
        );
    }
}

/// Processor time of the process so far, in hundredths: what other processes do changes it little.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap_or(f64::NAN) / 100.0).sum()
}

fn main() {
    let given: Vec<i64> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let (rows, hidden, vocab, components) =
        if given.len() >= 4 { (given[0], given[1], given[2], given[3]) } else { (256, 256, 33_278, 10) };
    if let Some(threads) = given.get(4) {
        tch::set_num_threads(i32::try_from(*threads).unwrap());
    }
    let repeats = given.get(5).map_or(3, |repeats| usize::try_from(*repeats).unwrap());
    let sizes = Sizes { rows, hidden, vocab, components, smoothing: 0.0 };
    compare(sizes, repeats);
    compare(Sizes { smoothing: 0.1, ..sizes }, repeats);
    top_ten(sizes, repeats);
}
