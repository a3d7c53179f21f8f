//! Every output layer beside the floor: the bare matrix products that an exact softmax cannot do without.
//!
//! Timed: loss and all gradients of one batch (`train`), exact log-probabilities of its targets (`eval`), the exact ten
//! best classes (`top-10`). Not timed: building the layer, the optimizer. Each layer's probabilities are checked first.
//!
//! `cargo bench -p lexmax-benches` runs one small size; `LEXMAX_BENCH=grid` runs all of V, D and N.

#![allow(missing_docs)] // criterion's macros make undocumented items

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lexmax_benches::{LAYERS, Sizes, Subject, sizes};
use tch::{Device, Kind, Tensor};

fn label(sizes: Sizes) -> String {
    format!("N={} D={} V={}", sizes.rows, sizes.width, sizes.classes)
}

fn compare(criterion: &mut Criterion, what: &str, floor_products: usize, run: impl Fn(&mut Subject)) {
    let mut group = criterion.benchmark_group(what);
    group.sample_size(10);
    for sizes in sizes() {
        group.throughput(Throughput::Elements(sizes.rows as u64));
        group.bench_function(BenchmarkId::new("floor", label(sizes)), |bencher| {
            let options = (Kind::Float, Device::Cpu);
            let hidden = Tensor::ones([sizes.rows, sizes.width], options);
            let weight = Tensor::ones([sizes.classes, sizes.width], options);
            let logits = hidden.matmul(&weight.tr());
            bencher.iter(|| {
                let _ = black_box(hidden.matmul(&weight.tr()));
                if floor_products == 3 {
                    let _ = black_box(logits.matmul(&weight));
                    let _ = black_box(logits.tr().matmul(&hidden));
                }
            });
        });
        for (name, config) in LAYERS {
            let mut subject = Subject::new(config, sizes);
            group.bench_function(BenchmarkId::new(*name, label(sizes)), |bencher| {
                bencher.iter(|| run(&mut subject));
            });
        }
    }
    group.finish();
}

fn train(criterion: &mut Criterion) {
    compare(criterion, "train", 3, |subject| {
        black_box(subject.train_step());
    });
}

fn evaluate(criterion: &mut Criterion) {
    compare(criterion, "eval", 1, |subject| {
        black_box(subject.evaluate());
    });
}

fn top_ten(criterion: &mut Criterion) {
    compare(criterion, "top-10", 1, |subject| {
        let _ = black_box(subject.top_ten());
    });
}

criterion_group!(benches, train, evaluate, top_ten);
criterion_main!(benches);
