//! Ranking measures against naive oracles, with ties, exclusions and lists of every length.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Best, close, gain, order};
use lexmax_metrics::{Case, RankingOptions, RankingReport, RankingScores, TopK};
use proptest::prelude::*;

/// A case with the scores of all classes.
#[derive(Debug, Clone)]
struct Naive {
    scores: Vec<f64>,
    targets: Vec<u32>,
    excluded: Vec<u32>,
}

fn cases(classes: usize) -> impl Strategy<Value = Vec<Naive>> {
    let scores = proptest::collection::vec((-3_i32..3).prop_map(f64::from), classes);
    let some = |most: usize| {
        proptest::sample::subsequence((0..classes as u32).collect::<Vec<_>>(), 0..=most).prop_shuffle()
    };
    let case = (scores, some(classes), some(classes / 2)).prop_map(|(scores, targets, excluded)| Naive {
        scores,
        targets,
        excluded,
    });
    proptest::collection::vec(case, 1..12)
}

fn options(classes: usize, k: &[u64]) -> RankingOptions {
    let counts = (0..classes as u64).rev().map(|count| 9 * count).collect();
    RankingOptions { k: k.to_vec(), ..RankingOptions::new(counts) }
}

/// Scores whole lists, or those with entries for k, the excluded and the targets.
fn report(cases: &[Naive], k: &[u64], whole: bool) -> Option<RankingReport> {
    let classes = cases[0].scores.len();
    let mut scores = RankingScores::new(options(classes, k)).unwrap();
    for Naive { scores: of_classes, targets, excluded } in cases {
        let most = *k.iter().max().unwrap() as usize;
        let length = if whole { classes } else { most + excluded.len() + targets.len() };
        let best = Best::of(of_classes, length);
        scores.add(&Case { targets, excluded, list: best.list() }).unwrap();
    }
    scores.finish().ok()
}

/// hit, recall, ndcg and mrr of one case by their definitions.
fn naive(case: &Naive, k: usize) -> [f64; 4] {
    let order = order(&case.scores, &case.targets, &case.excluded);
    let places: Vec<usize> =
        (1..=k.min(order.len())).filter(|&position| case.targets.contains(&order[position - 1])).collect();
    let ideal: f64 = (1..=k.min(case.targets.len())).map(gain).sum();
    [
        f64::from(u8::from(!places.is_empty())),
        places.len() as f64 / case.targets.len() as f64,
        places.iter().map(|&position| gain(position)).sum::<f64>() / ideal,
        places.first().map_or(0.0, |&position| 1.0 / position as f64),
    ]
}

proptest! {
    #[test]
    fn ranking_measures_equal_the_naive_ones(cases in cases(9), k in 1_u64..12) {
        let with_targets: Vec<&Naive> = cases.iter().filter(|case| !case.targets.is_empty()).collect();
        let Some(whole) = report(&cases, &[k], true) else {
            prop_assert!(with_targets.is_empty());
            return Ok(());
        };
        // Entries for k, the excluded and the targets give the same bits as all scores.
        prop_assert_eq!(&whole, &report(&cases, &[k], false).unwrap());
        prop_assert_eq!(whole.cases, with_targets.len() as u64);
        prop_assert_eq!(whole.cases + whole.without_targets, cases.len() as u64);
        for (index, name) in ["hit", "recall", "ndcg", "mrr"].into_iter().enumerate() {
            let sum: f64 = with_targets.iter().map(|case| naive(case, k as usize)[index]).sum();
            let name = format!("{name}@{k}");
            prop_assert!(close(whole.measures()[&name], sum / with_targets.len() as f64), "{}", name);
            prop_assert!(whole.measures()[&name] <= whole.ceilings()[&name] + 1e-12);
        }
    }

    #[test]
    fn ceiling_is_what_a_perfect_model_has(cases in cases(7), k in 1_u64..7) {
        // The perfect model scores all targets above all others, each by a score of its own.
        let perfect = |case: &Naive| {
            let score = |class: usize| f64::from(case.targets.contains(&(class as u32))) * 100.0 - class as f64;
            Naive { scores: (0..7).map(score).collect(), ..case.clone() }
        };
        let cases: Vec<Naive> = cases.iter().map(perfect).collect();
        if let Some(report) = report(&cases, &[k], true) {
            for (name, ceiling) in report.ceilings() {
                prop_assert!(close(report.measures()[&name], ceiling), "{}", name);
            }
        }
    }

    #[test]
    fn one_target_is_hit_where_it_is_recalled(cases in cases(8)) {
        let single = |case: &Naive| Naive { targets: vec![case.targets.first().copied().unwrap_or(0)], ..case.clone() };
        let cases: Vec<Naive> = cases.iter().map(single).collect();
        let measures = report(&cases, &[1, 3, 5], true).unwrap().measures();
        for k in [1, 3, 5] {
            let [hit, recall] = ["hit", "recall"].map(|name| measures[&format!("{name}@{k}")]);
            prop_assert_eq!(hit, recall);
        }
    }
}

#[test]
fn bands_and_cold_targets_count_targets() {
    // Counts 27, 18, 9 and 0.
    let mut scores = RankingScores::new(options(4, &[1, 2])).unwrap();
    let list = TopK { ids: &[0, 3, 1, 2], scores: &[4.0, 3.0, 2.0, 1.0] };
    scores.add(&Case { targets: &[0, 3], excluded: &[], list }).unwrap();
    scores.add(&Case { targets: &[2], excluded: &[2], list }).unwrap();
    scores.add(&Case { targets: &[], excluded: &[], list }).unwrap();
    let report = scores.finish().unwrap();
    assert_eq!((report.cases, report.without_targets, report.targets), (2, 1, 3));
    assert_eq!((report.excluded_targets, report.cold_targets), (1, 1));
    let of_band = |name: &str| report.bands.iter().find(|band| band.band.name == name).unwrap();
    assert_eq!(of_band("20 to 100").shares(), Some(vec![1.0, 1.0]));
    assert_eq!(of_band("5 to 19").shares(), Some(vec![0.0, 0.0]));
    assert_eq!(of_band("cold").shares(), Some(vec![0.0, 1.0]));
    assert_eq!(of_band("1 to 4").shares(), None);
    // The excluded target can never be found, and the ceiling says so.
    assert_eq!((report.measures()["hit@1"], report.ceilings()["hit@1"]), (0.5, 0.5));
}

#[test]
fn case_that_cannot_be_scored_is_refused_and_not_counted() {
    let mut scores = RankingScores::new(options(6, &[2])).unwrap();
    let good = TopK { ids: &[0, 3, 1], scores: &[4.0, 3.0, 2.0] };
    scores.add(&Case { targets: &[0], excluded: &[], list: good }).unwrap();
    let nan = TopK { ids: &[0, 3, 1], scores: &[4.0, f64::NAN, 2.0] };
    let rising = TopK { ids: &[0, 3, 1], scores: &[4.0, 3.0, 3.5] };
    let twice = TopK { ids: &[0, 3, 0], scores: &[4.0, 3.0, 2.0] };
    for (targets, excluded, list, part) in [
        (&[6_u32][..], &[][..], good, "target 6; expected a class below 6"),
        (&[1], &[9], good, "excluded class 9; expected a class below 6"),
        (&[1, 2, 1], &[], good, "target 1 again"),
        (&[1], &[0, 3], good, "1 candidates in the list"),
        (&[1], &[], nan, "score of class 3 is NaN"),
        (&[1], &[], rising, "score 3.5 after 3"),
        (&[1], &[], twice, "list with class 0 again"),
    ] {
        let error = scores.add(&Case { targets, excluded, list }).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let report = scores.finish().unwrap();
    assert_eq!((report.cases, report.measures()["hit@2"]), (1, 1.0));
    let empty = RankingScores::new(options(6, &[2])).unwrap().finish().unwrap_err().to_string();
    assert!(empty.contains("at least one case with a target"), "{empty}");
}

/// Hits of a scorer of noise are binomial: within four standard deviations of k / V.
#[test]
fn random_scores_hit_as_often_as_chance() {
    let (classes, rows, k) = (200_usize, 4000_u64, 10_u64);
    let mut scores = RankingScores::new(options(classes, &[k])).unwrap();
    // A linear congruential generator: the test needs no other randomness than even scores.
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64
    };
    for _ in 0..rows {
        let of_classes: Vec<f64> = (0..classes).map(|_| draw()).collect();
        let target = draw() as u64 % classes as u64;
        let best = Best::of(&of_classes, k as usize + 1);
        scores.add(&Case { targets: &[target as u32], excluded: &[], list: best.list() }).unwrap();
    }
    let (chance, hit) = (k as f64 / classes as f64, scores.finish().unwrap().measures()["hit@10"]);
    let deviation = (chance * (1.0 - chance) / rows as f64).sqrt();
    assert!((hit - chance).abs() < 4.0 * deviation, "{hit} of {chance}");
}
