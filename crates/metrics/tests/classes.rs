//! Measures of single targets against naive oracles, and their rules on ties and absent classes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Best, close, prediction, rank};
use lexmax_metrics::{ClassOptions, ClassReport, ClassScores, Place, Rank, Row, bands};
use proptest::prelude::*;

/// Rows as target and the scores of all classes.
type Rows = Vec<(usize, Vec<f64>)>;

/// Cases with few distinct scores, so that ties are common, and with classes that have no rows.
fn cases() -> impl Strategy<Value = (Vec<u64>, Rows)> {
    (1_usize..9).prop_flat_map(|classes| {
        let scores = proptest::collection::vec((-3_i32..3).prop_map(f64::from), classes);
        let rows = proptest::collection::vec((0..classes, scores), 1..30);
        let counts = proptest::collection::vec(
            prop_oneof![Just(0_u64), 1_u64..19, 20_u64..101, 101_u64..999],
            classes,
        );
        (counts, rows)
    })
}

fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - greatest).exp()).sum();
    scores.iter().map(|score| score - greatest - sum.ln()).collect()
}

fn report(counts: &[u64], rows: &Rows) -> ClassReport {
    let mut all = ClassScores::new(ClassOptions::new(counts.to_vec())).unwrap();
    for (target, scores) in rows {
        let log_probs = log_softmax(scores);
        let greatest = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp();
        let place = Place::in_scores(scores, *target as u32).unwrap();
        all.add(&Row::with_probability(*target as u32, place, log_probs[*target], greatest)).unwrap();
    }
    all.finish().unwrap()
}

/// Rows of a class, and those of them that are predicted right.
fn recall(rows: &Rows, class: usize) -> Option<f64> {
    let of_class: Vec<_> = rows.iter().filter(|(target, _)| *target == class).collect();
    let hits = of_class.iter().filter(|(target, scores)| rank(scores, *target, &[]) == 1).count();
    (!of_class.is_empty()).then(|| hits as f64 / of_class.len() as f64)
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.into_iter().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn f1(rows: &Rows, class: usize) -> f64 {
    let cell = |target: bool, predicted: bool| {
        let is = |row: &&(usize, Vec<f64>)| {
            (row.0 == class) == target && (prediction(&row.1, row.0) == class) == predicted
        };
        rows.iter().filter(is).count() as f64
    };
    let (tp, fp, false_negatives) = (cell(true, true), cell(false, true), cell(true, false));
    2.0 * tp / (2.0 * tp + fp + false_negatives)
}

proptest! {
    #[test]
    fn class_measures_equal_the_naive_ones((counts, rows) in cases()) {
        let report = report(&counts, &rows);
        let measures = report.measures();
        let n = rows.len() as f64;
        for k in [1, 5] {
            let within = rows.iter().filter(|(target, scores)| rank(scores, *target, &[]) <= k).count();
            let name = format!("top-{k} accuracy");
            prop_assert!(close(measures[&name], within as f64 / n));
        }
        let present: Vec<usize> = (0..counts.len()).filter(|&c| recall(&rows, c).is_some()).collect();
        prop_assert_eq!(report.classes_with_test, present.len() as u64);
        let of = |class: usize| recall(&rows, class).unwrap();
        let balanced = mean(present.iter().map(|&c| of(c))).unwrap();
        prop_assert!(close(measures["balanced accuracy"], balanced));
        let seen: f64 = present.iter().map(|&c| counts[c] as f64).sum();
        let natural = present.iter().map(|&c| counts[c] as f64 / seen * of(c)).sum::<f64>();
        prop_assert_eq!(measures.contains_key("natural accuracy"), seen > 0.0);
        prop_assert!(seen == 0.0 || close(measures["natural accuracy"], natural));
        prop_assert!(close(measures["macro-F1"], mean(present.iter().map(|&c| f1(&rows, c))).unwrap()));
        for band in bands(&[20, 100]).unwrap() {
            let in_band = present.iter().filter(|&&c| band.holds(counts[c])).map(|&c| of(c));
            let found = measures.get(&format!("{} recall", band.name)).copied();
            match (found, mean(in_band)) {
                (Some(found), Some(naive)) => prop_assert!(close(found, naive)),
                (found, naive) => prop_assert_eq!(found, naive),
            }
        }
    }

    #[test]
    fn probability_measures_equal_the_naive_ones((counts, rows) in cases()) {
        let report = report(&counts, &rows);
        let n = rows.len() as f64;
        let nats = |row: &(usize, Vec<f64>)| -log_softmax(&row.1)[row.0];
        prop_assert!(close(report.measures()["nll"], rows.iter().map(nats).sum::<f64>() / n));
        let decades = &report.nll.as_ref().unwrap().decades;
        prop_assert_eq!(decades.iter().map(|decade| decade.rows).sum::<u64>(), rows.len() as u64);
        // Bins found the other way round: by trying each.
        let sure = |row: &(usize, Vec<f64>)| {
            log_softmax(&row.1).into_iter().fold(f64::NEG_INFINITY, f64::max).exp()
        };
        let mut ece = 0.0;
        for bin in 0..15 {
            let (low, high) = (f64::from(bin) / 15.0, f64::from(bin + 1) / 15.0);
            let inside: Vec<_> = rows.iter().filter(|&row| sure(row) > low && sure(row).min(1.0) <= high).collect();
            if let Some(confidence) = mean(inside.iter().map(|&row| sure(row))) {
                let hits = inside.iter().filter(|(target, scores)| prediction(scores, *target) == *target);
                let accuracy = hits.count() as f64 / inside.len() as f64;
                ece += inside.len() as f64 / n * (accuracy - confidence).abs();
            }
        }
        prop_assert!((report.measures()["ECE"] - ece).abs() < 1e-9);
    }

    #[test]
    fn accuracy_is_the_trace_of_the_confusion((counts, rows) in cases()) {
        let mut all = ClassScores::new(ClassOptions { confused: usize::MAX, ..ClassOptions::new(counts) }).unwrap();
        for (target, scores) in &rows {
            let place = Place::in_scores(scores, *target as u32).unwrap();
            prop_assert_eq!(place.predicted as usize, prediction(scores, *target));
            all.add(&Row::new(*target as u32, place)).unwrap();
        }
        let report = all.finish().unwrap();
        let off: u64 = report.confused.iter().map(|cell| cell.rows).sum();
        prop_assert!(report.confused.iter().all(|cell| cell.target != cell.predicted));
        prop_assert!(close(report.measures()["top-1 accuracy"], 1.0 - off as f64 / report.rows as f64));
        prop_assert!(!report.measures().contains_key("nll") && !report.measures().contains_key("ECE"));
    }

    #[test]
    fn list_gives_the_place_that_all_scores_give((_, rows) in cases(), length in 2_usize..9) {
        for (target, scores) in &rows {
            let best = Best::of(scores, length);
            let place = Place::in_list(best.list(), *target as u32, scores.len() as u64).unwrap();
            let exact = Place::in_scores(scores, *target as u32).unwrap();
            match place.rank {
                Rank::At(_) => prop_assert_eq!(place, exact),
                // With one entry more than k the list decides every rank up to k.
                Rank::Beyond(n) => for k in 1..n {
                    prop_assert!(!exact.rank.is_within(k));
                },
            }
        }
    }
}

#[test]
fn absent_class_changes_no_measure() {
    // Class 1 has no test row, but is predicted once.
    let place = |rank, predicted| Place { rank: Rank::At(rank), predicted };
    let measures = |classes: usize| {
        let mut all = ClassScores::new(ClassOptions::new([50, 50, 50, 50][..classes].to_vec())).unwrap();
        all.add(&Row::new(0, place(1, 0))).unwrap();
        all.add(&Row::new(2, place(2, 1))).unwrap();
        all.add(&Row::new(2, place(1, 2))).unwrap();
        let report = all.finish().unwrap();
        assert_eq!(report.classes_with_test, 2);
        assert_eq!(report.classes[1].recall(), None);
        // A prediction makes its F1 0; without one there is none.
        assert_eq!(report.classes[1].f1(), Some(0.0));
        assert!(report.classes.get(3).is_none_or(|class| class.f1().is_none()));
        report.measures()
    };
    let three = measures(3);
    assert_eq!(three["balanced accuracy"], 0.75);
    // F1 of the classes with rows alone: 1 and 2/3. Over true and predicted ones it would be 5/9.
    assert!(close(three["macro-F1"], (1.0 + 2.0 / 3.0) / 2.0));
    assert_eq!(three["medium recall"], 0.75);
    assert!(!three.contains_key("many recall") && !three.contains_key("cold recall"));
    assert_eq!(measures(4), three);
}

#[test]
fn row_that_contradicts_itself_is_refused_and_not_counted() {
    let place = |rank, predicted| Place { rank, predicted };
    let mut all = ClassScores::new(ClassOptions::new(vec![3, 2, 1, 1, 1, 1, 1])).unwrap();
    all.add(&Row::with_probability(0, place(Rank::At(1), 0), -0.1, 0.9)).unwrap();
    for (row, part) in [
        (Row::new(7, place(Rank::At(1), 7)), "target 7; expected a class below 7"),
        (Row::new(0, place(Rank::At(2), 9)), "prediction 9; expected a class below 7"),
        (Row::new(0, place(Rank::At(2), 0)), "prediction is 0 for target 0"),
        (Row::new(0, place(Rank::At(1), 1)), "prediction is 1 for target 0"),
        (Row::new(0, place(Rank::At(0), 1)), "rank is 0"),
        (Row::new(0, place(Rank::At(8), 1)), "rank is 8"),
        (Row::new(0, place(Rank::Beyond(4), 1)), "4 candidates"),
        (Row::new(0, place(Rank::At(1), 0)), "probability of a row is missing"),
        (Row::with_probability(0, place(Rank::At(1), 0), f64::NAN, 0.9), "log-probability is NaN"),
        (Row::with_probability(0, place(Rank::At(1), 0), 0.5, 0.9), "log-probability is 0.5"),
        (Row::with_probability(0, place(Rank::At(2), 1), -0.1, 0.2), "log-probability is -0.1"),
        (Row::with_probability(0, place(Rank::At(1), 0), -0.1, f64::NAN), "log-probability is -0.1"),
        (Row::with_probability(0, place(Rank::At(1), 0), -0.1, 1.5), "greatest probability is 1.5"),
    ] {
        let error = all.add(&row).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let report = all.finish().unwrap();
    assert_eq!((report.rows, report.nll.unwrap().mean), (1, 0.1));
}

#[test]
fn options_and_splits_without_content_are_refused() {
    let refused = |options| ClassScores::new(options).unwrap_err().to_string();
    assert!(refused(ClassOptions::new(vec![])).contains("counts is of 0 classes"));
    assert!(refused(ClassOptions { k: vec![], ..ClassOptions::new(vec![1]) }).contains("k is []"));
    assert!(refused(ClassOptions { k: vec![5, 0], ..ClassOptions::new(vec![1]) }).contains("k is [5, 0]"));
    let empty = ClassScores::new(ClassOptions::new(vec![1])).unwrap().finish().unwrap_err().to_string();
    assert!(empty.contains("expected at least one row"), "{empty}");
}

#[test]
fn impossible_target_makes_the_nll_infinite() {
    let mut all = ClassScores::new(ClassOptions::new(vec![1, 1])).unwrap();
    let place = Place { rank: Rank::At(2), predicted: 0 };
    all.add(&Row::with_probability(1, place, f64::NEG_INFINITY, 1.0)).unwrap();
    all.add(&Row::with_probability(1, place, -1.0, 0.7)).unwrap();
    assert_eq!(all.finish().unwrap().nll.unwrap().mean, f64::INFINITY);
}
