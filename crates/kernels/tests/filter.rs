//! Filtered gradients: right where they are kept, bounded where they are not, and the measured mass
//! is the dropped one.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, Problem, Rounded, error, naive_f64, transformed_f64};
use lexmax_kernels::linear_ce::{
    Filter, Filtered, Gradients, Linear, Options, Upstream, Workspace, gradients, loss, loss_and_gradients,
};
use lexmax_kernels::logspace::log_sum_exp;
use lexmax_kernels::{Element, Level, LogitTransform};
use proptest::prelude::*;

/// All gradients of one call, and what was left out.
fn run<T: Element + Into<f64>>(
    linear: Linear<'_, T>,
    targets: &[i64],
    options: &Options<'_, T>,
    upstream: &[T],
    workspace: &mut Workspace<T>,
    again: bool,
) -> (Answer, Option<Filtered>) {
    let mut made = Buffers::new(&linear);
    let upstream = Upstream::Rows(upstream);
    let (rows, filtered) = if again {
        let rows = loss(linear, targets, options, workspace).unwrap();
        assert_eq!(rows.filtered, None, "no gradients, nothing left out");
        let filtered =
            gradients(linear, targets, options, &rows, upstream, made.wanted(), workspace).unwrap();
        (rows, filtered)
    } else {
        let rows = loss_and_gradients(linear, targets, options, upstream, made.wanted(), workspace).unwrap();
        let filtered = rows.filtered;
        (rows, filtered)
    };
    let wide = |numbers: Vec<T>| numbers.into_iter().map(Into::into).collect();
    let answer = Answer {
        loss: rows.loss,
        log_normaliser: rows.log_normaliser,
        target_log_prob: rows.target_log_prob,
        d_hidden: wide(made.hidden),
        d_weight: wide(made.weight),
        d_bias: wide(made.bias),
        ..Answer::default()
    };
    (answer, filtered)
}

/// Output buffers, pre-filled with 7 to catch partial overwrites.
struct Buffers<T> {
    hidden: Vec<T>,
    weight: Vec<T>,
    bias: Vec<T>,
}

impl<T: Element> Buffers<T> {
    fn new(linear: &Linear<'_, T>) -> Self {
        let rubbish = |len| vec![T::from_f64(7.0); len];
        Self {
            hidden: rubbish(linear.hidden.len()),
            weight: rubbish(linear.weight.len()),
            bias: rubbish(linear.vocab_size()),
        }
    }

    fn wanted(&mut self) -> Gradients<'_, T> {
        Gradients {
            hidden: Some(&mut self.hidden),
            weight: Some(&mut self.weight),
            bias: Some(&mut self.bias),
            accumulate: false,
        }
    }
}

/// `p[i][c]`, one logit after the other.
fn probabilities(problem: &Problem, options: &Options<'_, f64>) -> Vec<Vec<f64>> {
    let linear = problem.linear();
    let size = linear.hidden_size;
    let logit = |hidden: &[f64], class: usize| {
        let dot: f64 = hidden.iter().zip(&linear.weight[class * size..]).map(|(a, b)| a * b).sum();
        let logit = (dot + linear.bias.map_or(0.0, |bias| bias[class])) / options.temperature;
        transformed_f64(options.transform, logit).0 + options.logit_offset.map_or(0.0, |offset| offset[class])
    };
    let of_row = |hidden: &[f64]| {
        let logits: Vec<f64> = (0..linear.vocab_size()).map(|class| logit(hidden, class)).collect();
        let normaliser = log_sum_exp(logits.iter().copied());
        logits.iter().map(|logit| (logit - normaliser).exp()).collect()
    };
    linear.hidden.chunks_exact(size).map(of_row).collect()
}

/// The filter's rule for rows of one chunk: `(kept classes, dropped mass)`.
fn rule(problem: &Problem, p: &[Vec<f64>], ignored: Option<i64>, eps: f64) -> (Vec<bool>, f64) {
    let counted: Vec<usize> = (0..p.len()).filter(|row| Some(problem.targets[*row]) != ignored).collect();
    let kept: Vec<bool> = (0..problem.vocab_size)
        .map(|class| counted.iter().any(|row| p[*row][class] > eps || problem.targets[*row] == class as i64))
        .collect();
    let dropped =
        |row: &usize| kept.iter().zip(&p[*row]).filter(|(kept, _)| !**kept).map(|(_, p)| p).sum::<f64>();
    let mass = counted.iter().map(dropped).sum();
    (kept, mass)
}

/// The exact answer with the rule applied: what the kernels must give.
fn oracle(problem: &Problem, options: &Options<'_, f64>, kept: &[bool], exact_weight: bool) -> Answer {
    let linear = problem.linear();
    let size = linear.hidden_size;
    let mut answer = naive_f64(linear, &problem.targets, options, &problem.upstream);
    for row in 0..linear.rows() {
        // A row alone: the gradient of the bias is that of its logits.
        let hidden = &linear.hidden[row * size..(row + 1) * size];
        let alone = Linear { hidden, ..linear };
        let of_logits =
            naive_f64(alone, &problem.targets[row..=row], options, &problem.upstream[row..=row]).d_bias;
        for d in 0..size {
            answer.d_hidden[row * size + d] = (0..kept.len())
                .filter(|class| kept[*class])
                .map(|class| of_logits[class] * linear.weight[class * size + d])
                .sum();
        }
    }
    if !exact_weight {
        for class in (0..kept.len()).filter(|class| !kept[*class]) {
            answer.d_weight[class * size..(class + 1) * size].fill(0.0);
            answer.d_bias[class] = 0.0;
        }
    }
    answer
}

/// Options that go with a filter, by bits.
fn options<'a>(bits: [bool; 7], offset: Option<&'a [f64]>, weights: Option<&'a [f64]>) -> Options<'a, f64> {
    let [cap, temperature, use_offset, z_loss, focal, use_weights, sigsoftmax] = bits;
    Options {
        transform: match (sigsoftmax, cap) {
            (true, _) => LogitTransform::Sigsoftmax,
            (false, true) => LogitTransform::SoftCap(6.0),
            (false, false) => LogitTransform::Identity,
        },
        temperature: if temperature { 1.3 } else { 1.0 },
        logit_offset: offset.filter(|_| use_offset),
        z_loss: if z_loss { 0.01 } else { 0.0 },
        focal_gamma: if focal { 2.0 } else { 0.0 },
        class_weights: weights.filter(|_| use_weights),
        ignore_index: Some(-100),
        ..Options::default()
    }
}

/// Rare classes far below frequent ones, as after training: some blocks have nothing to keep.
fn zipfian(seed: u64, rows: usize, size: usize, vocab: usize) -> Problem {
    let mut problem = Problem::new(seed, rows, size, vocab, 1.0);
    for (class, bias) in problem.bias.as_mut().unwrap().iter_mut().enumerate() {
        *bias -= 8.0 * (class as f64 / vocab as f64).sqrt();
    }
    for (row, target) in problem.targets.iter_mut().enumerate() {
        if row % 3 == 1 {
            *target = -100;
        } else if row % 3 == 0 {
            *target /= 8;
        }
    }
    problem
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn filter_keeps_exact_entries_and_counts_the_dropped_mass(
        bits: [bool; 7], exact_weight: bool, again: bool, seed: u64, rows in 1..60_usize, size in 1..24_usize,
        vocab in 1..1800_usize, threads in 1..4_usize, eps in prop::sample::select(vec![1e-7, 1e-5, 1e-4, 1e-3, 0.03]),
        short_of_memory: bool,
    ) {
        // Up to 16 rows are one chunk however small the memory, so the rule is known; then logits
        // are made again.
        let rows = if short_of_memory { rows.min(16) } else { rows };
        let memory = if short_of_memory { 0 } else { 32 << 20 };
        let problem = zipfian(seed, rows, size, vocab);
        let plain = options(bits, problem.offset.as_deref(), problem.class_weights.as_deref());
        let filtered = Options { filter: Some(Filter { eps, exact_weight }), ..plain };
        let p = probabilities(&problem, &plain);
        let (kept, mass) = rule(&problem, &p, Some(-100), eps);
        let expected = oracle(&problem, &plain, &kept, exact_weight);
        let mut workspace = Workspace::new(threads).with_memory_limit(memory);
        let (got, left_out) =
            run(problem.linear(), &problem.targets, &filtered, &problem.upstream, &mut workspace, again);
        let parts: [fn(&Answer) -> &Vec<f64>; 6] = [
            |a| &a.loss, |a| &a.log_normaliser, |a| &a.target_log_prob,
            |a| &a.d_hidden, |a| &a.d_weight, |a| &a.d_bias,
        ];
        for (number, part) in parts.into_iter().enumerate() {
            prop_assert!(error(part(&got), part(&expected)) <= 1e-11, "part {number}");
        }
        let left_out = left_out.unwrap();
        let counted = problem.targets.iter().filter(|target| **target != -100).count();
        prop_assert!((left_out.dropped_mass - mass).abs() <= 1e-11 * mass.max(1e-3));
        prop_assert_eq!(left_out.entries, (counted * vocab) as u64);
        prop_assert_eq!(left_out.kept, (counted * kept.iter().filter(|kept| **kept).count()) as u64);
    }

    /// Over chunks that only the plan knows: no entry above `eps` is missing, and the error is
    /// within the stated bound.
    #[test]
    fn the_error_is_bounded_at_any_cut(
        seed: u64, exact_weight: bool, threads in 1..3_usize, eps in prop::sample::select(vec![1e-6, 1e-4, 1e-3]),
        level in prop::sample::select(Level::ALL.to_vec()), rows in 1..400_usize,
        memory in prop::sample::select(vec![0_usize, 3 << 20, 32 << 20]),
    ) {
        let (size, vocab) = (6, 2300);
        let problem = zipfian(seed, rows, size, vocab);
        let rounded = Rounded::of(&problem);
        let plain = Options { ignore_index: Some(-100), ..Options::default() };
        let exact = naive_f64(problem.linear(), &problem.targets, &plain, &problem.upstream);
        let p = probabilities(&problem, &plain);
        let options = Options {
            ignore_index: Some(-100), filter: Some(Filter { eps, exact_weight }), ..Options::default()
        };
        let mut workspace = Workspace::new(threads).with_memory_limit(memory).with_level(level);
        let (got, left_out) =
            run(rounded.linear(), &problem.targets, &options, &rounded.upstream, &mut workspace, false);
        let left_out = left_out.unwrap();
        // The most that the rule can drop: every entry at or below eps.
        let droppable = |row: usize| p[row].iter().filter(|p| **p <= eps * 1.0001).sum::<f64>();
        let largest_weight = problem.weight.iter().fold(0.0_f64, |m, w| m.max(w.abs()));
        let mut most = 0.0;
        for row in 0..rows {
            let counts = problem.targets[row] != -100;
            let bound = if counts { droppable(row) } else { 0.0 };
            most += bound;
            for d in 0..size {
                let off = (got.d_hidden[row * size + d] - exact.d_hidden[row * size + d]).abs();
                let allowed = problem.upstream[row].abs() * bound * largest_weight + 1e-5;
                prop_assert!(off <= allowed, "row {row}: {off:e} > {allowed:e}");
            }
        }
        prop_assert!(left_out.dropped_mass <= most * 1.0001 && left_out.kept <= left_out.entries);
        let scale = exact.d_weight.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let rows_of = got.d_weight.chunks_exact(size).zip(exact.d_weight.chunks_exact(size));
        for (class, (got, exact)) in rows_of.enumerate() {
            let bound: f64 = (0..rows)
                .filter(|row| problem.targets[*row] != -100 && p[*row][class] <= eps * 1.0001)
                .map(|row| problem.upstream[row].abs() * p[row][class] * 3.0)
                .sum();
            let allowed = if exact_weight { 0.0 } else { bound } + 1e-5 * scale.max(1.0);
            for (got, exact) in got.iter().zip(exact) {
                prop_assert!((got - exact).abs() <= allowed, "class {class}: {got} and {exact}");
            }
        }
    }

    #[test]
    fn nothing_to_drop_gives_the_same_bits(
        bits: [bool; 7], seed: u64, rows in 1..60_usize, vocab in 1..1500_usize, threads in 1..3_usize, again: bool,
        exact_weight: bool, memory in prop::sample::select(vec![2_usize << 20, 32 << 20]),
    ) {
        let problem = zipfian(seed, rows, 12, vocab);
        let plain = options(bits, problem.offset.as_deref(), problem.class_weights.as_deref());
        let call = |filter| {
            let mut workspace = Workspace::new(threads).with_memory_limit(memory);
            let options = Options { filter, ..plain };
            run(problem.linear(), &problem.targets, &options, &problem.upstream, &mut workspace, again)
        };
        let (without, nothing) = call(None);
        prop_assert_eq!(nothing, None);
        let (zero, left_out) = call(Some(Filter { eps: 0.0, exact_weight }));
        prop_assert!(without.d_hidden == zero.d_hidden && without.d_weight == zero.d_weight);
        prop_assert!(without.d_bias == zero.d_bias && without.loss == zero.loss);
        prop_assert_eq!(left_out.unwrap().share_kept(), 1.0);
        prop_assert_eq!(left_out.unwrap().dropped_mass, 0.0);
    }
}

/// A filtered sweep that drops nothing has the bits of the plain one.
#[test]
fn a_filter_that_keeps_all_gives_the_same_bits() {
    let problem = Problem::new(11, 90, 16, 1900, 1.0);
    let rounded = Rounded::of(&problem);
    for again in [false, true] {
        let call = |filter| {
            let options = Options { filter, ..Options::default() };
            let mut workspace = Workspace::new(2);
            run(rounded.linear(), &problem.targets, &options, &rounded.upstream, &mut workspace, again)
        };
        let (plain, _) = call(None);
        let (kept, left_out) = call(Some(Filter { eps: 1e-30, exact_weight: false }));
        assert_eq!(left_out.unwrap().share_kept(), 1.0);
        assert!(
            plain.d_hidden == kept.d_hidden && plain.d_weight == kept.d_weight && plain.d_bias == kept.d_bias
        );
    }
}

#[test]
fn filtered_gradients_are_the_same_bits_at_every_run() {
    let problem = zipfian(12, 300, 16, 3000);
    let rounded = Rounded::of(&problem);
    let linear = rounded.linear();
    for (threads, exact_weight) in [(1, false), (2, false), (3, true)] {
        let filter = Some(Filter { eps: 1e-4, exact_weight });
        let options = Options { ignore_index: Some(-100), filter, ..Options::default() };
        let mut workspace = Workspace::new(threads).with_memory_limit(6 << 20);
        let call = |workspace: &mut Workspace<f32>| {
            run(linear, &problem.targets, &options, &rounded.upstream, workspace, false)
        };
        let first = call(&mut workspace);
        let second = call(&mut workspace);
        let third = call(&mut Workspace::new(threads).with_memory_limit(6 << 20));
        for (again, left_out) in [&second, &third] {
            assert!(first.0.d_hidden == again.d_hidden && first.0.d_weight == again.d_weight);
            assert!(first.0.d_bias == again.d_bias && first.1 == *left_out);
        }
        let share = first.1.unwrap().share_kept();
        assert!(share > 0.01 && share < 0.9, "the case filters: {share}");
        // Hidden alone.
        let mut d_hidden = vec![1.0; linear.hidden.len()];
        let wanted = Gradients { hidden: Some(&mut d_hidden), ..Gradients::default() };
        let upstream = Upstream::Rows(&rounded.upstream[..]);
        loss_and_gradients(linear, &problem.targets, &options, upstream, wanted, &mut workspace).unwrap();
        let wide: Vec<f64> = d_hidden.into_iter().map(f64::from).collect();
        assert!(error(&wide, &first.0.d_hidden) <= 1e-6);
    }
}

#[test]
fn filtered_gradients_accumulate_into_weight_and_bias() {
    let problem = zipfian(13, 40, 8, 2000);
    let filter = Some(Filter { eps: 1e-3, exact_weight: false });
    let options = Options { ignore_index: Some(-100), filter, ..Options::default() };
    let mut workspace = Workspace::new(2);
    let (fresh, _) =
        run(problem.linear(), &problem.targets, &options, &problem.upstream, &mut workspace, false);
    let mut made = Buffers::new(&problem.linear());
    let wanted = Gradients { accumulate: true, ..made.wanted() };
    let upstream = Upstream::Rows(&problem.upstream[..]);
    loss_and_gradients(problem.linear(), &problem.targets, &options, upstream, wanted, &mut workspace)
        .unwrap();
    let more = |numbers: &[f64]| numbers.iter().map(|x| x + 7.0).collect::<Vec<_>>();
    assert!(error(&made.weight, &more(&fresh.d_weight)) <= 1e-13);
    assert!(error(&made.bias, &more(&fresh.d_bias)) <= 1e-13);
    assert!(error(&made.hidden, &fresh.d_hidden) <= 1e-13);
}

#[test]
fn a_row_that_is_not_a_number_stays_visible() {
    let mut problem = zipfian(14, 3, 4, 1200);
    problem.hidden[0] = f64::NAN;
    let filter = Some(Filter { eps: 1e-3, exact_weight: false });
    let options = Options { ignore_index: Some(-100), filter, ..Options::default() };
    let (got, _) =
        run(problem.linear(), &problem.targets, &options, &problem.upstream, &mut Workspace::new(1), false);
    assert!(got.loss[0].is_nan() && got.d_hidden[..4].iter().all(|x| x.is_nan()));
}

#[test]
fn bad_filters_are_refused_by_name() {
    let problem = Problem::new(9, 4, 3, 10, 1.0);
    let fails = |options: Options<'_, f64>| {
        loss(problem.linear(), &problem.targets, &options, &mut Workspace::new(1)).unwrap_err().to_string()
    };
    for eps in [-1e-9, 1.0, f64::NAN, f64::INFINITY] {
        let filter = Some(Filter { eps, exact_weight: false });
        let message = fails(Options { filter, ..Options::default() });
        assert!(message.contains("filter.eps") && message.contains("0 <= eps < 1"), "{message}");
    }
    let filter = Some(Filter { eps: 1e-5, exact_weight: false });
    let message = fails(Options { filter, label_smoothing: 0.1, ..Options::default() });
    assert!(message.contains("label_smoothing") && message.contains("filter"), "{message}");
}
