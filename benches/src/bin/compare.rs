//! The comparison with other packages; `cargo xtask peers` calls it.
//!
//! `peers` times all cases in turn and makes table and charts; `plan` prints the cases, `run` times
//! one of lexmax and prints its line, `report` makes table and charts from stored lines.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use lexmax::kernels::linear_ce::Linear;
use lexmax::output::fused::Compute;
use lexmax_benches::bare::GemmFloor;
use lexmax_benches::peers::{self, PeersArgs};
use lexmax_benches::{Floor, LanguageModel, Layer, Sizes, Subject, Task, Text, Work, clock, memory, plan};
use lexmax_lab::{allocator, machine};

/// The comparison of lexmax with other packages.
#[derive(Parser)]
enum Command {
    /// Print the cases as JSON lines.
    Plan {
        /// The quick plan: smaller sizes, little time for each case.
        #[arg(long)]
        quick: bool,
    },
    /// Time one case and print its line.
    Run {
        #[command(flatten)]
        work: Work,
        /// How it is done.
        #[arg(long)]
        variant: Variant,
        /// Threads of libtorch and of the kernels.
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
        threads: i32,
        /// Budget for the repetitions.
        #[arg(long)]
        seconds: f64,
        /// The corpus that a language model reads; without it, ids by Zipf's law.
        #[arg(long, value_name = "FOLDER")]
        corpus: Option<PathBuf>,
    },
    /// Time lexmax beside PyTorch and TensorFlow on this machine, and print the table.
    Peers(PeersArgs),
    /// Write table and charts from the lines in a folder, and print the table.
    Report {
        /// The folder with lines.jsonl and environment.json.
        folder: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Variant {
    /// The fused kernels.
    Fused,
    /// Plain ATen operations.
    Reference,
    /// The bare matrix products of a full softmax, by libtorch.
    Products,
    /// These products by the crate `gemm`.
    ProductsGemm,
}

fn main() -> ExitCode {
    match execute(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<()> {
    match command {
        Command::Plan { quick } => {
            for case in plan::cases(quick) {
                println!("{}", serde_json::to_string(&case)?);
            }
        }
        Command::Run { work, variant, threads, seconds, corpus } => {
            ensure!(seconds > 0.0 && seconds < 1e6, "--seconds {seconds}: expected a number above zero");
            let budget = Duration::from_secs_f64(seconds);
            let line = time(work, variant, threads, budget, corpus.as_deref())?;
            println!("{}", serde_json::to_string(&line)?);
        }
        Command::Peers(arguments) => peers::peers(&root()?, &arguments)?,
        Command::Report { folder } => print!("{}", peers::write_peers(&folder)?.text),
    }
    Ok(())
}

/// The root of the workspace: cargo names the folder of this crate at run time, and a program
/// started by hand falls back on where it was built.
fn root() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = folder.parent().map(Path::to_path_buf).unwrap_or_default();
    ensure!(root.join("benches").is_dir(), "{}: expected the root of the workspace", root.display());
    Ok(root)
}

/// One case in this process: memory of a first call, the check of the answer, then the times.
fn time(
    work: Work,
    variant: Variant,
    threads: i32,
    budget: Duration,
    corpus: Option<&Path>,
) -> Result<peers::Line> {
    ensure!(
        corpus.is_none() || work.task == Task::LanguageModel,
        "--corpus: only the task language-model reads one, got {}",
        work.task.name()
    );
    tch::set_num_threads(threads);
    let compute = match variant {
        Variant::Reference => Compute::Reference,
        Variant::Fused | Variant::Products | Variant::ProductsGemm => Compute::Fastest,
    };
    let (corpus, timed) = match (variant, work.task) {
        (Variant::Products, _) => (None, products(work, budget, threads)?),
        (Variant::ProductsGemm, _) => (None, products_of_gemm(work, budget, threads)?),
        (_, Task::LanguageModel) => language_model(work, compute, budget, corpus)?,
        _ => (None, layer(work, compute, budget)?),
    };
    let threads = tch::get_num_threads().unsigned_abs() as usize;
    let environment = machine::environment(None, threads, "cpu", "f32");
    let Sizes { rows, width, classes } = work.sizes;
    let name = variant.to_possible_value().map(|value| value.get_name().to_owned());
    Ok(peers::Line {
        side: "lexmax".into(),
        layer: work.layer.name(),
        variant: name.unwrap_or_default(),
        task: work.task.name(),
        corpus,
        rows: rows.unsigned_abs(),
        width: width.unsigned_abs(),
        classes: classes.unsigned_abs(),
        threads: environment.threads as u64,
        software: format!("lexmax {}, libtorch {}", environment.lexmax, environment.libtorch),
        ms: timed.ms,
        extra_bytes: timed.extra_bytes,
        busy: timed.busy,
        deviation: Some(timed.deviation),
        commit: None,
        error: None,
    })
}

struct Timed {
    ms: Vec<f64>,
    extra_bytes: Option<u64>,
    /// Share of the threads' time that processors worked, of work that never waits.
    busy: Option<f64>,
    deviation: f64,
}

fn layer(work: Work, compute: Compute, budget: Duration) -> Result<Timed> {
    let Work { layer, task, sizes } = work;
    // A small one first: what libtorch loads and allocates once is no memory of the layer.
    let small = Sizes { classes: sizes.classes.min(4096), rows: sizes.rows.min(64), ..sizes };
    Subject::new(layer, task, compute, small)?.run(task)?;

    let mut subject = Subject::new(layer, task, compute, sizes)?;
    let (first, rise) = memory::rise(|| {
        let started = Instant::now();
        subject.run(task)?;
        Ok(started.elapsed())
    })?;
    let extra_bytes = match rise {
        Some(rise) => Some(rise.saturating_sub(subject.gradient_bytes()?)),
        None => None,
    };
    // As in a training run. Not before: an allocator that keeps what is freed takes memory for the
    // holes between it too.
    allocator::keep_freed_memory();
    subject.clear()?;
    let deviation = subject.check(task)?;
    let ms = clock::repeat(budget, first, &mut subject, Subject::clear, |subject| subject.run(task))?;
    Ok(Timed { ms, extra_bytes, busy: None, deviation })
}

/// The corpus by its name, and the times.
fn language_model(
    work: Work,
    compute: Compute,
    budget: Duration,
    corpus: Option<&Path>,
) -> Result<(Option<String>, Timed)> {
    allocator::keep_freed_memory();
    let (name, text) = match corpus {
        Some(folder) => Text::of_corpus(folder).map(|(name, text)| (Some(name), text))?,
        None => (None, Text::zipf(work.sizes)?),
    };
    let mut model = LanguageModel::new(work.layer, compute, work.sizes, text)?;
    let deviation = model.check()?;
    let started = Instant::now();
    model.run()?;
    let first = started.elapsed();
    let ms = clock::repeat(budget, first, &mut model, |_| Ok(()), LanguageModel::run)?;
    // Most of the memory is the model's.
    Ok((name, Timed { ms, extra_bytes: None, busy: None, deviation }))
}

fn products(work: Work, budget: Duration, threads: i32) -> Result<Timed> {
    check_products("products", work)?;
    allocator::keep_freed_memory();
    let floor = Floor::new(work.sizes, work.task.products())?;
    let started = Instant::now();
    floor.run()?;
    let first = started.elapsed();
    let deviation = floor.check()?;
    bare(budget, first, deviation, threads, || floor.run())
}

fn products_of_gemm(work: Work, budget: Duration, threads: i32) -> Result<Timed> {
    check_products("products-gemm", work)?;
    ensure!(
        work.task == Task::Train,
        "--variant products-gemm: only of the task train, got {}",
        work.task.name()
    );
    let [rows, width, classes] = [work.sizes.rows, work.sizes.width, work.sizes.classes].map(|n| n as usize);
    let wave = |len: usize| (0..len).map(|at| (at % 97) as f32 / 97.0 - 0.5).collect::<Vec<f32>>();
    let (hidden, weight) = (wave(rows * width), wave(classes * width));
    let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: width };
    let mut floor = GemmFloor::new(&linear);
    let threads_used = usize::try_from(threads)?;
    let started = Instant::now();
    floor.time(&linear, threads_used);
    let first = started.elapsed();
    let deviation = floor.deviation(&linear);
    ensure!(deviation < 1e-4, "bare products: off by {deviation}, expected less than 1e-4");
    bare(budget, first, deviation, threads, || {
        floor.time(&linear, threads_used);
        Ok(())
    })
}

/// Times bare products, which never wait: processors that worked less than the time of all threads
/// had something else to do.
fn bare(
    budget: Duration,
    first: Duration,
    deviation: f64,
    threads: i32,
    mut run: impl FnMut() -> Result<()>,
) -> Result<Timed> {
    let (started, processor) = (Instant::now(), clock::processor_seconds());
    let ms = clock::repeat(budget, first, &mut (), |()| Ok(()), |()| run())?;
    let worked = clock::processor_seconds() - processor;
    let busy = worked / (started.elapsed().as_secs_f64() * f64::from(threads));
    // Its results are given memory, so what it takes beyond says nothing.
    Ok(Timed { ms, extra_bytes: None, busy: Some(busy.min(1.0)), deviation })
}

fn check_products(variant: &str, work: Work) -> Result<()> {
    ensure!(
        work.layer == Layer::Full && !matches!(work.task, Task::Step | Task::LanguageModel),
        "--variant {variant}: there are bare products of the layer full for train, evaluate and top-10, got {} {}",
        work.layer.name(),
        work.task.name()
    );
    Ok(())
}
