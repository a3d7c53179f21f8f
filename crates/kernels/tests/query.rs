//! Top-k and draws against the obvious computation.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Problem, Rounded, TRANSFORMS, transformed_f64};
use lexmax_kernels::linear_ce::mixture::Mixture;
use lexmax_kernels::linear_ce::{Linear, Workspace};
use lexmax_kernels::logspace::log_sum_exp;
use lexmax_kernels::query::{mixture_top_k, sample, top_k};
use lexmax_kernels::{KernelError, Level, LogitTransform};
use proptest::prelude::*;

/// Temperature and transform of a question.
type Softened = (f64, LogitTransform);

const PLAIN: Softened = (1.0, LogitTransform::Identity);

/// Log-probabilities of one row.
fn log_probs(linear: Linear<'_, f64>, (temperature, transform): Softened, row: usize) -> Vec<f64> {
    let size = linear.hidden_size;
    let hidden = &linear.hidden[row * size..(row + 1) * size];
    let logits: Vec<f64> = (0..linear.vocab_size())
        .map(|class| {
            let dot: f64 = hidden.iter().zip(&linear.weight[class * size..]).map(|(a, b)| a * b).sum();
            let logit = (dot + linear.bias.map_or(0.0, |bias| bias[class])) / temperature;
            transformed_f64(transform, logit).0
        })
        .collect();
    let normaliser = log_sum_exp(logits.iter().copied());
    logits.into_iter().map(|logit| logit - normaliser).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn top_k_is_the_sorted_head(
        seed: u64, rows in 1..40_usize, vocab in 1..1500_usize, share in 0.0..1.0_f64, threads in 1..4_usize,
        transform in prop::sample::select(TRANSFORMS.to_vec()),
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let k = 1 + (share * share * (vocab - 1) as f64) as usize;
        let mut problem = Problem::new(seed, rows, 64, vocab, 1.5);
        // Equal classes: the smaller id comes first, also across blocks.
        let (first, last) = (problem.weight[..64].to_vec(), (vocab - 1) * 64);
        problem.weight[last..].copy_from_slice(&first);
        let bias = problem.bias.as_mut().unwrap();
        bias[vocab - 1] = bias[0];
        let got = top_k(problem.linear(), k, 0.7, transform, &mut Workspace::new(threads)).unwrap();
        let rounded = Rounded::of(&problem);
        let mut workspace = Workspace::new(threads).with_level(level);
        let got_f32 = top_k(rounded.linear(), k, 0.7, transform, &mut workspace).unwrap();
        for row in 0..rows {
            let exact = log_probs(problem.linear(), (0.7, transform), row);
            let mut ids: Vec<usize> = (0..vocab).collect();
            ids.sort_by(|a, b| exact[*b].total_cmp(&exact[*a]).then(a.cmp(b)));
            let seen = &got.ids[row * k..(row + 1) * k];
            for (at, id) in ids[..k].iter().enumerate() {
                let found = got.log_probs[row * k + at];
                prop_assert!((found - exact[*id]).abs() <= 1e-10 * found.abs().max(1.0));
                // The id may differ only where rounding cannot tell two logits apart.
                prop_assert!((exact[seen[at] as usize] - exact[*id]).abs() <= 1e-12 * exact[*id].abs().max(1.0));
                let found = got_f32.log_probs[row * k + at];
                prop_assert!((found - exact[*id]).abs() <= 32.0 * f64::from(f32::EPSILON) * found.abs().max(4.0));
            }
            let mut distinct = seen.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), k);
            if let (Some(zero), Some(copy)) =
                (seen.iter().position(|id| *id == 0), seen.iter().position(|id| *id == vocab as i64 - 1))
            {
                // Products of the last few classes may sum in another order, so equal weights may
                // give unequal logits.
                let told_apart = got.log_probs[row * k + copy] > got.log_probs[row * k + zero];
                prop_assert!(vocab == 1 || zero < copy || told_apart);
            }
        }
    }
}

#[test]
fn classes_of_probability_zero_fill_up_the_top_k() {
    let bias = [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY, 1.0, f64::NEG_INFINITY];
    let linear = Linear { hidden: &[0.0], weight: &[0.0; 5], bias: Some(&bias), hidden_size: 1 };
    let best = top_k(linear, 4, 1.0, LogitTransform::Identity, &mut Workspace::new(1)).unwrap();
    assert_eq!(best.ids, [3, 1, 0, 2]);
    assert_eq!(best.log_probs[2], f64::NEG_INFINITY);
}

#[test]
fn draws_follow_the_softmax_and_no_thread_count() {
    // One hidden state, many rows: the draws of one distribution, over several blocks.
    let (vocab, draws) = (1300, 40_000);
    let problem = Problem::new(11, 1, 32, vocab, 2.0);
    let rounded = Rounded::of(&problem);
    let hidden: Vec<f32> = rounded.hidden.iter().copied().cycle().take(draws * 32).collect();
    let linear = Linear { hidden: &hidden, ..rounded.linear() };
    for (temperature, transform) in [
        (1.3, LogitTransform::Identity),
        (1.0, LogitTransform::SoftCap(2.0)),
        (1.0, LogitTransform::Sigsoftmax),
    ] {
        let draw = |seed, threads| {
            sample(linear, seed, temperature, transform, &mut Workspace::new(threads)).unwrap()
        };
        let drawn = draw(42, 1);
        assert_eq!(drawn, draw(42, 3));
        assert_ne!(drawn, draw(43, 1));
        assert_follows(&drawn, &log_probs(problem.linear(), (temperature, transform), 0));
    }
    // Every other class has no probability, whole blocks of them too; in f64.
    let masked = |class: usize| class % 2 == 1 || class > 900;
    let bias: Vec<f64> =
        (0..vocab).map(|class| if masked(class) { f64::NEG_INFINITY } else { 0.0 }).collect();
    let one = Linear { bias: Some(&bias), ..problem.linear() };
    let hidden: Vec<f64> = problem.hidden.iter().copied().cycle().take(draws * 32).collect();
    let many = Linear { hidden: &hidden, ..one };
    let drawn = sample(many, 7, 1.0, LogitTransform::Identity, &mut Workspace::new(2)).unwrap();
    assert!(drawn.iter().all(|class| !masked(*class as usize)));
    assert_follows(&drawn, &log_probs(one, PLAIN, 0));
}

/// Chi-square of draws from one distribution.
fn assert_follows(drawn: &[i64], log_probs: &[f64]) {
    let mut counts = vec![0.0_f64; log_probs.len()];
    for id in drawn {
        counts[*id as usize] += 1.0;
    }
    // Chi-square over classes expected five times or more, the others together.
    let expected: Vec<f64> = log_probs.iter().map(|p| p.exp() * drawn.len() as f64).collect();
    let (mut chi, mut bins, mut rest) = (0.0, 0.0, (0.0, 0.0));
    for (count, expected) in counts.iter().zip(&expected) {
        if *expected >= 5.0 {
            chi += (count - expected).powi(2) / expected;
            bins += 1.0;
        } else {
            rest = (rest.0 + count, rest.1 + expected);
        }
    }
    chi += (rest.0 - rest.1).powi(2) / rest.1.max(1.0);
    // Mean `bins`, standard deviation sqrt(2 bins): five of them is one chance in a million.
    assert!(
        bins > 100.0 && (chi - bins).abs() < 5.0 * (2.0_f64 * bins).sqrt(),
        "chi-square {chi} over {bins} classes"
    );
}

#[test]
fn bad_questions_are_errors() {
    let problem = Problem::new(2, 3, 4, 10, 1.0);
    let plain = LogitTransform::Identity;
    let mut workspace = Workspace::new(1);
    for k in [0, 11] {
        assert!(
            top_k(problem.linear(), k, 1.0, plain, &mut workspace)
                .unwrap_err()
                .to_string()
                .contains("1 <= k <= 10")
        );
    }
    assert!(
        sample(problem.linear(), 1, 0.0, plain, &mut workspace)
            .unwrap_err()
            .to_string()
            .contains("temperature")
    );
    let mut hidden = problem.hidden.clone();
    hidden[5] = f64::NAN;
    let broken = Linear { hidden: &hidden, ..problem.linear() };
    let refused = sample(broken, 1, 1.0, plain, &mut workspace);
    assert!(matches!(refused, Err(KernelError::NotFinite { row: 1, .. })), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever is called certain is the sorted head of the mixture; what is not is at most that.
    #[test]
    fn mixture_top_k_that_is_certain_is_the_sorted_head(
        seed: u64, tokens in 1..20_usize, components in 1..6_usize, vocab in 1..1500_usize, k in 1..9_usize,
        spread in 0.5..8.0_f64, threads in 1..4_usize, level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let k = k.min(vocab);
        let problem = Problem::new(seed, tokens * components, 24, vocab, spread);
        // Uneven, another one for each token: 1, 2, 4, ... parts to the components, turned by the
        // token's number.
        let parts = |row: usize| f64::from(1 << ((row + row / components) % components));
        let all = f64::from((1 << components) - 1);
        let prior: Vec<f64> =
            (0..tokens * components).map(|row| f64::from((parts(row) / all).ln() as f32)).collect();
        let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components };
        let got = mixture_top_k(mixture, k, &mut Workspace::new(threads)).unwrap();
        let rounded = Rounded::of(&problem);
        let single: Vec<f32> = prior.iter().map(|x| *x as f32).collect();
        let mixture = Mixture { linear: rounded.linear(), log_prior: &single, components };
        let got_f32 = mixture_top_k(mixture, k, &mut Workspace::new(threads).with_level(level)).unwrap();
        for token in 0..tokens {
            let of_rows: Vec<Vec<f64>> = (token * components..(token + 1) * components)
                .map(|row| log_probs(problem.linear(), PLAIN, row))
                .collect();
            let exact: Vec<f64> = (0..vocab)
                .map(|c| log_sum_exp(of_rows.iter().enumerate().map(|(k, row)| row[c] + prior[token * components + k])))
                .collect();
            let mut sorted = exact.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            for (got, allowed) in [(&got, 1e-10), (&got_f32, 1e-4)] {
                for (at, best) in sorted[..k].iter().enumerate() {
                    let (found, id) = (got.log_probs[token * k + at], got.ids[token * k + at]);
                    prop_assert!((found - exact[id as usize]).abs() <= allowed);
                    prop_assert!(found <= best + allowed);
                    prop_assert!(!got.certain[token] || found >= best - allowed);
                }
            }
            // Lists of all classes leave nothing open; so does a distribution that one class has.
            prop_assert!(vocab > 64 || got.certain[token]);
        }
    }
}

#[test]
fn bounds_decide_a_mixture_only_where_its_components_agree() {
    // Components with the same state are one softmax.
    let mut problem = Problem::new(5, 6, 24, 1500, 4.0);
    let state = problem.hidden[..24].to_vec();
    problem.hidden.chunks_mut(24).for_each(|row| row.copy_from_slice(&state));
    let prior = [(1.0_f64 / 3.0).ln(); 6];
    let mixture = Mixture { linear: problem.linear(), log_prior: &prior, components: 3 };
    let got = mixture_top_k(mixture, 5, &mut Workspace::new(2)).unwrap();
    assert_eq!(got.certain, [true; 2]);
    let alone = top_k(problem.linear(), 5, 1.0, LogitTransform::Identity, &mut Workspace::new(1)).unwrap();
    assert_eq!(got.ids[..5], alone.ids[..5]);

    // Flat ones with states of their own are as likely to be beaten by a class that none of them
    // has high.
    let problem = Problem::new(5, 6, 24, 1500, 0.01);
    let mixture =
        Mixture { linear: Linear { bias: None, ..problem.linear() }, log_prior: &prior, components: 3 };
    let got = mixture_top_k(mixture, 5, &mut Workspace::new(2)).unwrap();
    assert!(got.certain.contains(&false));
    for (k, prior) in [(0, &prior[..]), (1501, &prior[..]), (5, &prior[1..])] {
        let mixture = Mixture { linear: problem.linear(), log_prior: prior, components: 3 };
        assert!(mixture_top_k(mixture, k, &mut Workspace::new(1)).is_err(), "{k}");
    }
}

/// The best class of a mixture may be in no component's list: the bound has to weigh each component
/// by its own prior.
#[test]
fn a_class_that_is_second_everywhere_is_not_overlooked() {
    let mut weight = vec![-9.0_f64; 2 * 200];
    for (component, classes) in [(0, 0..64), (1, 64..128)] {
        classes.for_each(|class: usize| weight[2 * class + component] = 1.0);
    }
    weight[2 * 199..].fill(0.999);
    let linear = Linear { hidden: &[1.0, 0.0, 0.0, 1.0], weight: &weight, bias: None, hidden_size: 2 };
    for prior in [[0.1_f64, 0.9], [0.9, 0.1]] {
        let log_prior = prior.map(f64::ln);
        let mixture = Mixture { linear, log_prior: &log_prior, components: 2 };
        let best = mixture_top_k(mixture, 1, &mut Workspace::new(1)).unwrap();
        assert!(!best.certain[0] && best.ids[0] != 199, "{prior:?}: {best:?}");
    }
}
