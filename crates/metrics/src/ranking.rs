//! Accumulator of the ranking measures of cases with a set of targets each.

use crate::bands::band_of;
use crate::error::{check_counts, check_k};
use crate::found::Found;
use crate::ranking_report::{BandHits, RankingAtK, RankingReport};
use crate::sum::Sum;
use crate::{Band, MetricsError, TopK, bands};

const OPERATION: &str = "ranking measures";

/// Options of [`RankingScores`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankingOptions {
    /// Training count of each class, by id; 0 for a cold one.
    pub counts: Vec<u64>,
    /// Values of `k`.
    pub k: Vec<u64>,
    /// Edges of the bands by training count, see [`bands`].
    pub edges: Vec<u64>,
}

impl RankingOptions {
    /// `k` of 1, 5, 10 and 20, bands with edges 5, 20 and 100.
    pub fn new(counts: Vec<u64>) -> RankingOptions {
        RankingOptions { counts, k: vec![1, 5, 10, 20], edges: vec![5, 20, 100] }
    }
}

/// One scored user or position: what should be found, what may not be, and the best classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case<'a> {
    /// Classes that should be found, each once.
    pub targets: &'a [u32],
    /// Classes that are no candidates, as items that the user has seen. A target among them is a
    /// miss, and counted.
    pub excluded: &'a [u32],
    /// Best classes, excluded ones among them: at least `k` besides those. With as many more as
    /// there are targets a tie at the list's end hides nothing; with fewer, targets of such a tie
    /// count as not found.
    pub list: TopK<'a>,
}

/// Sums over cases at one `k`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AtK {
    hits: u64,
    reachable: u64,
    recall: Sum,
    recall_ceiling: Sum,
    ndcg: Sum,
    ndcg_ceiling: Sum,
    mrr: Sum,
}

/// hit, recall, nDCG and MRR at `k`, gathered case by case over all candidates.
///
/// The definitions stand in [`crate::MEASURES`]. Candidates are all classes but the excluded ones,
/// never a sample of them: measures over sampled candidates order models wrongly (Krichene and
/// Rendle, "On Sampled Metrics for Item Recommendation", 2020). Memory: `O(C)`. Cost of a case:
/// that of its list, and of sorting its targets and excluded classes.
///
/// ```
/// use lexmax_metrics::{Case, RankingOptions, RankingScores, TopK};
/// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
/// let options = RankingOptions { k: vec![2], ..RankingOptions::new(vec![5, 4, 3, 2, 1]) };
/// let mut scores = RankingScores::new(options)?;
/// let list = TopK { ids: &[0, 3, 1, 2], scores: &[4.0, 3.0, 2.0, 1.0] };
/// // Class 0 was seen: 3 is first, 1 second.
/// scores.add(&Case { targets: &[1, 4], excluded: &[0], list })?;
/// let measures = scores.finish()?.measures();
/// assert_eq!((measures["hit@2"], measures["recall@2"], measures["mrr@2"]), (1.0, 0.5, 0.5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RankingScores {
    counts: Vec<u64>,
    k: Vec<u64>,
    bands: Vec<Band>,
    gains: Gains,
    cases: u64,
    without_targets: u64,
    targets: u64,
    excluded_targets: u64,
    cold_targets: u64,
    at: Vec<AtK>,
    band_targets: Vec<u64>,
    band_hits: Vec<Vec<u64>>,
    found: Found,
}

impl RankingScores {
    /// Accumulator without cases.
    ///
    /// # Errors
    /// No class, a `k` of 0 or none, edges that do not rise.
    pub fn new(options: RankingOptions) -> Result<RankingScores, MetricsError> {
        let RankingOptions { counts, k, edges } = options;
        check_counts(OPERATION, &counts)?;
        let (k, bands) = (check_k(OPERATION, &k)?, bands(&edges)?);
        Ok(RankingScores {
            gains: Gains::new(most_of(&k, counts.len())),
            at: vec![AtK::default(); k.len()],
            band_targets: vec![0; bands.len()],
            band_hits: vec![vec![0; k.len()]; bands.len()],
            counts,
            k,
            bands,
            cases: 0,
            without_targets: 0,
            targets: 0,
            excluded_targets: 0,
            cold_targets: 0,
            found: Found::default(),
        })
    }

    /// Adds a case; one without targets is counted apart and leaves the means. A case that is
    /// refused is not counted.
    ///
    /// # Errors
    /// A class that is not in the options, a target that stands twice, a list that is out of order,
    /// repeats a class, has a NaN score, or has fewer than `k` candidates though there are more.
    pub fn add(&mut self, case: &Case<'_>) -> Result<(), MetricsError> {
        self.found.find(OPERATION, case, self.counts.len(), most_of(&self.k, self.counts.len()))?;
        let found = &self.found;
        let targets = found.targets();
        if targets == 0 {
            self.without_targets += 1;
            return Ok(());
        }
        let reachable = targets - found.excluded;
        self.cases += 1;
        self.targets += targets;
        self.excluded_targets += found.excluded;
        for &target in case.targets {
            let count = self.counts[target as usize];
            self.cold_targets += u64::from(count == 0);
            self.band_targets[band_of(&self.bands, count)] += 1;
        }
        for (index, (&k, at)) in self.k.iter().zip(&mut self.at).enumerate() {
            let (mut hits, mut gain, mut first) = (0_u64, 0.0, None);
            for (position, class) in found.within(k) {
                hits += 1;
                gain += self.gains.at(position);
                first.get_or_insert(position);
                self.band_hits[band_of(&self.bands, self.counts[class as usize])][index] += 1;
            }
            at.hits += u64::from(hits > 0);
            at.reachable += u64::from(reachable > 0);
            at.recall.add(hits as f64 / targets as f64);
            at.recall_ceiling.add(k.min(reachable) as f64 / targets as f64);
            at.ndcg.add(gain / self.gains.ideal(k.min(targets)));
            at.ndcg_ceiling.add(self.gains.ideal(k.min(reachable)) / self.gains.ideal(k.min(targets)));
            at.mrr.add(first.map_or(0.0, |position| 1.0 / position as f64));
        }
        Ok(())
    }

    /// Measures of the cases added.
    ///
    /// # Errors
    /// No case with a target was added.
    pub fn finish(self) -> Result<RankingReport, MetricsError> {
        let cases = self.cases;
        if cases == 0 {
            let expected = "at least one case with a target";
            return Err(MetricsError::value(OPERATION, "number of cases", 0, expected));
        }
        let at_k = self.k.iter().zip(&self.at).map(|(&k, at)| RankingAtK {
            k,
            hit: at.hits as f64 / cases as f64,
            recall: at.recall.mean(cases),
            ndcg: at.ndcg.mean(cases),
            mrr: at.mrr.mean(cases),
            hit_ceiling: at.reachable as f64 / cases as f64,
            recall_ceiling: at.recall_ceiling.mean(cases),
            ndcg_ceiling: at.ndcg_ceiling.mean(cases),
        });
        let bands = self.bands.into_iter().zip(self.band_targets).zip(self.band_hits);
        Ok(RankingReport {
            cases,
            without_targets: self.without_targets,
            targets: self.targets,
            excluded_targets: self.excluded_targets,
            cold_targets: self.cold_targets,
            at_k: at_k.collect(),
            bands: bands.map(|((band, targets), hits)| BandHits { band, targets, hits }).collect(),
        })
    }
}

/// Candidates that the greatest `k` needs, at most all.
pub(crate) fn most_of(k: &[u64], classes: usize) -> u64 {
    k.last().copied().unwrap_or(1).min(classes as u64)
}

/// Gains `1 / log2(1 + position)` of nDCG and their sums.
#[derive(Debug, Clone)]
pub(crate) struct Gains {
    sums: Vec<f64>,
}

impl Gains {
    /// Gains of positions up to `most`.
    pub(crate) fn new(most: u64) -> Gains {
        let mut sums = vec![0.0];
        for position in 1..=most {
            sums.push(sums[sums.len() - 1] + Gains::of(position));
        }
        Gains { sums }
    }

    fn of(position: u64) -> f64 {
        1.0 / (1.0 + position as f64).log2()
    }

    /// Gain of a target at a position, counted from 1.
    pub(crate) fn at(&self, position: u64) -> f64 {
        Gains::of(position)
    }

    /// Greatest sum of gains that `hits` targets can have; more than the greatest position count as
    /// that.
    pub(crate) fn ideal(&self, hits: u64) -> f64 {
        let last = self.sums.len() - 1;
        self.sums[usize::try_from(hits).unwrap_or(last).min(last)]
    }
}
