//! Tests of the row kernels against loops in f64, and of what must be the same bits.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::update::update_at;
use super::*;
use crate::{Element, Level};

const RATE: f64 = 0.3;
const SCALE: f64 = 0.75;

fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for weight_decay in [0.0, 0.1] {
        rules.push(Rule::Sgd { learning_rate: RATE, weight_decay });
        rules.push(Rule::Adagrad { learning_rate: RATE, weight_decay, eps: 1e-3 });
        for flag in [false, true] {
            rules.push(Rule::Momentum { learning_rate: RATE, weight_decay, momentum: 0.9, nesterov: flag });
            rules.push(Rule::Adam {
                learning_rate: RATE,
                weight_decay,
                decoupled: flag,
                beta1: 0.8,
                beta2: 0.95,
                eps: 1e-3,
                step: 3.0,
            });
        }
    }
    rules
}

/// The formulas of [`Rule`], one element at a time.
fn oracle(rule: Rule, p: f64, state: [f64; 2], g: f64) -> (f64, [f64; 2]) {
    match rule {
        Rule::Sgd { learning_rate: lr, weight_decay: w } => (p - lr * (g + w * p), state),
        Rule::Momentum { learning_rate: lr, weight_decay: w, momentum: mu, nesterov } => {
            let g = g + w * p;
            let v = mu * state[0] + g;
            (p - lr * if nesterov { g + mu * v } else { v }, [v, state[1]])
        }
        Rule::Adagrad { learning_rate: lr, weight_decay: w, eps } => {
            let g = g + w * p;
            let s = state[0] + g * g;
            (p - lr * g / (s.sqrt() + eps), [s, state[1]])
        }
        Rule::Adam { learning_rate: lr, weight_decay: w, decoupled, beta1, beta2, eps, step } => {
            let (p, g) = if decoupled { (p * (1.0 - lr * w), g) } else { (p, g + w * p) };
            let m = beta1 * state[0] + (1.0 - beta1) * g;
            let v = beta2 * state[1] + (1.0 - beta2) * g * g;
            let (m_hat, v_hat) = (m / (1.0 - beta1.powf(step)), v / (1.0 - beta2.powf(step)));
            (p - lr * m_hat / (v_hat.sqrt() + eps), [m, v])
        }
    }
}

fn wave(count: usize, stream: f64) -> Vec<f64> {
    (0..count).map(|i| (i as f64 * 0.7 + stream).sin()).collect()
}

/// Parameter and two tables (the second moment is no negative number).
fn start(count: usize) -> [Vec<f64>; 3] {
    [
        wave(count, 1.0),
        wave(count, 2.0).iter().map(|x| x.abs()).collect(),
        wave(count, 3.0).iter().map(|x| x * x).collect(),
    ]
}

fn run<T: Element>(
    level: Level,
    rule: Rule,
    start: &[Vec<f64>; 3],
    width: usize,
    gradient: Gradient<'_, T>,
    threads: usize,
) -> Vec<Vec<T>> {
    let convert = |values: &Vec<f64>| values.iter().map(|&value| T::from_f64(value)).collect::<Vec<T>>();
    let mut tables: Vec<Vec<T>> = start[..=rule.tables()].iter().map(convert).collect();
    let (parameter, state) = tables.split_first_mut().unwrap();
    let tables_in = Tables { parameter, state: state.iter_mut().map(Vec::as_mut_slice).collect(), width };
    update_at(level, rule, tables_in, gradient, SCALE, threads).unwrap();
    tables
}

/// Large enough for several threads; rows at both ends, side by side, and far apart.
const WIDTH: usize = 131;
const HEIGHT: usize = 9_000;

fn sparse_rows() -> Vec<i64> {
    (0..HEIGHT as i64).filter(|row| row % 3 == 0 || row % 7 == 1 || *row == HEIGHT as i64 - 1).collect()
}

fn check_against_oracle<T: Element>(tolerance: f64) {
    let start = start(WIDTH * HEIGHT);
    let rows = sparse_rows();
    let values = wave(rows.len() * WIDTH, 4.0);
    let mut dense = vec![0.0; WIDTH * HEIGHT];
    for (&row, values) in rows.iter().zip(values.chunks(WIDTH)) {
        dense[row as usize * WIDTH..][..WIDTH].copy_from_slice(values);
    }
    let convert = |values: &[f64]| values.iter().map(|&value| T::from_f64(value)).collect::<Vec<T>>();
    let (values, zeros_elsewhere) = (convert(&values), convert(&dense));
    for rule in rules() {
        let by_dense = run(Level::best(), rule, &start, WIDTH, Gradient::Dense(&zeros_elsewhere), 2);
        for i in 0..WIDTH * HEIGHT {
            let (p, state) = oracle(rule, start[0][i], [start[1][i], start[2][i]], SCALE * dense[i]);
            for (table, truth) in by_dense.iter().zip([p, state[0], state[1]]) {
                let far = (table[i].to_f64() - truth).abs();
                assert!(
                    far <= tolerance * (1.0 + truth.abs()),
                    "{rule:?} at {i}: {} {truth}",
                    table[i].to_f64()
                );
            }
        }
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            for threads in [1, 2, 3] {
                let with = |others| Gradient::Rows { rows: &rows, values: &values, others };
                let moved = run(level, rule, &start, WIDTH, with(Others::Move), threads);
                assert!(moved == by_dense, "{rule:?} {level:?} {threads}: the bits of the dense gradient");
                let rested = run(level, rule, &start, WIDTH, with(Others::Rest), threads);
                for (table, (full, before)) in rested.iter().zip(by_dense.iter().zip(&start)) {
                    for row in 0..HEIGHT {
                        let range = row * WIDTH..(row + 1) * WIDTH;
                        let touched = rows.binary_search(&(row as i64)).is_ok();
                        let expected = if touched {
                            full[range.clone()].to_vec()
                        } else {
                            convert(&before[range.clone()])
                        };
                        assert!(table[range] == expected[..], "{rule:?} row {row}, touched {touched}");
                    }
                }
                assert_eq!(rested == moved, rule.rests_at_zero(), "{rule:?}");
            }
        }
    }
}

#[test]
fn every_rule_follows_its_formula_dense_and_by_rows_in_f64() {
    check_against_oracle::<f64>(1e-13);
}

#[test]
fn every_rule_follows_its_formula_dense_and_by_rows_in_f32() {
    check_against_oracle::<f32>(2e-5);
}

#[test]
fn update_that_does_not_fit_is_refused_and_writes_nothing() {
    let rule = Rule::Adagrad { learning_rate: 1.0, weight_decay: 0.0, eps: 1e-10 };
    let rows =
        |rows: &'static [i64], values: &'static [f64]| Gradient::Rows { rows, values, others: Others::Rest };
    let cases = [
        (6, 2, rows(&[0, 3], &[1.0; 4]), "row = 3, expected 0 <= row < 3"),
        (6, 2, rows(&[-1, 2], &[1.0; 4]), "row = -1"),
        (6, 2, rows(&[1, 1], &[1.0; 4]), "expected rising rows"),
        (6, 2, rows(&[0, 1], &[1.0; 3]), "the gradient has 3 numbers, expected 4"),
        (6, 4, rows(&[0], &[1.0; 4]), "width = 4, expected a divisor"),
        (6, 0, rows(&[], &[]), "width = 0"),
        (5, 2, Gradient::Dense(&[1.0; 6]), "a table of state has 5 numbers, expected 6"),
        (6, 2, Gradient::Dense(&[1.0; 5]), "the gradient has 5 numbers, expected 6"),
    ];
    for (state_length, width, gradient, expected) in cases {
        let (mut parameter, mut state) = ([1.0; 6], vec![1.0; state_length]);
        let tables = Tables { parameter: &mut parameter, state: vec![&mut state], width };
        let error = update(rule, tables, gradient, 1.0, 1).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!((parameter, state), ([1.0; 6], vec![1.0; state_length]));
    }
    let tables = Tables { parameter: &mut [1.0; 2], state: vec![], width: 1 };
    let error = update(rule, tables, Gradient::Dense(&[0.0; 2]), 1.0, 1).unwrap_err().to_string();
    assert!(error.contains("tables of state = 0, expected 1"), "{error}");
}

#[test]
fn update_with_an_empty_gradient_changes_nothing() {
    let rule = Rule::Sgd { learning_rate: 1.0, weight_decay: 0.0 };
    let tables = Tables::<f32> { parameter: &mut [], state: vec![], width: 0 };
    update(rule, tables, Gradient::Dense(&[]), 1.0, 2).unwrap();
    let mut parameter = [1.0_f32; 4];
    let tables = Tables { parameter: &mut parameter, state: vec![], width: 2 };
    update(rule, tables, Gradient::Rows { rows: &[], values: &[], others: Others::Rest }, 1.0, 2).unwrap();
    assert_eq!(parameter, [1.0; 4]);
}

#[test]
fn merged_rows_are_sums_to_the_last_bit_of_f32_on_any_threads() {
    let ids: Vec<i64> = (0..14_000_i64).map(|i| (i * i * 31 + 7) % 611).collect();
    let width = 40;
    let values: Vec<f32> = wave(ids.len() * width, 0.3).iter().map(|&x| x as f32).collect();
    let merge = Merge::new(&ids);
    assert!(rising(merge.ids()));
    let mut truth = std::collections::BTreeMap::new();
    for (id, row) in ids.iter().zip(values.chunks(width)) {
        let sum = truth.entry(*id).or_insert_with(|| vec![0.0_f64; width]);
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    assert!(merge.ids().iter().eq(truth.keys()));
    let expected: Vec<f32> = truth.values().flatten().map(|&sum| sum as f32).collect();
    for threads in [1, 2, 3] {
        let mut sums = vec![f32::NAN; merge.ids().len() * width];
        merge.sum(&values, width, &mut sums, threads).unwrap();
        assert_eq!(sums, expected);
    }
    let error = merge.sum(&values[1..], width, &mut [], 1).unwrap_err().to_string();
    assert!(error.contains("values has"), "{error}");
}

proptest! {
    #[test]
    fn merges_hold_every_position_once(ids in proptest::collection::vec(-3_i64..9, 0..40)) {
        let merge = Merge::new(&ids);
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(merge.ids(), &sorted[..]);
        let ones = vec![1.0_f64; ids.len()];
        let mut counts = vec![0.0; sorted.len()];
        merge.sum(&ones, 1, &mut counts, 2).unwrap();
        for (id, count) in sorted.iter().zip(&counts) {
            prop_assert_eq!(ids.iter().filter(|other| *other == id).count() as f64, *count);
        }
    }
}

#[test]
fn square_sum_is_exact_and_same_bits_on_any_threads_and_level() {
    for count in [0, 1, 15, 4_095, 4_096, 4_097, WIDTH * HEIGHT] {
        let values = wave(count, 1.0);
        let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let truth: f64 = narrow.iter().map(|&value| f64::from(value).powi(2)).sum();
        let once = square_sum(&narrow, 1);
        assert!((once - truth).abs() <= 1e-12 * truth, "{count}: {once} {truth}");
        let wide = square_sum(&values, 1);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            for threads in [1, 2, 3, 7] {
                assert_eq!(norm::square_sum_at(level, &narrow, threads), once, "{count} {level:?} {threads}");
                assert_eq!(norm::square_sum_at(level, &values, threads), wide, "{count} {level:?} {threads}");
            }
        }
    }
    assert!(square_sum(&[1.0_f32, f32::NAN], 1).is_nan());
    assert_eq!(square_sum(&[1e30_f32, 1e-40], 1), f64::from(1e30_f32).powi(2));
}
