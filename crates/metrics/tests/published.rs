//! Defects of published evaluation code: each test holds our measure to a law, and shows that the
//! defect, written out here, breaks it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Best, close, gain};
use lexmax_metrics::{
    Case, ClassOptions, ClassScores, LabelOptions, LabelScores, Place, RankingOptions, RankingScores, Row,
    TopK,
};

/// One measure of one case: scores of all classes, targets and `k`.
type OfCase = fn(&[f64], &[u32], u64) -> f64;

fn ranking(name: &str, scores: &[f64], targets: &[u32], k: u64) -> f64 {
    let options = RankingOptions { k: vec![k], ..RankingOptions::new(vec![1; scores.len()]) };
    let mut all = RankingScores::new(options).unwrap();
    let best = Best::of(scores, k as usize + 1);
    all.add(&Case { targets, excluded: &[], list: best.list() }).unwrap();
    all.finish().unwrap().measures()[&format!("{name}@{k}")]
}

fn hit(scores: &[f64], targets: &[u32], k: u64) -> f64 {
    ranking("hit", scores, targets, k)
}

/// Scores that rank class `c` of `classes` at `c + 1`.
fn falling(classes: usize) -> Vec<f64> {
    (0..classes).map(|class| -(class as f64)).collect()
}

#[test]
fn sampled_candidates_never_rank_a_target() {
    // Krichene and Rendle 2020 on kang205/SASRec and its ports: rank 30 of 1000 is no hit at 10.
    let law = |hit: OfCase| hit(&falling(1000), &[29], 10) == 0.0;
    fn mutant(scores: &[f64], targets: &[u32], k: u64) -> f64 {
        let own = scores[targets[0] as usize];
        let sampled = (0..scores.len()).step_by(10).filter(|&class| scores[class] >= own);
        f64::from(sampled.count() < k as usize)
    }
    assert!(law(hit));
    assert!(!law(mutant));
    // A list of the sampled alone is refused where it is too short for k of all candidates.
    let options = RankingOptions { k: vec![10], ..RankingOptions::new(vec![1; 1000]) };
    let list = TopK { ids: &[29, 30], scores: &[1.0, 0.0] };
    let case = Case { targets: &[29], excluded: &[], list };
    assert!(RankingScores::new(options).unwrap().add(&case).is_err());
}

#[test]
fn constant_scores_hit_nothing() {
    // kang205/SASRec: `argsort().argsort()[0]` with the target put at index 0.
    let law =
        |hit: OfCase| (1..50).all(|k| hit(&[0.0; 50], &[49], k) == 0.0) && hit(&[0.0; 50], &[49], 50) == 1.0;
    fn mutant(scores: &[f64], targets: &[u32], k: u64) -> f64 {
        let target = targets[0] as usize;
        let mut order: Vec<usize> =
            std::iter::once(target).chain((0..scores.len()).filter(|&class| class != target)).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        f64::from(order.iter().position(|&class| class == target).unwrap() < k as usize)
    }
    assert!(law(hit));
    assert!(!law(mutant));
    let place = Place::in_scores(&[0.0; 50], 49).unwrap();
    assert!(!place.rank.is_within(49) && place.rank.is_within(50));
}

#[test]
fn ties_count_against_the_target() {
    // LightFM until its pull request 149, and the default of the official GRU4Rec.
    let scores = [3.0, 2.0, 2.0, 2.0, 1.0];
    let law = |hit: OfCase| (1..4).all(|k| hit(&scores, &[2], k) == 0.0) && hit(&scores, &[2], 4) == 1.0;
    fn mutant(scores: &[f64], targets: &[u32], k: u64) -> f64 {
        let own = scores[targets[0] as usize];
        f64::from(scores.iter().filter(|&&score| score > own).count() < k as usize)
    }
    assert!(law(hit));
    assert!(!law(mutant));
}

#[test]
fn ndcg_is_divided_by_the_best_order_of_all_targets() {
    // xiangwang1223's KGAT and NGCF: the best order of the hits found.
    let law = |ndcg: OfCase| {
        let targets: Vec<u32> = std::iter::once(0).chain(90..99).collect();
        (ndcg(&falling(100), &targets, 10) - 0.220).abs() < 5e-4
    };
    fn mutant(scores: &[f64], targets: &[u32], k: u64) -> f64 {
        let order = common::order(scores, targets, &[]);
        let first = order.iter().take(k as usize).enumerate();
        let hits: Vec<usize> =
            first.filter(|(_, class)| targets.contains(class)).map(|(at, _)| at + 1).collect();
        let ideal: f64 = (1..=hits.len()).map(gain).sum();
        hits.into_iter().map(gain).sum::<f64>() / ideal
    }
    assert!(law(|scores, targets, k| ranking("ndcg", scores, targets, k)));
    assert!(!law(mutant));
}

#[test]
fn rank_of_exactly_k_counts() {
    // hidasib/GRU4Rec: rank < k for baselines, rank <= k for networks.
    let law = |hit: OfCase| hit(&falling(30), &[19], 20) == 1.0 && hit(&falling(30), &[20], 20) == 0.0;
    fn mutant(scores: &[f64], targets: &[u32], k: u64) -> f64 {
        f64::from(common::rank(scores, targets[0] as usize, &[]) < k)
    }
    assert!(law(hit));
    assert!(!law(mutant));
}

#[test]
fn mrr_divides_by_the_position() {
    // gusye1234/LightGCN-PyTorch: log2(1 / position) as divisor.
    let law = |mrr: OfCase| [0, 1].map(|target| mrr(&falling(30), &[target], 20)) == [1.0, 0.5];
    fn mutant(scores: &[f64], targets: &[u32], _: u64) -> f64 {
        1.0 / (1.0 / common::rank(scores, targets[0] as usize, &[]) as f64).log2()
    }
    assert!(law(|scores, targets, k| ranking("mrr", scores, targets, k)));
    assert!(!law(mutant));
}

/// Log-probability of a target as a layer or a defect gives it, by its logits.
type LogProb = fn(&[f64], usize) -> f64;

fn log_softmax(logits: &[f64], target: usize) -> f64 {
    logits[target] - logits.iter().map(|logit| logit.exp()).sum::<f64>().ln()
}

/// nll of one row, or none where the row is refused.
fn nll(logits: &[f64], target: usize, log_prob: LogProb) -> Option<f64> {
    let mut all = ClassScores::new(ClassOptions::new(vec![1; logits.len()])).unwrap();
    let place = Place::in_scores(logits, target as u32).unwrap();
    let greatest = (0..logits.len()).map(|class| log_softmax(logits, class).exp()).fold(0.0, f64::max);
    let row = Row::with_probability(target as u32, place, log_prob(logits, target), greatest);
    all.add(&row).ok()?;
    Some(all.finish().unwrap().nll.unwrap().mean)
}

#[test]
fn weighted_log_probability_is_no_probability() {
    // kaidic/LDAM-DRW: p = exp(-w CE) with the class weight w. Of the greatest class it would be
    // more than the greatest probability, so the row is refused.
    let law = |log_prob: LogProb| nll(&[1.0, 0.0], 0, log_prob).is_some();
    assert!(law(log_softmax));
    assert!(!law(|logits, target| 0.25 * log_softmax(logits, target)));
}

#[test]
fn nll_takes_the_log_of_one_softmax() {
    // Softmax before a cross-entropy that has its own.
    let law = |log_prob: LogProb| {
        let exact = (1.0 + (-4.0_f64).exp()).ln();
        nll(&[4.0, 0.0], 0, log_prob).is_some_and(|nll| close(nll, exact))
    };
    let mutant: LogProb = |logits, target| {
        let once: Vec<f64> = (0..logits.len()).map(|class| log_softmax(logits, class).exp()).collect();
        log_softmax(&once, target)
    };
    assert!(law(log_softmax));
    assert!(!law(mutant));
}

#[test]
fn macro_measure_follows_its_k() {
    // mwydmuch/napkinXC, `MacroMetricAtK`: the parent class gets 5, whatever k is.
    let at = |k: u64| {
        let options = LabelOptions { k: vec![k], ..LabelOptions::new(vec![9; 6], 50) };
        let mut all = LabelScores::new(options).unwrap();
        let best = Best::of(&falling(6), 6);
        all.add(&[0, 3], best.list()).unwrap();
        all.finish().unwrap().measures()[&format!("macro-recall@{k}")]
    };
    let law = |at: &dyn Fn(u64) -> f64| at(1) == 0.5 && at(5) == 1.0;
    assert!(law(&at));
    assert!(!law(&|_| at(5)));
}
