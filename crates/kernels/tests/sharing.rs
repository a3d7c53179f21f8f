//! Who sweeps a span does not matter to the bits: one thread that takes everything, the last one
//! that does, and threads side by side give the same results.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use lexmax_kernels::linear_ce::mixture::{self, Mixture, MixtureGradients};
use lexmax_kernels::linear_ce::{
    Filter, Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients,
};
use lexmax_kernels::query::{sample, top_k};
use lexmax_kernels::{LogitTransform, set_runner};

/// How the runner of this process runs the workers of a phase.
static MODE: AtomicUsize = AtomicUsize::new(0);
const MODES: usize = 3;

fn runner(count: usize, work: &(dyn Fn(usize) + Sync)) {
    match MODE.load(Ordering::Relaxed) {
        // The first worker finds all work, the others none.
        0 => (0..count).for_each(work),
        1 => (0..count).rev().for_each(work),
        _ => std::thread::scope(|scope| {
            for index in 0..count {
                scope.spawn(move || work(index));
            }
        }),
    }
}

const ROWS: usize = 120;
const SIZE: usize = 24;
const VOCAB: usize = 20_000;
const THREADS: usize = 3;

fn wave(len: usize, phase: f32) -> Vec<f32> {
    (0..len).map(|at| (at as f32 * 1.73 + phase).sin()).collect()
}

/// All numbers of every kind of call, as bits.
fn bits() -> Vec<u64> {
    let (hidden, weight, bias) = (wave(ROWS * SIZE, 0.1), wave(VOCAB * SIZE, 0.2), wave(VOCAB, 0.3));
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size: SIZE };
    let targets: Vec<i64> = (0..ROWS).map(|row| (row * 7919 % VOCAB) as i64).collect();
    // Little memory: some tiles are kept and some computed again.
    let mut workspace = Workspace::new(THREADS).with_memory_limit(12 << 20);
    let mut all = Vec::new();
    let of = |numbers: &[f32]| numbers.iter().map(|number| u64::from(number.to_bits())).collect::<Vec<_>>();
    for options in [
        Options::default(),
        Options { label_smoothing: 0.1, ..Options::default() },
        Options { filter: Some(Filter { eps: 1e-4, exact_weight: false }), ..Options::default() },
    ] {
        let mut made = [vec![0.0; ROWS * SIZE], vec![0.0; VOCAB * SIZE], vec![0.0; VOCAB]];
        let [d_hidden, d_weight, d_bias] = &mut made;
        let wanted = Gradients {
            hidden: Some(d_hidden),
            weight: Some(d_weight),
            bias: Some(d_bias),
            accumulate: false,
        };
        let rows =
            loss_and_gradients(linear, &targets, &options, Upstream::Same(1.0), wanted, &mut workspace)
                .unwrap();
        all.extend(rows.loss.iter().map(|loss| loss.to_bits()));
        all.extend(rows.filtered.map(|filtered| filtered.dropped_mass.to_bits()));
        made.iter().for_each(|numbers| all.extend(of(numbers)));
    }

    let prior = vec![0.25_f32.ln(); ROWS];
    let mixture = Mixture { linear, log_prior: &prior, components: 4 };
    let options = Options { label_smoothing: 0.1, ..Options::default() };
    let (mut d_hidden, mut d_prior) = (vec![0.0; ROWS * SIZE], vec![0.0; ROWS]);
    let wanted = MixtureGradients {
        linear: Gradients { hidden: Some(&mut d_hidden), ..Gradients::default() },
        log_prior: Some(&mut d_prior),
    };
    let tokens = &targets[..ROWS / 4];
    let loss =
        mixture::loss_and_gradients(mixture, tokens, &options, Upstream::Same(1.0), wanted, &mut workspace);
    all.extend(loss.unwrap().iter().map(|loss| loss.to_bits()));
    all.extend(of(&d_hidden));
    all.extend(of(&d_prior));

    // Equal logits in classes of different spans: the smaller id counts.
    let flat = vec![0.0; VOCAB * SIZE];
    for weight in [&weight, &flat] {
        let linear = Linear { weight, bias: None, ..linear };
        let best = top_k(linear, 5, 1.0, LogitTransform::Identity, &mut workspace).unwrap();
        all.extend(best.ids.iter().map(|id| *id as u64));
        let drawn = sample(linear, 3, 1.0, LogitTransform::Identity, &mut workspace).unwrap();
        all.extend(drawn.iter().map(|id| *id as u64));
    }
    all
}

#[test]
fn bits_do_not_depend_on_who_takes_a_span() {
    assert!(set_runner(runner));
    let first = bits();
    for mode in 1..MODES {
        MODE.store(mode, Ordering::Relaxed);
        assert!(bits() == first, "mode {mode}");
    }
}
