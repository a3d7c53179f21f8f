//! Measures of many labels against naive oracles.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Best, close, gain, order};
use lexmax_metrics::{LabelOptions, LabelReport, LabelScores, Propensity, TopK};
use proptest::prelude::*;

const LABELS: usize = 8;

/// Rows as true labels and the scores of all labels.
type Rows = Vec<(Vec<u32>, Vec<f64>)>;

fn rows() -> impl Strategy<Value = Rows> {
    let labels = proptest::sample::subsequence((0..LABELS as u32).collect::<Vec<_>>(), 1..=LABELS);
    let scores = proptest::collection::vec((-3_i32..3).prop_map(f64::from), LABELS);
    proptest::collection::vec((labels.prop_shuffle(), scores), 1..12)
}

fn counts() -> Vec<u64> {
    vec![90, 41, 20, 9, 5, 2, 1, 0]
}

/// Scores lists with `more` entries than labels.
fn report(rows: &Rows, k: &[u64], more: usize) -> LabelReport {
    let options = LabelOptions { k: k.to_vec(), ..LabelOptions::new(counts(), 100) };
    let mut all = LabelScores::new(options).unwrap();
    for (labels, scores) in rows {
        all.add(labels, Best::of(scores, more + labels.len()).list()).unwrap();
    }
    all.finish().unwrap()
}

/// Hits of a row among its first `k`: position and label.
fn hits(row: &(Vec<u32>, Vec<f64>), k: usize) -> Vec<(usize, u32)> {
    let order = order(&row.1, &row.0, &[]);
    let first = order.into_iter().take(k).enumerate().map(|(at, label)| (at + 1, label));
    first.filter(|(_, label)| row.0.contains(label)).collect()
}

proptest! {
    #[test]
    fn label_measures_equal_the_naive_ones(rows in rows(), k in 1_usize..10) {
        let report = report(&rows, &[k as u64], LABELS);
        prop_assert_eq!(&report, &self::report(&rows, &[k as u64], k));
        let n = rows.len() as f64;
        let inverse = Propensity::new(&counts(), 100, 0.55, 1.5).unwrap().inverse().to_vec();
        let (mut precision, mut ceiling, mut ndcg, mut scored, mut best) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for row in &rows {
            let hits = hits(row, k);
            precision += hits.len() as f64 / k as f64 / n;
            ceiling += k.min(row.0.len()) as f64 / k as f64 / n;
            let ideal: f64 = (1..=k.min(row.0.len())).map(gain).sum();
            ndcg += hits.iter().map(|(position, _)| gain(*position)).sum::<f64>() / ideal / n;
            scored += hits.iter().map(|(_, label)| inverse[*label as usize]).sum::<f64>() / k as f64;
            // The best list has the rarest of the row's labels, which have the greatest ids here.
            let mut labels = row.0.clone();
            labels.sort_unstable_by(|a, b| b.cmp(a));
            best += labels.iter().take(k).map(|&label| inverse[label as usize]).sum::<f64>() / k as f64;
        }
        let recall = |label: u32| {
            let with: Vec<_> = rows.iter().filter(|row| row.0.contains(&label)).collect();
            let found = with.iter().filter(|&row| hits(row, k).iter().any(|hit| hit.1 == label)).count();
            (!with.is_empty()).then(|| found as f64 / with.len() as f64)
        };
        let recalls: Vec<f64> = (0..LABELS as u32).filter_map(recall).collect();
        let measures = report.measures();
        for (name, naive) in [
            ("P", precision),
            ("ndcg", ndcg),
            ("PSP", scored / best),
            ("macro-recall", recalls.iter().sum::<f64>() / recalls.len() as f64),
        ] {
            let name = format!("{name}@{k}");
            prop_assert!(close(measures[&name], naive), "{}", name);
        }
        let name = format!("P@{k}");
        prop_assert!(close(report.ceilings()[&name], ceiling));
        prop_assert_eq!(report.labels_with_test, recalls.len() as u64);
    }
}

#[test]
fn psp_is_a_ratio_of_sums_and_not_a_mean_of_ratios() {
    // A hit on the head and a miss of the tail.
    let list = TopK { ids: &[0, 1], scores: &[2.0, 1.0] };
    let options = LabelOptions { k: vec![1], ..LabelOptions::new(counts(), 100) };
    let mut all = LabelScores::new(options).unwrap();
    all.add(&[0], list).unwrap();
    all.add(&[6], list).unwrap();
    let inverse = Propensity::new(&counts(), 100, 0.55, 1.5).unwrap();
    let (head, tail) = (inverse.inverse()[0], inverse.inverse()[6]);
    let psp = all.finish().unwrap().measures()["PSP@1"];
    assert!(close(psp, head / (head + tail)));
    // The mean of the rows' own ratios.
    assert!((psp - 0.5).abs() > 0.2, "{psp}");
}

#[test]
fn ties_count_against_the_true_labels() {
    let constant = vec![(vec![0], vec![0.0; LABELS]), (vec![3, 7], vec![0.0; LABELS])];
    let measures = report(&constant, &[1, 5], LABELS).measures();
    assert!(measures.values().all(|&value| value == 0.0), "{measures:?}");
    // Of a list that ends within the tie, too.
    assert_eq!(report(&constant, &[1, 5], 5).measures(), measures);
}

#[test]
fn row_without_labels_leaves_the_means() {
    let list = TopK { ids: &[0, 1], scores: &[2.0, 1.0] };
    let mut all = LabelScores::new(LabelOptions { k: vec![1], ..LabelOptions::new(counts(), 100) }).unwrap();
    all.add(&[], list).unwrap();
    assert!(all.add(&[0, 0], list).unwrap_err().to_string().contains("target 0 again"));
    assert!(all.add(&[8], list).unwrap_err().to_string().contains("below 8"));
    all.add(&[0], list).unwrap();
    let report = all.finish().unwrap();
    assert_eq!((report.rows, report.without_labels, report.labels), (1, 1, 1));
    assert_eq!(report.measures()["P@1"], 1.0);
    let empty = LabelScores::new(LabelOptions::new(counts(), 100)).unwrap().finish().unwrap_err();
    assert!(empty.to_string().contains("at least one row with a label"));
}
