//! The registry and the reports agree on every name.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use lexmax_metrics::{
    Case, ClassOptions, ClassScores, Direction, LabelOptions, LabelScores, MEASURES, Place, RankingOptions,
    RankingScores, Row, TopK, measure,
};

const LIST: TopK<'_> = TopK { ids: &[0, 1, 2, 3], scores: &[4.0, 3.0, 2.0, 1.0] };

fn of_classes(edges: &[u64]) -> BTreeSet<String> {
    let options = ClassOptions { edges: edges.to_vec(), ..ClassOptions::new(vec![500, 50, 5, 0]) };
    let mut all = ClassScores::new(options).unwrap();
    for target in 0..4 {
        let place = Place::in_list(LIST, target, 4).unwrap();
        all.add(&Row::with_probability(target, place, -1.0, 0.5)).unwrap();
    }
    all.finish().unwrap().measures().into_keys().collect()
}

#[test]
fn measure_of_every_report_is_in_the_registry() {
    let mut names = of_classes(&[20, 100]);
    names.extend(of_classes(&[5, 20, 100]));
    let mut ranking = RankingScores::new(RankingOptions::new(vec![1; 4])).unwrap();
    ranking.add(&Case { targets: &[1], excluded: &[], list: LIST }).unwrap();
    let ranking = ranking.finish().unwrap();
    names.extend(ranking.measures().into_keys());
    assert!(ranking.ceilings().keys().eq(ranking.measures().keys()));
    let mut labels = LabelScores::new(LabelOptions::new(vec![1; 4], 9)).unwrap();
    labels.add(&[1], LIST).unwrap();
    names.extend(labels.finish().unwrap().measures().into_keys());
    let mut used = BTreeSet::new();
    for name in &names {
        let found = measure(name).unwrap();
        assert_eq!(found.k.is_some(), found.measure.is_at_k(), "{name}");
        used.insert(found.measure.name);
    }
    // The rest are figures of curves and seeds.
    let rest: Vec<&str> =
        MEASURES.iter().map(|measure| measure.name).filter(|name| !used.contains(name)).collect();
    assert_eq!(
        rest,
        ["targets to level", "seconds to level", "deviation over seeds", "greatest rise", "diverged share"]
    );
}

#[test]
fn entry_of_the_registry_is_complete() {
    let names: BTreeSet<&str> = MEASURES.iter().map(|measure| measure.name).collect();
    assert_eq!(names.len(), MEASURES.len());
    for measure in MEASURES {
        let sentence = measure.definition;
        assert!(sentence.ends_with('.') && sentence.matches(". ").count() == 0, "{sentence}");
        assert!(!measure.formula.is_empty() && !measure.source.is_empty(), "{}", measure.name);
        let year = measure.source.split(['(', ',', ')']).any(|part| part.parse::<u16>().is_ok());
        assert!(measure.source == "classical" || year, "{}", measure.source);
    }
}

#[test]
fn name_of_no_measure_is_refused_with_those_there_are() {
    for name in [
        "",
        "ndcg",
        "ndcg@",
        "ndcg@0",
        "ndcg@010",
        "ndcg@ten",
        "ndcg@+5",
        "NDCG@5",
        "top-k accuracy",
        "a to 4 recall",
    ] {
        let error = measure(name).unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?}")) && error.contains("`ndcg@K`"), "{error}");
    }
}

#[test]
fn better_value_follows_the_direction() {
    assert_eq!(measure("nll").unwrap().measure.direction, Direction::Lower);
    assert_eq!(measure("top-5 accuracy").unwrap().k, Some(5));
    assert!(Direction::Higher.is_better(2.0, 1.0) && Direction::Lower.is_better(1.0, 2.0));
    assert!(!Direction::Higher.is_better(1.0, 1.0) && !Direction::Lower.is_better(f64::NAN, 1.0));
}
