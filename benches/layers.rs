//! Every output layer on both paths beside the floor: the bare matrix products that an exact
//! softmax cannot do without.
//!
//! Timed: a training step, which is loss, all gradients and the SGD update (`step`; row-sparse
//! gradients where the fused path gives them); exact log-probabilities of the targets (`evaluate`);
//! the exact ten best classes (`top-10`). Not timed: building the layer, dropping the gradients.
//! Each answer is compared with the definition in f64 first, and the bench ends where one is wrong.
//! Freed memory stays in the process, as in a run of the lab.
//!
//! `cargo bench -p lexmax-benches` runs one small size; `LEXMAX_BENCH=grid` runs all of V, D and N,
//! but for what the machine has no memory for, which it names. A name chooses, as in `cargo bench
//! -p lexmax-benches -- step/full`.

#![allow(missing_docs)] // criterion's macros make undocumented items

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lexmax::output::fused::Compute;
use lexmax_benches::{Floor, Layer, Sizes, Subject, Task, memory};

/// The sizes to run: a small one, or the whole grid with `LEXMAX_BENCH=grid` in the environment.
fn sizes() -> Vec<Sizes> {
    if std::env::var("LEXMAX_BENCH").is_ok_and(|value| value == "grid") {
        let mut grid = Vec::new();
        for classes in [10_000, 33_278, 100_000, 267_735, 1_000_000] {
            for width in [128, 256, 512] {
                grid.extend([256, 1024].map(|rows| Sizes { rows, width, classes }));
            }
        }
        return grid;
    }
    vec![Sizes { rows: 128, width: 64, classes: 10_000 }]
}

/// Ends the bench with the reason: a wrong or missing answer is not worth timing.
fn must<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}

fn compare(criterion: &mut Criterion, task: Task) {
    lexmax_lab::allocator::keep_freed_memory();
    // Where the system does not tell, nothing is skipped for want of memory.
    let memory = lexmax_lab::machine::environment(None, 1, "cpu", "f32").memory_bytes.unwrap_or(u64::MAX);
    let mut group = criterion.benchmark_group(task.name());
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for sizes in sizes() {
        group.throughput(Throughput::Elements(sizes.rows.unsigned_abs()));
        let label = format!("N={} D={} V={}", sizes.rows, sizes.width, sizes.classes);
        // Made when they are chosen only: the largest take gigabytes.
        let mut floor = None;
        group.bench_function(BenchmarkId::new("floor", &label), |bencher| {
            let floor = floor.get_or_insert_with(|| {
                let floor = must(Floor::new(sizes, task.products()));
                must(floor.run());
                must(floor.check());
                floor
            });
            bencher.iter(|| must(floor.run()));
        });
        drop(floor);
        for layer in Layer::ALL {
            for (path, compute) in [("fused", Compute::Fastest), ("reference", Compute::Reference)] {
                let id = BenchmarkId::new(format!("{} {path}", layer.name()), &label);
                let needs = memory::plain_bytes(layer, sizes);
                if compute == Compute::Reference && needs > memory {
                    eprintln!(
                        "skipped: {} {} {path} {label} takes about {} GiB, the machine has {}",
                        task.name(),
                        layer.name(),
                        needs >> 30,
                        memory >> 30
                    );
                    continue;
                }
                bench(&mut group, id, task, &mut || {
                    let mut subject = Subject::new(layer, task, compute, sizes)?;
                    subject.check(task)?;
                    Ok(subject)
                });
            }
        }
    }
    group.finish();
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    task: Task,
    new: &mut dyn FnMut() -> anyhow::Result<Subject>,
) {
    let mut subject = None;
    group.bench_function(id, |bencher| {
        let subject = subject.get_or_insert_with(|| must(new()));
        bencher.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    must(subject.clear());
                    let started = Instant::now();
                    must(subject.run(task));
                    started.elapsed()
                })
                .sum()
        });
    });
}

fn step(criterion: &mut Criterion) {
    compare(criterion, Task::Step);
}

fn evaluate(criterion: &mut Criterion) {
    compare(criterion, Task::Evaluate);
}

fn top_ten(criterion: &mut Criterion) {
    compare(criterion, Task::TopTen);
}

criterion_group!(benches, step, evaluate, top_ten);
criterion_main!(benches);
