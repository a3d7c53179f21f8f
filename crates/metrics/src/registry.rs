//! Registry of all measures: name, direction, definition, formula and source.

use crate::MetricsError;

/// Direction in which a measure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Greater values are better.
    Higher,
    /// Lesser values are better.
    Lower,
}

impl Direction {
    /// Whether `a` is better than `b`; NaN is never better.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            Direction::Higher => a > b,
            Direction::Lower => a < b,
        }
    }
}

/// Entry of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Name; `{k}` stands for a number, as in `ndcg@{k}`.
    pub name: &'static str,
    /// Better when higher, or when lower.
    pub direction: Direction,
    /// Definition in one sentence.
    pub definition: &'static str,
    /// Formula.
    pub formula: &'static str,
    /// Source: title, year, and number at arXiv where it has one.
    pub source: &'static str,
}

impl Measure {
    /// Whether it is a measure at a number `k`.
    pub fn is_at_k(&self) -> bool {
        self.name.contains("{k}")
    }
}

/// A measure by its full name, with its `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedMeasure {
    /// Entry of the registry.
    pub measure: &'static Measure,
    /// Number in the name, as 10 in `ndcg@10`; none where the name has none.
    pub k: Option<u64>,
}

const fn entry(
    name: &'static str,
    direction: Direction,
    definition: &'static str,
    formula: &'static str,
    source: &'static str,
) -> Measure {
    Measure { name, direction, definition, formula, source }
}

use Direction::{Higher, Lower};

const CLASSIC: &str = "classical";
const SHOTS: &str = "Large-Scale Long-Tailed Recognition in an Open World (2019, arXiv 1904.05160)";
const NGCF: &str = "Neural Graph Collaborative Filtering (2019, arXiv 1905.08108)";
const DCG: &str = "Cumulated Gain-Based Evaluation of IR Techniques (2002)";
const JAIN: &str = "Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking & Other Missing Label \
     Applications (2016)";
const TREC: &str = "The TREC-8 Question Answering Track Report (1999)";

/// All measures. The rank of a target is 1 plus the other candidates that score at least as much.
#[rustfmt::skip]
pub const MEASURES: &[Measure] = &[
    entry("top-{k} accuracy", Higher, "Share of rows whose target has a rank of at most k.",
        "#{i : rank(i) <= k} / n", CLASSIC),
    entry("balanced accuracy", Higher, "Mean recall of the classes that have test rows.",
        "(1 / |C+|) sum_{c in C+} recall_c", "The Balanced Accuracy and Its Posterior Distribution (2010)"),
    entry("natural accuracy", Higher, "Accuracy as the training distribution of the classes would weigh it.",
        "sum_{c in C+} n_c recall_c / sum_{c in C+} n_c", CLASSIC),
    entry("macro-F1", Higher, "Mean F1 of the classes that have test rows.",
        "(1 / |C+|) sum_{c in C+} 2 TP_c / (2 TP_c + FP_c + FN_c)",
        "A Re-Examination of Text Categorization Methods (1999)"),
    entry("many recall", Higher, "Mean recall of the classes with more training rows than the upper edge.",
        "mean of recall_c over c in C+ with n_c > b", SHOTS),
    entry("medium recall", Higher, "Mean recall of the classes with training rows from the lower to the upper edge.",
        "mean of recall_c over c in C+ with a <= n_c <= b", SHOTS),
    entry("few recall", Higher, "Mean recall of the classes with fewer training rows than the lower edge, at least one.",
        "mean of recall_c over c in C+ with 1 <= n_c < a", SHOTS),
    entry("cold recall", Higher, "Mean recall of the classes that training never saw.",
        "mean of recall_c over c in C+ with n_c = 0", SHOTS),
    entry("band recall", Higher, "Mean recall of the classes with training rows in the range of the name, as in `5 to 19 recall`.",
        "mean of recall_c over c in C+ with least <= n_c <= most", SHOTS),
    entry("nll", Lower, "Mean negative log-probability of the target, in nats, exactly normalised.",
        "-(1 / n) sum_i log p(y_i | x_i)", CLASSIC),
    entry("ECE", Lower, "Mean gap between accuracy and greatest probability over 15 bins of equal width.",
        "sum_b (n_b / n) |accuracy_b - confidence_b|",
        "On Calibration of Modern Neural Networks (2017, arXiv 1706.04599)"),
    entry("hit@{k}", Higher, "Share of cases with any target among the first k candidates.",
        "#{u : T_u and first k of u meet} / n", "Performance of Recommender Algorithms on Top-N Recommendation Tasks (2010)"),
    entry("recall@{k}", Higher, "Mean share of a case's targets that are among its first k candidates.",
        "(1 / n) sum_u |T_u and first k of u| / |T_u|", NGCF),
    entry("ndcg@{k}", Higher, "Mean discounted gain of the targets among the first k, over that of the best order of all targets.",
        "(1 / n) sum_u sum_{targets at j <= k} 1 / log2(1 + j) / sum_{j <= min(k, |T_u|)} 1 / log2(1 + j)", DCG),
    entry("mrr@{k}", Higher, "Mean reciprocal position of the first target, 0 where it is beyond k.",
        "(1 / n) sum_u [j_u <= k] / j_u, j_u the first position of a target", TREC),
    entry("P@{k}", Higher, "Mean share of the first k places that true labels fill, also where fewer than k are true.",
        "(1 / n) sum_i |Y_i and first k of i| / k", JAIN),
    entry("PSP@{k}", Higher, "Precision at k with each hit weighed by the inverse propensity of its label, over the best possible sum.",
        "sum_i sum_{hits of i} 1 / p_l / sum_i sum_{best min(k, |Y_i|) of Y_i} 1 / p_l", JAIN),
    entry("macro-recall@{k}", Higher, "Mean over the labels with test rows of the share of these rows that have the label among the first k.",
        "(1 / |L+|) sum_{l in L+} #{i : l in Y_i and first k of i} / #{i : l in Y_i}", CLASSIC),
    entry("targets to level", Lower, "Training targets at which the primary measure on valid reaches the level, by straight lines.",
        "min {t : m(t) reaches the level}", CLASSIC),
    entry("seconds to level", Lower, "Training seconds at which the primary measure on valid reaches the level, by straight lines.",
        "seconds at min {t : m(t) reaches the level}", CLASSIC),
    entry("deviation over seeds", Lower, "Standard deviation of the primary measure over seeds, of a sample.",
        "sqrt(sum_s (m_s - mean)^2 / (S - 1))", CLASSIC),
    entry("greatest rise", Lower, "Greatest rise of the training loss between neighbouring curve points.",
        "max(0, max_t loss(t + 1) - loss(t))", CLASSIC),
    entry("diverged share", Lower, "Share of runs that diverged.",
        "#{diverged runs} / #{runs}", CLASSIC),
];

/// Finds a measure by its full name, as in `balanced accuracy` or `ndcg@10`.
///
/// ```
/// use lexmax_metrics::{Direction, measure};
/// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
/// let found = measure("ndcg@10")?;
/// assert_eq!((found.k, found.measure.direction), (Some(10), Direction::Higher));
/// assert!(measure("ndcg").is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A name that no measure has, with the names there are; a `k` that is no number from 1 on.
pub fn measure(name: &str) -> Result<NamedMeasure, MetricsError> {
    let name_or_band = if is_band_recall(name) { "band recall" } else { name };
    let find = |measure: &'static Measure| match measure.name.split_once("{k}") {
        None => (measure.name == name_or_band).then_some(NamedMeasure { measure, k: None }),
        Some((before, after)) => {
            let digits = name.strip_prefix(before)?.strip_suffix(after)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            let k = digits.parse().ok().filter(|_| plain)?;
            Some(NamedMeasure { measure, k: Some(k) })
        }
    };
    MEASURES.iter().find_map(find).ok_or_else(|| {
        let known: Vec<String> =
            MEASURES.iter().map(|measure| format!("`{}`", measure.name.replace("{k}", "K"))).collect();
        MetricsError::UnknownMeasure { given: name.to_owned(), known: known.join(", ") }
    })
}

/// Whether a name is the recall of a band that is named by its counts, as [`crate::bands`] does.
fn is_band_recall(name: &str) -> bool {
    let Some(band) = name.strip_suffix(" recall") else { return false };
    let is_count = |text: &str| text.parse::<u64>().is_ok();
    match band.split_once(" to ") {
        Some((least, most)) => is_count(least) && is_count(most),
        None => band.strip_suffix(" or more").is_some_and(is_count),
    }
}
