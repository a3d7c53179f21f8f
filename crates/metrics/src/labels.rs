//! Measures of rows with many true labels: precision, nDCG and propensity-scored precision at `k`.

use std::collections::BTreeMap;

use crate::error::{check_counts, check_k};
use crate::found::Found;
use crate::ranking::{Gains, most_of};
use crate::sum::Sum;
use crate::{Case, MetricsError, Propensity, TopK};

const OPERATION: &str = "measures of many labels";

/// Options of [`LabelScores`].
#[derive(Debug, Clone, PartialEq)]
pub struct LabelOptions {
    /// Training rows with each label, by id.
    pub counts: Vec<u64>,
    /// Training rows.
    pub rows: u64,
    /// Values of `k`.
    pub k: Vec<u64>,
    /// Exponent A of the [`Propensity`].
    pub a: f64,
    /// Offset B of the [`Propensity`].
    pub b: f64,
}

impl LabelOptions {
    /// `k` of 1, 3 and 5, and the usual propensities, A = .55 and B = 1.5.
    pub fn new(counts: Vec<u64>, rows: u64) -> LabelOptions {
        LabelOptions { counts, rows, k: vec![1, 3, 5], a: 0.55, b: 1.5 }
    }
}

/// Sums over rows at one `k`.
#[derive(Debug, Clone, Default)]
struct AtK {
    hits: u64,
    possible: u64,
    ndcg: Sum,
    scored: Sum,
    best_scored: Sum,
    of_label: Vec<u64>,
}

/// P, nDCG, PSP and macro-averaged recall at `k`, gathered row by row.
///
/// The definitions stand in [`crate::MEASURES`]. Ties count against the true labels, as in
/// [`crate::RankingScores`]: with lists of `k` entries and one more for each label of the row a tie
/// at their end hides nothing. Memory: `O(C)` for each `k`. Cost of a row: that of its list, and of
/// sorting its labels.
///
/// ```
/// use lexmax_metrics::{LabelOptions, LabelScores, TopK};
/// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
/// let options = LabelOptions { k: vec![2], ..LabelOptions::new(vec![50, 20, 20, 10], 100) };
/// let mut scores = LabelScores::new(options)?;
/// scores.add(&[0], TopK { ids: &[0, 2, 1], scores: &[-0.1, -2.0, -3.0] })?;
/// let report = scores.finish()?;
/// // One label fills half of two places, and no model can fill more.
/// assert_eq!((report.measures()["P@2"], report.ceilings()["P@2"]), (0.5, 0.5));
/// assert_eq!(report.measures()["PSP@2"], 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LabelScores {
    classes: usize,
    k: Vec<u64>,
    gains: Gains,
    propensity: Propensity,
    rows: u64,
    without_labels: u64,
    test: Vec<u64>,
    at: Vec<AtK>,
    found: Found,
    best: Vec<f64>,
}

/// Result of [`LabelScores`].
#[derive(Debug, Clone, PartialEq)]
pub struct LabelReport {
    /// Rows with at least one label: the means are over these.
    pub rows: u64,
    /// Rows without a label, which the means leave out.
    pub without_labels: u64,
    /// True labels of all rows.
    pub labels: u64,
    /// Labels that are true of at least one row.
    pub labels_with_test: u64,
    /// Measures by rising `k`.
    pub at_k: Vec<LabelAtK>,
}

/// Means at one `k`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelAtK {
    /// Length of the list.
    pub k: u64,
    /// P@k: true labels among the first `k`, over `k`.
    pub precision: f64,
    /// Greatest P@k: rows with fewer than `k` labels cannot fill the list.
    pub precision_ceiling: f64,
    /// Mean normalised discounted cumulative gain.
    pub ndcg: f64,
    /// PSP@k, a ratio of sums over all rows.
    pub psp: f64,
    /// Recall at `k` of each label with test rows, averaged over these labels.
    pub macro_recall: f64,
}

impl LabelScores {
    /// Accumulator without rows.
    ///
    /// # Errors
    /// No label, a `k` of 0 or none, and those of [`Propensity::new`].
    pub fn new(options: LabelOptions) -> Result<LabelScores, MetricsError> {
        let LabelOptions { counts, rows, k, a, b } = options;
        check_counts(OPERATION, &counts)?;
        let k = check_k(OPERATION, &k)?;
        let classes = counts.len();
        let at = AtK { of_label: vec![0; classes], ..AtK::default() };
        Ok(LabelScores {
            gains: Gains::new(most_of(&k, classes)),
            propensity: Propensity::new(&counts, rows, a, b)?,
            at: vec![at; k.len()],
            k,
            classes,
            rows: 0,
            without_labels: 0,
            test: vec![0; classes],
            found: Found::default(),
            best: Vec::new(),
        })
    }

    /// Adds a row by its true labels and its list of the best; one without labels is counted apart
    /// and leaves the means. A row that is refused is not counted.
    ///
    /// # Errors
    /// A label that is not in the options or stands twice, a list that is out of order, repeats a
    /// label, has a NaN score, or fewer than `k` entries though there are more labels.
    pub fn add(&mut self, labels: &[u32], list: TopK<'_>) -> Result<(), MetricsError> {
        let case = Case { targets: labels, excluded: &[], list };
        self.found.find(OPERATION, &case, self.classes, most_of(&self.k, self.classes))?;
        let targets = self.found.targets();
        if targets == 0 {
            self.without_labels += 1;
            return Ok(());
        }
        self.rows += 1;
        let inverse = self.propensity.inverse();
        self.best.clear();
        for &label in labels {
            self.test[label as usize] += 1;
            self.best.push(inverse[label as usize]);
        }
        self.best.sort_unstable_by(|a, b| b.total_cmp(a));
        for (&k, at) in self.k.iter().zip(&mut self.at) {
            let (mut hits, mut gain, mut scored) = (0, 0.0, 0.0);
            for (position, label) in self.found.within(k) {
                hits += 1;
                gain += self.gains.at(position);
                scored += inverse[label as usize];
                at.of_label[label as usize] += 1;
            }
            let possible = k.min(targets);
            at.hits += hits;
            at.possible += possible;
            at.ndcg.add(gain / self.gains.ideal(possible));
            at.scored.add(scored);
            // At most as many as there are labels, so the conversion loses nothing.
            at.best_scored.add(self.best[..possible as usize].iter().sum());
        }
        Ok(())
    }

    /// Measures of the rows added.
    ///
    /// # Errors
    /// No row with a label was added.
    pub fn finish(self) -> Result<LabelReport, MetricsError> {
        let rows = self.rows;
        if rows == 0 {
            let expected = "at least one row with a label";
            return Err(MetricsError::value(OPERATION, "number of rows", 0, expected));
        }
        let labels_with_test = self.test.iter().filter(|&&test| test > 0).count() as u64;
        let of_k = |(&k, at): (&u64, &AtK)| {
            let places = k as f64 * rows as f64;
            let with_test = at.of_label.iter().zip(&self.test).filter(|(_, test)| **test > 0);
            let recalls: f64 = with_test.map(|(&hits, &test)| hits as f64 / test as f64).sum();
            LabelAtK {
                k,
                precision: at.hits as f64 / places,
                precision_ceiling: at.possible as f64 / places,
                ndcg: at.ndcg.mean(rows),
                // Both sums lack the same factor 1 / k.
                psp: at.scored.value() / at.best_scored.value(),
                macro_recall: recalls / labels_with_test as f64,
            }
        };
        Ok(LabelReport {
            rows,
            without_labels: self.without_labels,
            labels: self.test.iter().sum(),
            labels_with_test,
            at_k: self.k.iter().zip(&self.at).map(of_k).collect(),
        })
    }
}

impl LabelReport {
    /// Measures by their name in the registry, as in `PSP@5`.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        self.named(|at| [at.precision, at.ndcg, at.psp, at.macro_recall])
    }

    /// Greatest value that a perfect model could have of each measure.
    pub fn ceilings(&self) -> BTreeMap<String, f64> {
        let mut ceilings = self.named(|at| [at.precision_ceiling, 1.0, 1.0, 1.0]);
        // Rows with more than k labels limit the recall of each label in a way that depends on the
        // others: no ceiling is claimed.
        ceilings.retain(|name, _| !name.starts_with("macro-recall"));
        ceilings
    }

    fn named(&self, values: impl Fn(&LabelAtK) -> [f64; 4]) -> BTreeMap<String, f64> {
        let names = ["P", "ndcg", "PSP", "macro-recall"];
        let of_k = |at: &LabelAtK| {
            let k = at.k;
            names.into_iter().map(move |name| format!("{name}@{k}")).zip(values(at)).collect::<Vec<_>>()
        };
        self.at_k.iter().flat_map(of_k).collect()
    }
}
