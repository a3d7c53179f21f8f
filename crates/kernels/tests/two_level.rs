//! The two-level sweep against the obvious computation in f64: a softmax over classes and one over
//! the words of the class.
#![allow(clippy::unwrap_used)]

mod common;

use common::error;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::seed::generator;
use lexmax_kernels::two_level::{Gradients, Groups, TwoLevel, Workspace, log_prob, log_prob_and_gradients};
use lexmax_kernels::{KernelError, Level};
use proptest::prelude::*;
use rand::RngExt;

/// Input in f64 that is exact in f32.
struct Problem {
    starts: Vec<i64>,
    hidden: Vec<f64>,
    class_weight: Vec<f64>,
    weight: Vec<f64>,
    class_bias: Option<Vec<f64>>,
    bias: Option<Vec<f64>>,
    upstream: Vec<f64>,
    targets: Vec<i64>,
    size: usize,
}

impl Problem {
    fn new(seed: u64, rows: usize, size: usize, sizes: &[usize]) -> Self {
        let mut rng = generator(seed, "two level", 0);
        let mut starts = vec![0];
        for size in sizes {
            starts.push(starts[starts.len() - 1] + *size as i64);
        }
        let (classes, vocab) = (sizes.len(), starts[sizes.len()] as usize);
        let scale = (6.0 / (size as f64).sqrt()).sqrt();
        let mut draw = |len: usize, scale: f64| -> Vec<f64> {
            (0..len).map(|_| f64::from(((rng.random::<f64>() - 0.5) * 2.0 * scale) as f32)).collect()
        };
        let (hidden, class_weight, weight) =
            (draw(rows * size, scale), draw(classes * size, scale), draw(vocab * size, scale));
        let (class_bias, bias) = (Some(draw(classes, 1.0)), Some(draw(vocab, 1.0)));
        let upstream = draw(rows, 1.0);
        let targets =
            draw(rows, 0.5).into_iter().map(|u| (vocab as f64 * (u + 0.5).powi(3)) as i64).collect();
        Self { starts, hidden, class_weight, weight, class_bias, bias, upstream, targets, size }
    }

    fn groups(&self) -> Groups {
        Groups::new(&self.starts, &self.targets).unwrap()
    }

    fn layer(&self) -> TwoLevel<'_, f64> {
        TwoLevel {
            hidden: &self.hidden,
            class_weight: &self.class_weight,
            class_bias: self.class_bias.as_deref(),
            weight: &self.weight,
            bias: self.bias.as_deref(),
            hidden_size: self.size,
        }
    }

    /// The definition, with gradients of all words.
    fn naive(&self) -> Answer {
        let (size, starts) = (self.size, &self.starts);
        let mut out = Answer {
            log_probs: vec![0.0; self.targets.len()],
            hidden: vec![0.0; self.hidden.len()],
            class_weight: vec![0.0; self.class_weight.len()],
            class_bias: vec![0.0; starts.len() - 1],
            weight: vec![0.0; self.weight.len()],
            bias: vec![0.0; starts[starts.len() - 1] as usize],
        };
        for (row, &target) in self.targets.iter().enumerate() {
            let h = &self.hidden[row * size..(row + 1) * size];
            let d_hidden = &mut out.hidden[row * size..(row + 1) * size];
            let class = starts.iter().rposition(|start| *start <= target).unwrap();
            let mut softmax =
                |weight: &[f64], bias: &Option<Vec<f64>>, from: usize, count: usize, at: usize| {
                    let row = |c: usize| &weight[(from + c) * size..(from + c + 1) * size];
                    let logits: Vec<f64> = (0..count)
                        .map(|c| {
                            let dot: f64 = row(c).iter().zip(h).map(|(a, b)| a * b).sum();
                            dot + bias.as_ref().map_or(0.0, |bias| bias[from + c])
                        })
                        .collect();
                    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
                    let normaliser = largest + logits.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
                    let factor = |c: usize| f64::from(u8::from(c == at)) - (logits[c] - normaliser).exp();
                    let factors: Vec<f64> = (0..count).map(factor).collect();
                    for (c, factor) in factors.iter().enumerate() {
                        for (d_hidden, weight) in d_hidden.iter_mut().zip(row(c)) {
                            *d_hidden += factor * weight;
                        }
                    }
                    (logits[at] - normaliser, factors)
                };
            let first = starts[class] as usize;
            let count = starts[class + 1] as usize - first;
            let (of_class, class_factors) =
                softmax(&self.class_weight, &self.class_bias, 0, starts.len() - 1, class);
            let (of_word, factors) = softmax(&self.weight, &self.bias, first, count, target as usize - first);
            out.log_probs[row] = of_class + of_word;
            let upstream = self.upstream[row];
            d_hidden.iter_mut().for_each(|d| *d *= upstream);
            let parts = [
                (&mut out.class_weight, &mut out.class_bias, 0, class_factors),
                (&mut out.weight, &mut out.bias, first, factors),
            ];
            for (weight, bias, from, factors) in parts {
                for (c, factor) in factors.iter().enumerate() {
                    bias[from + c] += upstream * factor;
                    for d in 0..size {
                        weight[(from + c) * size + d] += upstream * factor * h[d];
                    }
                }
            }
        }
        out
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    log_probs: Vec<f64>,
    hidden: Vec<f64>,
    class_weight: Vec<f64>,
    class_bias: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

macro_rules! swept {
    ($name:ident, $kind:ty) => {
        fn $name(problem: &Problem, workspace: &mut Workspace<$kind>) -> Answer {
            let cast = |numbers: &[f64]| numbers.iter().map(|x| *x as $kind).collect::<Vec<_>>();
            let back = |numbers: &[$kind]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let (hidden, class_weight, weight) =
                (cast(&problem.hidden), cast(&problem.class_weight), cast(&problem.weight));
            let (class_bias, bias) =
                (problem.class_bias.as_deref().map(cast), problem.bias.as_deref().map(cast));
            let upstream = cast(&problem.upstream);
            let layer = TwoLevel {
                hidden: &hidden,
                class_weight: &class_weight,
                class_bias: class_bias.as_deref(),
                weight: &weight,
                bias: bias.as_deref(),
                hidden_size: problem.size,
            };
            let (groups, size) = (problem.groups(), problem.size);
            let filled = |len| vec![7.0 as $kind; len];
            let (mut d_hidden, mut d_class, mut d_class_bias) =
                (filled(hidden.len()), filled(class_weight.len()), filled(class_weight.len() / size));
            let (mut rows, mut d_bias) = (filled(groups.word_count() * size), filled(groups.word_count()));
            let wanted = Gradients {
                hidden: Some(&mut d_hidden),
                class_weight: Some(&mut d_class),
                class_bias: Some(&mut d_class_bias),
                weight: Some(&mut rows),
                bias: Some(&mut d_bias),
            };
            let log_probs =
                log_prob_and_gradients(layer, &groups, Upstream::Rows(&upstream), wanted, workspace).unwrap();
            let alone = log_prob(layer, &groups, workspace).unwrap();
            assert!(error(&alone, &log_probs) <= 1e-6, "without gradients");
            let (rows, of_words) = (back(&rows), back(&d_bias));
            let (mut all, mut all_bias) = (vec![0.0; weight.len()], vec![0.0; weight.len() / size]);
            for (at, word) in groups.words().enumerate() {
                all[word * size..(word + 1) * size].copy_from_slice(&rows[at * size..(at + 1) * size]);
                all_bias[word] = of_words[at];
            }
            Answer {
                log_probs,
                hidden: back(&d_hidden),
                class_weight: back(&d_class),
                class_bias: back(&d_class_bias),
                weight: all,
                bias: all_bias,
            }
        }
    };
}

swept!(swept_f64, f64);
swept!(swept_f32, f32);

fn close(got: &Answer, exact: &Answer, allowed: f64) -> Result<(), TestCaseError> {
    let parts = [
        ("log_probs", &got.log_probs, &exact.log_probs),
        ("d_hidden", &got.hidden, &exact.hidden),
        ("d_class_weight", &got.class_weight, &exact.class_weight),
        ("d_class_bias", &got.class_bias, &exact.class_bias),
        ("d_weight", &got.weight, &exact.weight),
        ("d_bias", &got.bias, &exact.bias),
    ];
    for (name, got, exact) in parts {
        // Gradients that cancel to zero, as those of a single class, are right to the rounding of
        // their terms, which are about one.
        let scale = exact.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
        let off = error(got, exact) * scale.clamp(f64::MIN_POSITIVE, 1.0);
        prop_assert!(off <= allowed, "{name} is off by {off:e}, allowed {allowed:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_level_equals_softmax_over_classes_times_over_words(
        seed: u64, rows in 0..90_usize, size in 1..40_usize, sizes in prop::collection::vec(1..40_usize, 1..25),
        threads in 1..4_usize, bias: bool, level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut problem = Problem::new(seed, rows, size, &sizes);
        if !bias {
            (problem.class_bias, problem.bias) = (None, None);
        }
        let mut exact = problem.naive();
        close(&swept_f64(&problem, &mut Workspace::new(threads)), &exact, 1e-11)?;
        let mut workspace = Workspace::new(threads).with_level(level);
        let got = swept_f32(&problem, &mut workspace);
        close(&got, &exact, 1e-5)?;
        prop_assert!(got == swept_f32(&problem, &mut workspace), "a used workspace");
        prop_assert!(got == swept_f32(&problem, &mut Workspace::new(threads).with_level(level)), "a new workspace");
        // A check that cannot fail checks nothing.
        if rows > 0 {
            exact.log_probs[rows - 1] += 1.0;
            prop_assert!(close(&got, &exact, 1e-5).is_err());
        }
    }
}

/// One class with nearly all of the work: all threads share each group.
#[test]
fn a_heavy_class_is_right_with_any_number_of_threads() {
    let problem = Problem::new(3, 120, 32, &[5, 3000, 7]);
    let exact = problem.naive();
    for threads in [1, 2, 3] {
        close(&swept_f64(&problem, &mut Workspace::new(threads)), &exact, 1e-11).unwrap();
        close(&swept_f32(&problem, &mut Workspace::new(threads)), &exact, 1e-5).unwrap();
    }
}

#[test]
fn the_workspace_is_within_its_bound() {
    for (rows, sizes) in [(300, vec![30; 40]), (50, vec![3, 4000]), (7, vec![1; 90])] {
        let problem = Problem::new(5, rows, 24, &sizes);
        for threads in [1, 2, 3] {
            let mut workspace = Workspace::new(threads);
            // Large and small batches by turns.
            swept_f32(&problem, &mut workspace);
            swept_f32(&Problem::new(6, 5, 24, &sizes), &mut workspace);
            let numbers = 2 * rows * 24 + rows + threads * (rows * 24 + sizes.len() * (24 + 1));
            let bound = (32 << 20) + numbers * size_of::<f32>();
            assert!((1..=bound).contains(&workspace.bytes()), "{} of {bound}", workspace.bytes());
        }
    }
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let problem = Problem::new(7, 6, 3, &[4, 6]);
    let (groups, layer) = (problem.groups(), problem.layer());
    let mut workspace = Workspace::new(1);
    let mut fails = |layer| log_prob(layer, &groups, &mut workspace).unwrap_err().to_string();
    assert!(fails(TwoLevel { hidden: &problem.hidden[..15], ..layer }).contains("hidden has 15"));
    assert!(fails(TwoLevel { class_weight: &[0.0; 9], ..layer }).contains("class_weight has 9"));
    assert!(fails(TwoLevel { class_bias: Some(&[0.0; 3]), ..layer }).contains("class_bias has 3"));
    assert!(fails(TwoLevel { weight: &problem.weight[..27], ..layer }).contains("weight has 27"));
    assert!(fails(TwoLevel { bias: Some(&[0.0; 9]), ..layer }).contains("bias has 9"));
    assert!(fails(TwoLevel { hidden_size: 0, ..layer }).contains("hidden_size"));
    let mut short = [0.0; 5];
    let wanted = Gradients { weight: Some(&mut short), ..Gradients::default() };
    let refused = log_prob_and_gradients(layer, &groups, Upstream::Same(1.0), wanted, &mut workspace);
    assert!(matches!(refused, Err(KernelError::Length { what: "gradient of weight", given: 5, .. })));
}
