//! Times of a training step: the whole step at several vocabulary sizes, its parts, and the bare
//! products.
//!
//! `cargo run --release -p lexmax-benches --bin sampled_step -- [ROWS HIDDEN SAMPLES [REPEATS]]`
//!
//! A step is drawing, loss, gradients of hidden states and touched rows, and plain gradient descent
//! on these rows. Best and median of the repeats, in milliseconds, for each objective of the list;
//! then the parts of the sampled softmax, each timed on its own.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use lexmax::kernels::linear_ce::Linear;
use lexmax::kernels::sampled::{
    self, Candidates, Gradients, Negatives, Objective as Kernel, Sets, Workspace,
};
use lexmax::kernels::seed::generator;
use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use lexmax::sampled::proposal::LogUniform;
use lexmax::sampled::{NegativeSets, Objective, Proposal, ProposalKind, Sampled, SampledConfig, Sampler};
use lexmax_autograd::cpu::{slice, slice_mut};
use rand::RngExt;
use tch::{Device, Tensor, nn};

const RATE: f32 = 0.1;

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let (rows, size, samples) =
        if given.len() >= 3 { (given[0], given[1], given[2]) } else { (1024, 256, 1024) };
    let repeats = given.get(3).copied().unwrap_or(15);
    let threads = tch::get_num_threads();
    println!("N={rows} D={size} S={samples} f32, {threads} threads; best and median of {repeats} in ms");
    let base = SampledConfig { samples: Some(samples as i64), ..SampledConfig::default() };
    for vocab in [10_000, 267_735, 1_000_000] {
        let of = |objective| SampledConfig { objective, ..base.clone() };
        step("sampled softmax", &base, vocab, [rows, size, repeats]);
        step("  unique", &SampledConfig { unique: true, ..base.clone() }, vocab, [rows, size, repeats]);
        if vocab == 267_735 {
            step("nce", &of(Objective::Nce), vocab, [rows, size, repeats]);
            step("negative sampling", &of(Objective::NegativeSampling), vocab, [rows, size, repeats]);
            step("one-vs-each", &of(Objective::OneVsEach), vocab, [rows, size, repeats]);
            let in_batch = SampledConfig { proposal: ProposalKind::InBatch, samples: None, ..base.clone() };
            step("in-batch", &in_batch, vocab, [rows, size, repeats]);
            let own = SampledConfig { negatives: NegativeSets::PerRow, samples: Some(64), ..base.clone() };
            step("64 of each row's own", &own, vocab, [rows, size, repeats]);
        }
        parts(vocab as usize, [rows, size, samples, repeats]);
    }
    let sampler = Sampler::new(Box::new(LogUniform::new(267_735).unwrap()), 8192, true).unwrap();
    let mut round = 0;
    report("8192 unique draws of 267735", repeats, || {
        round += 1;
        assert_eq!(sampler.draw(&mut generator(1, "negatives", round)).ids.len(), 8192);
    });
}

fn report(name: &str, repeats: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("  {name:42} {:8.3} {:8.3}", times[0], times[times.len() / 2]);
    times[0]
}

/// Targets by Zipf's law, as text has them.
fn targets(vocab: i64, rows: usize) -> Vec<i64> {
    LogUniform::new(vocab).unwrap().draws(&mut generator(2, "targets", 0), rows)
}

fn numbers(len: usize, scale: f32) -> Vec<f32> {
    let mut rng = generator(3, "numbers", len as u64);
    (0..len).map(|_| (rng.random::<f32>() - 0.5) * scale).collect()
}

fn step(name: &str, config: &SampledConfig, vocab: i64, [rows, size, repeats]: [usize; 3]) {
    let store = nn::VarStore::new(Device::Cpu);
    let counts = WordCounts::new((0..vocab as u64).map(|id| 20_000_000 / (id + 1)).collect()).unwrap();
    let mut context = BuildContext::new(store.root(), vocab, size as i64, 1);
    context.counts = Some(&counts);
    context.sparse_gradients = true;
    let layer = Sampled::new(&context, config).unwrap();
    let hidden = Tensor::from_slice(&numbers(rows * size, 2.0))
        .view([rows as i64, size as i64])
        .set_requires_grad(true);
    let targets = Tensor::from_slice(&targets(vocab, rows));
    let mut round = 0;
    report(&format!("{name}, V={vocab}"), repeats, || {
        round += 1;
        layer
            .loss_with(&hidden, &targets, &mut generator(1, "negatives", round))
            .unwrap()
            .backward()
            .unwrap();
        for mut variable in store.trainable_variables() {
            let gradient = variable.grad();
            let _guard = tch::no_grad_guard();
            let (classes, values) = (gradient.internal_indices().view([-1]), gradient.internal_values());
            descend(
                slice_mut::<f32>(&mut variable).unwrap(),
                slice::<i64>(&classes).unwrap(),
                slice::<f32>(&values).unwrap(),
            );
            variable.zero_grad();
        }
        hidden.shallow_clone().zero_grad();
    });
}

fn descend(weight: &mut [f32], classes: &[i64], gradient: &[f32]) {
    let size = gradient.len() / classes.len();
    for (class, gradient) in classes.iter().zip(gradient.chunks_exact(size)) {
        let row = &mut weight[*class as usize * size..(*class as usize + 1) * size];
        row.iter_mut().zip(gradient).for_each(|(weight, gradient)| *weight -= RATE * gradient);
    }
}

fn parts(vocab: usize, [rows, size, samples, repeats]: [usize; 4]) {
    let sampler = Sampler::new(Box::new(LogUniform::new(vocab as i64).unwrap()), samples, false).unwrap();
    let targets = targets(vocab as i64, rows);
    let expected = |ids: &[i64]| -> Vec<f64> {
        ids.iter().map(|id| (samples as f64 * sampler.proposal().prob(*id)).ln()).collect()
    };
    let mut negatives = None;
    let mut round = 0;
    report("- draw and expected counts", repeats, || {
        round += 1;
        let ids = sampler.draw(&mut generator(1, "negatives", round)).ids;
        negatives = Some(Negatives {
            sets: Sets::Shared,
            log_expected: expected(&ids),
            target_log_expected: expected(&targets),
            ids,
            leave_hits_out: true,
        });
    });
    let negatives = negatives.unwrap();
    report("- sort candidates", repeats, || {
        Candidates::new(targets.clone(), negatives.clone(), vocab).unwrap();
    });
    let mut different = negatives.ids.clone();
    different.sort_unstable();
    different.dedup();
    let candidates = Candidates::new(targets.clone(), negatives, vocab).unwrap();
    let (hidden, mut weight, bias) =
        (numbers(rows * size, 2.0), numbers(vocab * size, 0.2), numbers(vocab, 1.0));
    let mut gathered = vec![0.0_f32; different.len() * size];
    report(&format!("- gather {} different of {samples} rows", different.len()), repeats, || {
        for (id, out) in different.iter().zip(gathered.chunks_exact_mut(size)) {
            out.copy_from_slice(&weight[*id as usize * size..(*id as usize + 1) * size]);
        }
    });
    let mut workspace = Workspace::new(tch::get_num_threads() as usize);
    let touched = candidates.classes().len();
    let (mut d_hidden, mut d_weight, mut d_bias) =
        (vec![0.0_f32; rows * size], vec![0.0; touched * size], vec![0.0; touched]);
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size: size };
    report("- loss alone: gather, a product, sweep", repeats, || {
        sampled::loss(linear, &candidates, Kernel::Softmax, &mut workspace).unwrap();
    });
    let upstream = vec![1.0 / rows as f64; rows];
    let all = report("- loss and gradients", repeats, || {
        let wanted =
            Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), bias: Some(&mut d_bias) };
        sampled::loss_and_gradients(linear, &candidates, Kernel::Softmax, &upstream, wanted, &mut workspace)
            .unwrap();
    });
    let mut logits = vec![0.0_f32; rows * different.len()];
    let floor = report("- the three bare products", repeats, || {
        let classes = different.len();
        product([classes, rows, size], (&gathered, [size, 1]), (&hidden, [1, size]), &mut logits);
        product([rows, size, classes], (&logits, [1, rows]), (&gathered, [size, 1]), &mut d_hidden);
        product(
            [classes, size, rows],
            (&logits, [rows, 1]),
            (&hidden, [size, 1]),
            &mut d_weight[..classes * size],
        );
    });
    report("- descend on the touched rows", repeats, || {
        descend(&mut weight, candidates.classes(), &d_weight)
    });
    println!("  loss and gradients take {:.3} of the bare products", all / floor);
}

/// `out = left right` of sizes `[m, n, k]`, matrices with strides `(row, column)`; rows of `out`
/// shared by the threads.
fn product([m, n, k]: [usize; 3], left: (&[f32], [usize; 2]), right: (&[f32], [usize; 2]), out: &mut [f32]) {
    let share = m.div_ceil(tch::get_num_threads() as usize);
    assert!(left.0.len() > (m - 1) * left.1[0] + (k - 1) * left.1[1]);
    assert!(right.0.len() > (k - 1) * right.1[0] + (n - 1) * right.1[1]);
    std::thread::scope(|scope| {
        for (thread, out) in out.chunks_mut(share * n).enumerate() {
            scope.spawn(move || {
                let from = &left.0[thread * share * left.1[0]..];
                let threads = gemm::Parallelism::None;
                let (rs, cs) = (right.1[0] as isize, right.1[1] as isize);
                // SAFETY: the largest index of each matrix is inside its slice (checked above; this
                // thread has `out.len() / n` of the `m` rows), and `out` is borrowed for this
                // thread alone.
                unsafe {
                    gemm::gemm(
                        out.len() / n,
                        n,
                        k,
                        out.as_mut_ptr(),
                        1,
                        n as isize,
                        false,
                        from.as_ptr(),
                        left.1[1] as isize,
                        left.1[0] as isize,
                        right.0.as_ptr(),
                        cs,
                        rs,
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        threads,
                    );
                }
            });
        }
    });
}
