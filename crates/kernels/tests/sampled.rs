//! Losses over gathered rows against the obvious computation, over all objectives, sets of
//! negatives, threads and levels.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Problem, Rounded};
use lexmax_kernels::linear_ce::Linear;
use lexmax_kernels::sampled::{
    Candidates, Gradients, Negatives, Objective, Sets, Workspace, loss, loss_and_gradients,
};
use lexmax_kernels::seed::generator;
use lexmax_kernels::{Element, Level};
use proptest::prelude::*;
use rand::RngExt;

const OBJECTIVES: [Objective; 4] = [
    Objective::Softmax,
    Objective::Logistic { corrected: true },
    Objective::Logistic { corrected: false },
    Objective::Pairwise,
];
const SETS: [Sets; 3] = [Sets::Shared, Sets::InBatch, Sets::PerRow];

/// Negatives of a problem, with repeats and hits: half of them are near its first classes.
fn negatives(problem: &Problem, sets: Sets, samples: usize, leave_hits_out: bool, seed: u64) -> Negatives {
    let mut rng = generator(seed, "negatives of kernel tests", 0);
    let (rows, vocab) = (problem.targets.len(), problem.vocab_size as i64);
    let count = match sets {
        Sets::Shared => samples,
        Sets::PerRow => samples * rows,
        Sets::InBatch => 0,
    };
    let mut draw =
        || if rng.random::<bool>() { rng.random_range(0..vocab.min(4)) } else { rng.random_range(0..vocab) };
    let ids: Vec<i64> = (0..count).map(|_| draw()).collect();
    let expected = |id: &i64| (0.3 + (*id % 5) as f64).ln();
    let listed = if sets == Sets::InBatch { &problem.targets } else { &ids };
    Negatives {
        sets,
        log_expected: listed.iter().map(expected).collect(),
        target_log_expected: problem.targets.iter().map(|id| expected(id) - 0.2).collect(),
        ids,
        leave_hits_out,
    }
}

/// Losses and dense gradients `[N, D]`, `[V, D]`, `[V]`.
#[derive(Debug, Clone, PartialEq)]
struct Answer([Vec<f64>; 4]);

/// One negative after the other, in f64; and the largest sum of the magnitudes that make a number
/// of each part.
fn naive(problem: &Problem, negatives: &Negatives, objective: Objective) -> (Answer, [f64; 4]) {
    let (rows, size) = (problem.targets.len(), problem.size);
    let bias = |class: usize| problem.bias.as_ref().map_or(0.0, |bias| bias[class]);
    let hidden = |row: usize| &problem.hidden[row * size..(row + 1) * size];
    let weight = |class: usize| &problem.weight[class * size..(class + 1) * size];
    let logit = |row: usize, class: usize| {
        hidden(row).iter().zip(weight(class)).map(|(a, b)| a * b).sum::<f64>() + bias(class)
    };
    let corrected = !matches!(objective, Objective::Logistic { corrected: false } | Objective::Pairwise);
    let soft_plus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut losses, mut d_hidden) = (vec![0.0; rows], vec![0.0; rows * size]);
    let (mut d_weight, mut d_bias) = (vec![0.0; problem.weight.len()], vec![0.0; problem.vocab_size]);
    let mut magnitudes = [vec![1.0; rows], d_hidden.clone(), d_weight.clone(), d_bias.clone()];
    for row in 0..rows {
        let target = problem.targets[row];
        let seen: Vec<(usize, f64)> = match negatives.sets {
            Sets::Shared => {
                negatives.ids.iter().copied().zip(negatives.log_expected.iter().copied()).collect::<Vec<_>>()
            }
            Sets::PerRow => {
                let samples = negatives.ids.len() / rows;
                let mine = row * samples..(row + 1) * samples;
                negatives.ids[mine.clone()]
                    .iter()
                    .copied()
                    .zip(negatives.log_expected[mine].iter().copied())
                    .collect()
            }
            Sets::InBatch => (0..rows)
                .filter(|other| *other != row)
                .map(|other| (problem.targets[other], negatives.log_expected[other]))
                .collect(),
        }
        .into_iter()
        .filter(|(id, _)| !(negatives.leave_hits_out && *id == target))
        .map(|(id, expected)| (id as usize, expected))
        .collect();
        let u = |class: usize, expected: f64| logit(row, class) - if corrected { expected } else { 0.0 };
        let u_y = u(target as usize, negatives.target_log_expected[row]);
        let (loss, of_target, terms): (f64, f64, Vec<f64>) = match objective {
            Objective::Softmax => {
                let odds: Vec<f64> = seen.iter().map(|(class, e)| (u(*class, *e) - u_y).exp()).collect();
                let total: f64 = 1.0 + odds.iter().sum::<f64>();
                (total.ln(), 1.0 / total - 1.0, odds.iter().map(|odds| odds / total).collect())
            }
            Objective::Logistic { .. } => {
                let terms: Vec<f64> = seen.iter().map(|(class, e)| u(*class, *e)).collect();
                let loss = soft_plus(-u_y) + terms.iter().map(|u| soft_plus(*u)).sum::<f64>();
                (loss, -logistic(-u_y), terms.into_iter().map(logistic).collect())
            }
            Objective::Pairwise => {
                let ahead = |(class, e): &(usize, f64)| (u(*class, *e) - u_y, (-e).exp());
                let loss = seen.iter().map(ahead).map(|(x, share)| share * soft_plus(x)).sum();
                let terms: Vec<f64> = seen.iter().map(ahead).map(|(x, share)| share * logistic(x)).collect();
                (loss, -terms.iter().sum::<f64>(), terms)
            }
        };
        losses[row] = loss;
        let negatives = seen.iter().map(|(class, _)| *class).zip(terms);
        for (class, gradient) in negatives.chain([(target as usize, of_target)]) {
            let gradient = gradient * problem.upstream[row];
            d_bias[class] += gradient;
            magnitudes[3][class] += gradient.abs();
            for d in 0..size {
                let (of_hidden, of_weight) = (gradient * weight(class)[d], gradient * hidden(row)[d]);
                d_hidden[row * size + d] += of_hidden;
                magnitudes[1][row * size + d] += of_hidden.abs();
                d_weight[class * size + d] += of_weight;
                magnitudes[2][class * size + d] += of_weight.abs();
            }
        }
    }
    magnitudes[0].extend(&losses);
    let largest = magnitudes.map(|part| part.into_iter().fold(1e-300, f64::max));
    (Answer([losses, d_hidden, d_weight, d_bias]), largest)
}

fn fused<T: Element + Into<f64>>(
    linear: Linear<'_, T>,
    problem: &Problem,
    candidates: &Candidates,
    objective: Objective,
    workspace: &mut Workspace<T>,
) -> Answer {
    let (size, touched) = (problem.size, candidates.classes());
    // What is there before must not matter.
    let old = T::default() + Element::from_f64(7.0);
    let (mut d_hidden, mut rows, mut d_bias) =
        (vec![old; linear.hidden.len()], vec![old; touched.len() * size], vec![old; touched.len()]);
    let wanted = Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut rows), bias: Some(&mut d_bias) };
    let losses =
        loss_and_gradients(linear, candidates, objective, &problem.upstream, wanted, workspace).unwrap();
    let (mut weight, mut bias) = (vec![0.0; problem.weight.len()], vec![0.0; problem.vocab_size]);
    for (at, class) in touched.iter().enumerate() {
        bias[*class as usize] = d_bias[at].into();
        for d in 0..size {
            weight[*class as usize * size + d] = rows[at * size + d].into();
        }
    }
    Answer([losses, d_hidden.into_iter().map(Into::into).collect(), weight, bias])
}

/// Relative to what was summed: terms that cancel leave rounding of their size.
fn compare(got: &Answer, (exact, scales): &(Answer, [f64; 4]), allowed: f64) -> Result<(), TestCaseError> {
    let names = ["loss", "d_hidden", "d_weight", "d_bias"];
    for part in 0..4 {
        let (got, exact, allowed) = (&got.0[part], &exact.0[part], allowed * scales[part]);
        let close = got.iter().zip(exact).all(|(a, b)| (a - b).abs() <= allowed);
        prop_assert!(got.len() == exact.len() && close, "{}: {got:?}, not {exact:?}", names[part]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_objective_and_set_equals_the_obvious_computation(
        seed in 0..1000_u64,
        rows in 1..70_usize,
        size in 1..90_usize,
        vocab in 1..50_usize,
        samples in 1..100_usize,
        threads in 1..5_usize,
        leave_hits_out: bool,
        with_bias: bool,
    ) {
        let mut problem = Problem::new(seed, rows, size, vocab, 2.0);
        if !with_bias {
            problem.bias = None;
        }
        let rounded = Rounded::of(&problem);
        let (mut double, mut single) = (Workspace::new(threads), Workspace::new(threads));
        for sets in SETS {
            let negatives = negatives(&problem, sets, samples, leave_hits_out, seed);
            let candidates = Candidates::new(problem.targets.clone(), negatives.clone(), vocab).unwrap();
            for objective in OBJECTIVES {
                let exact = naive(&problem, &negatives, objective);
                let got = fused(problem.linear(), &problem, &candidates, objective, &mut double);
                compare(&got, &exact, 1e-12)?;
                let alone = loss(problem.linear(), &candidates, objective, &mut double).unwrap();
                prop_assert_eq!(&alone, &got.0[0]);
                for level in Level::ALL {
                    single = single.with_level(level);
                    let got = fused(rounded.linear(), &problem, &candidates, objective, &mut single);
                    compare(&got, &exact, 2e-5)?;
                }
            }
        }
        let held = single.bytes();
        let stated = SETS.map(|sets| {
            let samples = if sets == Sets::InBatch { rows } else { samples };
            Workspace::<f32>::bytes_for(rows, samples, size, threads, sets)
        });
        prop_assert!(held <= stated.iter().sum(), "{held} bytes held, {stated:?} stated");
    }
}

#[test]
fn many_rows_and_negatives_in_several_tiles() {
    // 700 negatives of f32 in tiles of 368 rows: the second thread has more than one, the last is
    // not full.
    let problem = Problem::new(5, 1101, 33, 3000, 2.0);
    let rounded = Rounded::of(&problem);
    for sets in SETS {
        let negatives = negatives(&problem, sets, 700, true, 5);
        let candidates = Candidates::new(problem.targets.clone(), negatives.clone(), 3000).unwrap();
        for objective in OBJECTIVES {
            let exact = naive(&problem, &negatives, objective);
            let mut runs = Vec::new();
            for threads in [1, 2, 2, 3] {
                let mut workspace = Workspace::new(threads);
                let got = fused(rounded.linear(), &problem, &candidates, objective, &mut workspace);
                compare(&got, &exact, 1e-5).unwrap();
                runs.push(got);
                let samples = candidates.samples();
                let stated = Workspace::<f32>::bytes_for(1101, samples, 33, threads, sets);
                assert!(workspace.bytes() <= stated, "{sets:?}: {} held, {stated} stated", workspace.bytes());
                // [N, S, D] would be 33 times the logits of all rows.
                assert!(stated < 3 * 1101 * samples.max(1101) * 4, "{sets:?}: {stated}");
            }
            assert_eq!(runs[1], runs[2], "{sets:?} {objective:?}: not the same bits");
        }
    }
}

#[test]
fn extreme_logits_stay_finite() {
    for logit in [-1e4_f32, 1e4] {
        let weight = [0.0, logit, 1.0];
        let linear = Linear { hidden: &[1.0, 1.0], weight: &weight, bias: None, hidden_size: 1 };
        for sets in [Sets::Shared, Sets::PerRow] {
            // Row 0: every negative is a hit.
            let ids = if sets == Sets::Shared { vec![1, 1] } else { vec![1, 1, 0, 2] };
            let log_expected = vec![0.0; ids.len()];
            let negatives = Negatives {
                sets,
                ids,
                log_expected,
                target_log_expected: vec![0.0; 2],
                leave_hits_out: true,
            };
            let candidates = Candidates::new(vec![1, 0], negatives, 3).unwrap();
            for objective in OBJECTIVES {
                let mut d_weight = vec![0.0; candidates.classes().len()];
                let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
                let mut workspace = Workspace::new(1);
                let losses =
                    loss_and_gradients(linear, &candidates, objective, &[1.0; 2], wanted, &mut workspace)
                        .unwrap();
                let finite = losses.iter().all(|x| x.is_finite()) && d_weight.iter().all(|x| x.is_finite());
                assert!(finite, "{objective:?} {sets:?}: {losses:?} {d_weight:?}");
                if objective == Objective::Softmax {
                    assert_eq!(losses[0], 0.0, "nothing is left beside the target");
                }
            }
        }
    }
}

#[test]
fn input_that_does_not_fit_is_an_error() {
    let shared = |ids: Vec<i64>| Negatives {
        sets: Sets::Shared,
        log_expected: vec![0.0; ids.len()],
        ids,
        target_log_expected: vec![0.0; 2],
        leave_hits_out: true,
    };
    let message =
        |targets: Vec<i64>, negatives| Candidates::new(targets, negatives, 9).unwrap_err().to_string();
    assert!(message(vec![1, 9], shared(vec![3])).contains("target 9 in row 1"));
    assert!(message(vec![1, -1], shared(vec![3])).contains("target -1 in row 1"));
    assert!(message(vec![1, 2], shared(vec![9])).contains("negatives = 9, expected classes in 0..9"));
    assert!(message(vec![1, 2], shared(vec![])).contains("negatives = none, expected at least one"));
    assert!(message(vec![1], shared(vec![3])).contains("target_log_expected has 2 numbers, expected 1"));
    let uneven = Negatives { sets: Sets::PerRow, ..shared(vec![1, 2, 3]) };
    assert!(message(vec![1, 2], uneven).contains("ids = 3, expected as many for each of 2 rows"));
    let named = Negatives { sets: Sets::InBatch, ..shared(vec![1, 2]) };
    assert!(message(vec![1, 2], named).contains("ids has 2 numbers, expected 0"));

    let candidates = Candidates::new(vec![1, 2], shared(vec![3]), 9).unwrap();
    let (hidden, weight) = (vec![0.0; 4], vec![0.0; 18]);
    let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: 2 };
    let mut workspace = Workspace::new(1);
    let mut error = |linear, upstream: &[f64], d_weight: &mut [f64]| {
        let wanted = Gradients { weight: Some(d_weight), ..Gradients::default() };
        loss_and_gradients(linear, &candidates, Objective::Softmax, upstream, wanted, &mut workspace)
            .unwrap_err()
            .to_string()
    };
    assert!(error(linear, &[1.0], &mut [0.0; 6]).contains("upstream has 1 numbers, expected 2"));
    assert!(error(linear, &[1.0; 2], &mut [0.0; 4]).contains("gradient of weight has 4 numbers, expected 6"));
    let short = Linear { hidden: &hidden[..2], ..linear };
    assert!(error(short, &[1.0; 2], &mut [0.0; 6]).contains("hidden has 2 numbers, expected 4"));
    let longer = vec![0.0; 20];
    let other = Linear { weight: &longer, ..linear };
    assert!(error(other, &[1.0; 2], &mut [0.0; 6]).contains("weight has 20 numbers, expected 18"));
}
