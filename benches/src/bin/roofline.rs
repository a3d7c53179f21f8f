//! Rates of this machine, and the time of the sweep beside the prediction from them.
//!
//! `cargo run --release -p lexmax-benches --bin roofline -- [ROWS HIDDEN VOCAB]...`
//!
//! Measures the products on the shapes of the tiles, the memory, the exponentials and the start of
//! threads, with one and two threads; then, for each problem, adds up the plan's operations, bytes
//! and exponentials at these rates and runs the sweep and its floor, three bare products. Best of a
//! few repeats. On a shared machine repeat it.
#![allow(clippy::unwrap_used)]

use lexmax::kernels::Level;
use lexmax::kernels::linear_ce::{
    Gradients, Linear, Options, Upstream, Workspace, default_memory_limit, loss_and_gradients,
};
use lexmax::kernels::measure::{cut, exponentials, phase};
use lexmax::kernels::seed::generator;
use lexmax_benches::bare::{Clock, GemmFloor, Summary, product};
use rand::RngExt;

/// Rates of all threads together, a second.
struct Rates {
    operations: f64,
    read: f64,
    triad: f64,
    exponentials: f64,
    /// Seconds to start the threads of a phase.
    start: f64,
}

/// Best seconds of a few runs on so many threads: of each the time on the wall, or what the
/// processors spent where that is less, as on a machine that others keep busy.
fn best(threads: usize, repeats: usize, mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Clock::start();
        run();
        let seconds = start.seconds();
        seconds.wall.min(seconds.processor / threads as f64)
    };
    (0..repeats).map(time).fold(f64::INFINITY, f64::min)
}

/// Runs `work` on each thread over its own part of the buffers, `repeats` times; best seconds of a
/// phase.
fn on_parts<T: Send>(parts: &mut [T], repeats: usize, work: impl Fn(&mut T) + Sync) -> f64 {
    let slots: Vec<std::sync::Mutex<&mut T>> = parts.iter_mut().map(std::sync::Mutex::new).collect();
    best(slots.len(), repeats, || phase(slots.len(), |thread| work(&mut slots[thread].lock().unwrap())))
}

/// One tile's operands: weight `[classes, D]`, hidden `[rows, D]`, tile `[classes, rows]`, padded
/// by a line.
struct Tile {
    weight: Vec<f32>,
    hidden: Vec<f32>,
    tile: Vec<f32>,
}

/// The three products of a tile, as the sweep makes them; operations a second of all threads.
fn products(threads: usize, rows: usize, classes: usize, size: usize) -> f64 {
    let new = |_| Tile {
        weight: vec![0.5; classes * size],
        hidden: vec![0.25; rows * size],
        tile: vec![1.0; classes * rows],
    };
    let mut tiles: Vec<Tile> = (0..threads).map(new).collect();
    let rounds = 8;
    let seconds = on_parts(&mut tiles, 7, |tile| {
        let Tile { weight, hidden, tile } = tile;
        for _ in 0..rounds {
            product(tile, [classes, rows, size], (weight, [size, 1]), (hidden, [1, size]), 1);
            product(hidden, [rows, size, classes], (tile, [1, rows]), (weight, [size, 1]), 1);
            product(weight, [classes, size, rows], (tile, [rows, 1]), (hidden, [size, 1]), 1);
            // Numbers stay of ordinary size, whatever the products made of them.
            hidden.fill(0.25);
            weight.fill(0.5);
        }
    });
    6.0 * (rounds * threads * rows * classes * size) as f64 / seconds
}

/// `(read, triad)` in bytes a second of all threads; each thread has its own arrays, far larger
/// than the caches.
fn memory(threads: usize) -> (f64, f64) {
    let len = 24 << 20;
    let mut arrays: Vec<[Vec<f32>; 3]> =
        (0..threads).map(|_| [vec![1.0; len], vec![2.0; len], vec![3.0; len]]).collect();
    let read = on_parts(&mut arrays, 5, |[a, _, _]| {
        let mut sums = [0.0_f32; 64];
        for chunk in a.chunks_exact(64) {
            sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
        }
        std::hint::black_box(sums);
    });
    let triad = on_parts(&mut arrays, 5, |[a, b, c]| {
        for ((a, b), c) in a.iter_mut().zip(b.iter()).zip(c.iter()) {
            *a = b + 0.5 * c;
        }
        std::hint::black_box(a);
    });
    let bytes = (threads * len * size_of::<f32>()) as f64;
    (bytes / read, 3.0 * bytes / triad)
}

/// Exponentials a second of all threads, in a buffer of the first-level cache.
fn exponential_rate(threads: usize) -> f64 {
    // Long enough that the granularity of the processor clock does not matter.
    let (len, rounds) = (4096, 25_000);
    let mut buffers: Vec<Vec<f32>> = (0..threads).map(|_| vec![-1.0; len]).collect();
    let seconds = on_parts(&mut buffers, 7, |buffer| {
        for _ in 0..rounds {
            // exp settles at about 1.31 or grows to infinity; both cost the same.
            exponentials(Level::best(), buffer);
        }
    });
    (threads * len * rounds) as f64 / seconds
}

fn rates(threads: usize) -> Rates {
    println!("{threads} thread{}", if threads == 1 { "" } else { "s" });
    let mut operations = 0.0_f64;
    for (rows, size) in [(128, 256), (256, 256), (512, 256), (256, 512), (512, 512)] {
        let rate = products(threads, rows, 512, size);
        println!("  products of a tile, R={rows:3} D={size}  {:8.1} GFLOP/s", rate / 1e9);
        operations = operations.max(rate);
    }
    let (read, triad) = memory(threads);
    println!("  memory, read                   {:8.1} GB/s", read / 1e9);
    println!(
        "  memory, triad a = b + s c      {:8.1} GB/s (three arrays; the write's own read not counted)",
        triad / 1e9
    );
    let exponentials = exponential_rate(threads);
    println!("  exponentials                   {:8.2} G/s", exponentials / 1e9);
    let start = (0..500).map(|_| {
        let clock = Clock::start();
        phase(threads, |_| {});
        clock.seconds().wall
    });
    let start = start.fold(f64::INFINITY, f64::min);
    println!("  an empty phase                 {:8.1} us", start * 1e6);
    println!(
        "  operations for a byte, one thread's to all threads' memory: {:.1}",
        operations / threads as f64 / triad
    );
    Rates { operations, read, triad, exponentials, start }
}

/// The sweep of one problem beside its prediction and its floor.
fn problem([rows, size, vocab]: [usize; 3], threads: usize, rates: &Rates) {
    let mut rng = generator(1, "roofline example", 0);
    let mut draw = |len: usize| (0..len).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<f32>>();
    let (hidden, weight) = (draw(rows * size), draw(vocab * size));
    let targets: Vec<i64> = (0..rows).map(|row| (row * 7919 % vocab) as i64).collect();
    let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: size };
    let (mut d_hidden, mut d_weight) = (vec![0.0; hidden.len()], vec![0.0; weight.len()]);
    let mut workspace = Workspace::new(threads);
    let mut floor = GemmFloor::new(&linear);
    let (mut bare, mut fused) = (Vec::new(), Vec::new());
    let repeats = if rows * size * vocab > 20_000_000_000 { 3 } else { 7 };
    for _ in 0..repeats {
        bare.push(floor.time(&linear, threads));
        let wanted =
            Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), ..Gradients::default() };
        let upstream = Upstream::Same(1.0 / rows as f64);
        let start = Clock::start();
        loss_and_gradients(linear, &targets, &Options::default(), upstream, wanted, &mut workspace).unwrap();
        fused.push(start.seconds());
    }
    let limit = default_memory_limit(threads, size_of_val(&weight[..]));
    let cut = cut::<f32>(rows, size, vocab, threads, limit);
    let phases = 2.0 * rows.div_ceil(cut.chunk) as f64;
    let parts = [
        ("products", cut.operations / rates.operations),
        ("memory", cut.bytes / rates.triad.min(rates.read)),
        ("exponentials", cut.exponentials / rates.exponentials),
        ("threads", phases * rates.start),
    ];
    let least = parts[0].1.max(parts[1].1);
    let sum: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    println!(
        "N={rows} D={size} V={vocab}, {threads} threads: chunks of {}, {:.0} % of the logits kept",
        cut.chunk,
        100.0 * cut.kept
    );
    println!(
        "  counted: {:.1} GFLOP, {:.2} GB, {:.0} M exponentials",
        cut.operations / 1e9,
        cut.bytes / 1e9,
        cut.exponentials / 1e6
    );
    for (name, seconds) in parts {
        println!("  {name:14} {:9.1} ms", seconds * 1e3);
    }
    let (bare, fused) = (Summary::of(&bare), Summary::of(&fused));
    println!("  predicted      {:9.1} ms (roofline) to {:.1} ms (nothing overlaps)", least * 1e3, sum * 1e3);
    for (name, time) in [("three products", &bare), ("sweep", &fused)] {
        println!(
            "  {name:14} {:9.1} ms best, {:.1} ms median; processors {:.1} and {:.1} ms",
            time.best * 1e3,
            time.median * 1e3,
            time.best_processor * 1e3,
            time.median_processor * 1e3
        );
    }
    println!(
        "  sweep over three products: {:.3} best, {:.3} median; processors {:.3} and {:.3}",
        fused.best / bare.best,
        fused.median / bare.median,
        fused.best_processor / bare.best_processor,
        fused.median_processor / bare.median_processor
    );
}

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let mut problems: Vec<[usize; 3]> =
        given.chunks_exact(3).map(|sizes| [sizes[0], sizes[1], sizes[2]]).collect();
    if problems.is_empty() {
        problems = vec![[1024, 256, 33_278], [1024, 512, 267_735]];
    }
    println!("{:?}", Level::best());
    for threads in [1, 2] {
        let rates = rates(threads);
        for sizes in &problems {
            problem(*sizes, threads, &rates);
        }
    }
}
