//! Ranking measures of a split, their ceilings, and the share found by training count.

use std::collections::BTreeMap;

use crate::Band;

/// Result of [`crate::RankingScores`].
#[derive(Debug, Clone, PartialEq)]
pub struct RankingReport {
    /// Cases with at least one target: the means are over these.
    pub cases: u64,
    /// Cases without a target, which the means leave out.
    pub without_targets: u64,
    /// Targets of all cases.
    pub targets: u64,
    /// Targets that were excluded in their case: misses that no model can avoid.
    pub excluded_targets: u64,
    /// Targets whose class training never saw.
    pub cold_targets: u64,
    /// Measures by rising `k`.
    pub at_k: Vec<RankingAtK>,
    /// Share of targets found by training count, from many to cold.
    pub bands: Vec<BandHits>,
}

/// Means at one `k`, and the best that a perfect model could have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankingAtK {
    /// Length of the list.
    pub k: u64,
    /// Share of cases with any target among the first `k`.
    pub hit: f64,
    /// Mean share of the targets among the first `k`.
    pub recall: f64,
    /// Mean normalised discounted cumulative gain.
    pub ndcg: f64,
    /// Mean reciprocal position of the first target.
    pub mrr: f64,
    /// Greatest `hit`, and greatest `mrr`: excluded targets cannot be found.
    pub hit_ceiling: f64,
    /// Greatest `recall`: also limited by cases with more than `k` targets.
    pub recall_ceiling: f64,
    /// Greatest `ndcg`.
    pub ndcg_ceiling: f64,
}

/// Targets with a training count in one range, and how many were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandHits {
    /// Range of training counts.
    pub band: Band,
    /// Targets in the range, over all cases.
    pub targets: u64,
    /// Targets found among the first `k`, in the order of [`RankingReport::at_k`].
    pub hits: Vec<u64>,
}

impl BandHits {
    /// Share of the targets found at each `k`; none in an empty band. With one target a case it is
    /// `hit@k` over the cases of the band.
    pub fn shares(&self) -> Option<Vec<f64>> {
        let share = |&hits: &u64| hits as f64 / self.targets as f64;
        (self.targets > 0).then(|| self.hits.iter().map(share).collect())
    }
}

impl RankingReport {
    /// Measures by their name in the registry, as in `ndcg@10`.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        self.named(|at| [at.hit, at.recall, at.ndcg, at.mrr])
    }

    /// Greatest value that a perfect model could have of each measure.
    pub fn ceilings(&self) -> BTreeMap<String, f64> {
        self.named(|at| [at.hit_ceiling, at.recall_ceiling, at.ndcg_ceiling, at.hit_ceiling])
    }

    fn named(&self, values: impl Fn(&RankingAtK) -> [f64; 4]) -> BTreeMap<String, f64> {
        let names = ["hit", "recall", "ndcg", "mrr"];
        let of_k = |at: &RankingAtK| {
            let k = at.k;
            names.into_iter().map(move |name| format!("{name}@{k}")).zip(values(at)).collect::<Vec<_>>()
        };
        self.at_k.iter().flat_map(of_k).collect()
    }
}
