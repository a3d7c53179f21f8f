//! One training step of the exact softmax on the chunked path beside plain libtorch ("eager"), each
//! in a process of its own: time, and memory at its peak beyond the gradients.
//!
//! `cargo run --release -p lexmax-benches --bin chunked_step -- [ROWS WIDTH CLASSES [REPEATS
//! [MEMORY_MIB ..]]]`
//!
//! A step is the loss and the gradients of all parameters and of the hidden states. `MEMORY_MIB`
//! are bounds of a chunk to try beside the default. Every process tells its loss and, of each
//! gradient, the norm and the product with a fixed wave; they must agree with eager's. The first
//! call is measured for memory, with nothing kept from before; the later ones for time, with freed
//! memory kept as in a training run. Needs Linux. The exit status says whether the answers agree.
#![allow(clippy::unwrap_used)]

use std::process::{Command, ExitCode, Stdio};

use lexmax::full::{Full, FullConfig};
use lexmax::output::fused::Compute;
use lexmax::output::{BuildContext, OutputLayer};
use lexmax_benches::bare::{Clock, Seconds};
use lexmax_benches::{Sizes, inputs, memory};
use lexmax_lab::allocator;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn};

/// Largest relative deviation of one process's numbers from eager's.
const TOLERANCE: f64 = 1e-3;
/// Targets of the default bound against eager: memory, and time.
const MEMORY_TARGET: f64 = 1.0 / 8.0;
const TIME_TARGET: f64 = 1.15;
/// First argument of a process that measures.
const ONE: &str = "--one";

/// One way to compute, as a process is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Way {
    compute: Compute,
    /// Bound of a chunk, in MiB.
    memory: Option<usize>,
    sizes: [i64; 3],
    repeats: usize,
}

/// Message of a process.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    first_ms: f64,
    /// Milliseconds of each later call, and of all threads' processor time in it.
    ms: Vec<f64>,
    processor_ms: Vec<f64>,
    /// Bytes at the peak beyond the gradients.
    extra_bytes: Option<u64>,
    /// The loss, and norm and product of each gradient, each with what a deviation is measured by.
    numbers: Vec<[f64; 2]>,
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

impl Measured {
    /// Largest relative deviation of the numbers from those of another process.
    fn apart(&self, other: &Self) -> f64 {
        let pairs = self.numbers.iter().zip(&other.numbers);
        assert_eq!(self.numbers.len(), other.numbers.len());
        pairs.map(|([own, _], [other, by])| (own - other).abs() / by).fold(0.0, f64::max)
    }
}

/// A layer with its parameters and one batch.
struct Subject {
    layer: Full,
    variables: Vec<Tensor>,
    hidden: Tensor,
    targets: Tensor,
}

impl Subject {
    fn new(way: Way, [rows, width, classes]: [i64; 3]) -> Self {
        let store = nn::VarStore::new(Device::Cpu);
        let context = BuildContext {
            compute: way.compute,
            workspace_bytes: way.memory.map(|mebibytes| mebibytes << 20),
            ..BuildContext::new(store.root(), classes, width, 1)
        };
        let layer = Full::new(&context, &FullConfig::default()).unwrap();
        let mut named: Vec<_> = store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let variables = named.into_iter().map(|(_, variable)| variable).collect();
        let sizes = Sizes { rows, width, classes };
        let hidden = inputs::hidden(sizes).unwrap().set_requires_grad(true);
        Self { layer, variables, hidden, targets: inputs::targets(sizes).unwrap() }
    }

    /// One step: the loss, and the gradients of all parameters and of the hidden states.
    fn step(&self) -> (f64, Vec<Tensor>) {
        let loss = self.layer.loss(&self.hidden, &self.targets).unwrap().into_tensor();
        let wanted: Vec<&Tensor> = self.variables.iter().chain([&self.hidden]).collect();
        let gradients = Tensor::run_backward(&[&loss], &wanted, false, false);
        (loss.double_value(&[]), gradients)
    }
}

/// Measures one way in this process.
fn measure(way: Way) -> Measured {
    // A small one first: what libtorch loads and allocates once is no memory of the step.
    drop(Subject::new(way, [64, way.sizes[1], 4096]).step());
    let subject = Subject::new(way, way.sizes);
    let clock = Clock::start();
    let ((loss, gradients), rise) = memory::rise(|| Ok(subject.step())).unwrap();
    let first_ms = clock.seconds().wall * 1e3;
    let bytes: usize = gradients.iter().map(|gradient| gradient.numel() * size_of::<f32>()).sum();
    let mut numbers = vec![[loss, loss]];
    for gradient in &gradients {
        let wave = (Tensor::arange(gradient.numel() as i64, (Kind::Float, Device::Cpu)) * 0.37).sin();
        let norm = gradient.norm().double_value(&[]);
        numbers.push([norm, norm]);
        numbers.push([(gradient.view(-1) * wave).sum(Kind::Double).double_value(&[]), norm]);
    }
    drop(gradients);
    allocator::keep_freed_memory();
    let timed = |_| {
        let clock = Clock::start();
        drop(subject.step());
        let Seconds { wall, processor } = clock.seconds();
        (wall * 1e3, processor * 1e3)
    };
    let (ms, processor_ms) = (0..way.repeats).map(timed).unzip();
    let extra_bytes = rise.map(|rise| rise.saturating_sub(bytes as u64));
    Measured { first_ms, ms, processor_ms, extra_bytes, numbers }
}

/// Measures one way in a process of its own.
fn in_a_process(way: Way) -> Measured {
    let program = std::env::current_exe().unwrap();
    let told = serde_json::to_string(&way).unwrap();
    let output = Command::new(program).args([ONE, &told]).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{way:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, way] = &arguments[..]
        && first == ONE
    {
        let way: Way = serde_json::from_str(way).unwrap();
        println!("{}", serde_json::to_string(&measure(way)).unwrap());
        return ExitCode::SUCCESS;
    }
    let given: Vec<i64> = arguments.iter().map(|number| number.parse().unwrap()).collect();
    let sizes = given.first_chunk::<3>().copied().unwrap_or([1024, 256, 33_278]);
    let repeats = given.get(3).map_or(3, |repeats| usize::try_from(*repeats).unwrap().max(1));
    let bounds = given.iter().skip(4).map(|mebibytes| Some(usize::try_from(*mebibytes).unwrap()));
    let way = |compute, memory| Way { compute, memory, sizes, repeats };

    let [rows, width, classes] = sizes;
    println!("full, N={rows} D={width} V={classes}, {} threads, median of {repeats}", tch::get_num_threads());
    println!(
        "| way | ms | of eager | processor, ms | of eager | first call, ms | extra MiB | of eager | apart |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let eager = in_a_process(way(Compute::Reference, None));
    let mut agree = true;
    let mut row = |name: &str, measured: &Measured| {
        let (wall, processor) = (median(&measured.ms), median(&measured.processor_ms));
        let (time, apart) = (wall / median(&eager.ms), measured.apart(&eager));
        let bytes = measured.extra_bytes.unwrap_or(0) as f64;
        let share = bytes / eager.extra_bytes.unwrap_or(0).max(1) as f64;
        println!(
            "| {name} | {wall:.0} | {time:.3} | {processor:.0} | {:.3} | {:.0} | {:.0} | {share:.4} | {apart:.1e} |",
            processor / median(&eager.processor_ms),
            measured.first_ms,
            bytes / f64::from(1 << 20),
        );
        agree &= apart < TOLERANCE;
        (share, time)
    };
    row("eager", &eager);
    let (share, time) = row("chunked", &in_a_process(way(Compute::Chunked, None)));
    for bound in bounds {
        let name = format!("chunked, {} MiB", bound.unwrap_or(0));
        row(&name, &in_a_process(way(Compute::Chunked, bound)));
    }
    let word = |met: bool| if met { "met" } else { "missed" };
    println!("memory at most 1/8 of eager's: {share:.4}, {}", word(share <= MEMORY_TARGET));
    println!("time at most {TIME_TARGET} of eager's: {time:.3}, {}", word(time <= TIME_TARGET));
    println!("answers apart by less than {TOLERANCE}: {agree}");
    if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
