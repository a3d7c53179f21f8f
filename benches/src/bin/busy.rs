//! Wall time beside processor time of the exact softmax, on a quiet machine and on one whose first
//! core is half busy: what waiting for other threads costs.
//!
//! `cargo run --release -p lexmax-benches --bin busy -- [--rows N --width D --classes V --threads
//! 1,2,4 --seconds S]`
//!
//! Times loss and gradients of the full softmax by the fused kernels and by plain libtorch, in
//! turn, for each number of threads; then again beside a process that computes and sleeps by turns
//! on the first core. The answers are checked before anything is timed. A step that shares its work
//! well grows by what the other process takes away, no more.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use lexmax::output::fused::Compute;
use lexmax_benches::{Layer, Sizes, Subject, Task, clock};
use lexmax_lab::allocator;

/// Length of a turn of the other process, working or sleeping.
const TURN: Duration = Duration::from_millis(10);

/// Sizes and numbers of threads.
#[derive(Debug, Parser)]
struct Options {
    /// Rows of the batch, N.
    #[arg(long, default_value_t = 1024)]
    rows: i64,
    /// Width of the hidden states, D.
    #[arg(long, default_value_t = 256)]
    width: i64,
    /// Classes, V.
    #[arg(long, default_value_t = 33_278)]
    classes: i64,
    /// Numbers of threads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    threads: Vec<i32>,
    /// Seconds for each cell of the table.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Be the process that keeps the first core half busy.
    #[arg(long, hide = true)]
    load: bool,
}

/// Medians of the repetitions of one cell.
struct Cell {
    wall: f64,
    processor: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.load {
        return load();
    }
    ensure!(
        options.seconds > 0.0 && options.threads.iter().all(|count| *count > 0),
        "expected numbers above zero"
    );
    allocator::keep_freed_memory();
    let Options { rows, width, classes, .. } = options;
    let sizes = Sizes { rows, width, classes };
    let mut subjects = Vec::new();
    for (name, compute) in [("fused", Compute::Fastest), ("libtorch", Compute::Reference)] {
        let mut subject = Subject::new(Layer::Full, Task::Train, compute, sizes)?;
        subject.check(Task::Train)?;
        subjects.push((name, subject));
    }
    println!("full softmax, loss and gradients, N={rows} D={width} V={classes}, medians in ms");
    println!("{:28} {:>10} {:>12} {:>12} {:>8}", "", "quiet wall", "(processors)", "half busy", "growth");
    for threads in options.threads {
        tch::set_num_threads(threads);
        let quiet = cells(&mut subjects, options.seconds)?;
        let other = Load::start()?;
        let busy = cells(&mut subjects, options.seconds)?;
        drop(other);
        for ((name, _), (quiet, busy)) in subjects.iter().zip(quiet.iter().zip(&busy)) {
            println!(
                "{name:10} {threads:3} thread{:10} {:10.1} {:12.1} {:12.1} {:8.2}",
                if threads == 1 { "" } else { "s" },
                quiet.wall,
                quiet.processor,
                busy.wall,
                busy.wall / quiet.wall
            );
        }
    }
    Ok(())
}

/// One cell for each subject, whose calls take turns.
fn cells(subjects: &mut [(&str, Subject)], seconds: f64) -> Result<Vec<Cell>> {
    let mut times = vec![(Vec::new(), Vec::new()); subjects.len()];
    let started = Instant::now();
    let all = Duration::from_secs_f64(seconds * subjects.len() as f64);
    while started.elapsed() < all || times[0].0.len() < 4 {
        for ((_, subject), (wall, processor)) in subjects.iter_mut().zip(&mut times) {
            subject.clear()?;
            let (start, before) = (Instant::now(), clock::processor_seconds());
            subject.run(Task::Train)?;
            wall.push(start.elapsed().as_secs_f64() * 1e3);
            processor.push((clock::processor_seconds() - before) * 1e3);
        }
    }
    // The first call of each is cold.
    Ok(times
        .into_iter()
        .map(|(wall, processor)| Cell { wall: median(wall), processor: median(processor) })
        .collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.remove(0);
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A process that keeps the first core half busy as long as this lives.
struct Load(Child);

impl Load {
    fn start() -> Result<Self> {
        let program = std::env::current_exe().context("find this program, which is the other process too")?;
        let child = Command::new(program).arg("--load").stdin(Stdio::piped()).spawn();
        Ok(Self(child.context("start the process that keeps a core busy")?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Computes and sleeps by turns on the first core, until the process that started it is gone.
fn load() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: an empty set of processors is all zeros; the calls are given its address and
        // size.
        let pinned = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(0, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
        };
        ensure!(pinned == 0, "the first core is not ours to use: {}", std::io::Error::last_os_error());
    }
    std::thread::spawn(|| {
        let mut rest = String::new();
        // Returns when the other end is closed.
        let _ = std::io::stdin().read_line(&mut rest);
        std::process::exit(0);
    });
    let mut number = 1.0_f64;
    loop {
        let started = Instant::now();
        while started.elapsed() < TURN {
            for _ in 0..1000 {
                number = std::hint::black_box(number * 1.000_000_1);
            }
        }
        std::thread::sleep(TURN);
    }
}
