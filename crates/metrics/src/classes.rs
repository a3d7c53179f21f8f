//! Accumulator of the measures of rows with one target each.

use crate::calibration::Reliability;
use crate::class_report::{ClassNll, ClassReport, ClassScore, Decade};
use crate::confusion::Confusion;
use crate::error::{check_class, check_counts, check_k};
use crate::sum::Sum;
use crate::{Band, MetricsError, Place, Rank, bands};

const OPERATION: &str = "measures of classes";
/// Nats that a log-probability may be above zero, or above that of the greatest class: two code
/// paths of a layer in half precision differ by so much.
const SLACK: f64 = 0.1;

/// Options of [`ClassScores`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassOptions {
    /// Training rows of each class, by id; 0 for a class that training never saw.
    pub counts: Vec<u64>,
    /// Values of `k` of top-k accuracy.
    pub k: Vec<u64>,
    /// Edges of the bands by training count, see [`bands`].
    pub edges: Vec<u64>,
    /// Most cells off the diagonal of the confusion matrix that the report names.
    pub confused: usize,
}

impl ClassOptions {
    /// Top-1 and top-5 accuracy, bands with edges 20 and 100, 50 cells of the confusion matrix.
    pub fn new(counts: Vec<u64>) -> ClassOptions {
        ClassOptions { counts, k: vec![1, 5], edges: vec![20, 100], confused: 50 }
    }
}

/// Probabilities of a row, where its scores are log-probabilities of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probability {
    /// Exact log-probability of the target, in nats.
    pub log_prob: f64,
    /// Greatest probability of any class.
    pub greatest: f64,
}

/// One scored row with a single target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// True class.
    pub target: u32,
    /// Rank of the target and class predicted.
    pub place: Place,
    /// Probabilities, for nll and calibration; none where scores are no log-probabilities, as after
    /// an adjustment. Given for all rows or for none.
    pub probability: Option<Probability>,
}

impl Row {
    /// Row without probabilities.
    pub fn new(target: u32, place: Place) -> Row {
        Row { target, place, probability: None }
    }

    /// Row with the log-probability of its target and the greatest probability of any class.
    pub fn with_probability(target: u32, place: Place, log_prob: f64, greatest: f64) -> Row {
        Row { probability: Some(Probability { log_prob, greatest }), ..Row::new(target, place) }
    }
}

/// Measures of rows with one target each, gathered row by row.
///
/// The definitions stand in [`crate::MEASURES`]. Memory: `O(C)`, and one count for each pair of a
/// class and another that is predicted instead. Cost of a row: `O(1)`.
#[derive(Debug, Clone)]
pub struct ClassScores {
    counts: Vec<u64>,
    k: Vec<u64>,
    bands: Vec<Band>,
    most_confused: usize,
    rows: u64,
    within: Vec<u64>,
    test: Vec<u64>,
    hits: Vec<u64>,
    predicted: Vec<u64>,
    confusion: Confusion,
    with_probability: u64,
    nats: Sum,
    decades: Vec<(u64, Sum)>,
    reliability: Reliability,
}

impl ClassScores {
    /// Accumulator without rows.
    ///
    /// # Errors
    /// No class, a `k` of 0 or none, edges that do not rise.
    pub fn new(options: ClassOptions) -> Result<ClassScores, MetricsError> {
        let ClassOptions { counts, k, edges, confused } = options;
        check_counts(OPERATION, &counts)?;
        let (k, bands, classes) = (check_k(OPERATION, &k)?, bands(&edges)?, counts.len());
        Ok(ClassScores {
            within: vec![0; k.len()],
            k,
            bands,
            most_confused: confused,
            rows: 0,
            test: vec![0; classes],
            hits: vec![0; classes],
            predicted: vec![0; classes],
            confusion: Confusion::default(),
            with_probability: 0,
            nats: Sum::default(),
            decades: vec![(0, Sum::default()); decade_of(classes - 1) + 1],
            reliability: Reliability::new(),
            counts,
        })
    }

    /// Adds a row. A row that is refused is not counted.
    ///
    /// # Errors
    /// A class that is not in the options, a rank of 0, a prediction that is the target at another
    /// rank than 1 or another class at rank 1, a rank that is only known to be beyond less than the
    /// greatest `k`, a log-probability that is NaN, above 0 or above that of the greatest
    /// probability, a row without probabilities among rows with them.
    pub fn add(&mut self, row: &Row) -> Result<(), MetricsError> {
        let &Row { target, place: Place { rank, predicted }, probability } = row;
        let classes = self.counts.len();
        check_class(OPERATION, "target", target, classes)?;
        check_class(OPERATION, "prediction", predicted, classes)?;
        self.check_rank(rank)?;
        let hit = rank == Rank::At(1);
        if hit != (target == predicted) {
            let given = format!("{predicted} for target {target} at {rank:?}");
            let expected = "the target where its rank is 1, else another class";
            return Err(MetricsError::value(OPERATION, "prediction", given, expected));
        }
        if self.rows > 0 && probability.is_some() != (self.with_probability > 0) {
            let given = if probability.is_some() { "given" } else { "missing" };
            let expected = "probabilities of all rows or of none";
            return Err(MetricsError::value(OPERATION, "probability of a row", given, expected));
        }
        if let Some(Probability { log_prob, greatest }) = probability {
            // Written so that NaN fails.
            if !(log_prob <= SLACK && log_prob <= greatest.ln() + SLACK) {
                let expected =
                    format!("at most 0 and the logarithm of the greatest probability, {}", greatest.ln());
                return Err(MetricsError::value(OPERATION, "log-probability", log_prob, expected));
            }
            self.reliability.add(greatest, hit)?;
            self.with_probability += 1;
            self.nats.add(-log_prob);
            let decade = &mut self.decades[decade_of(target as usize)];
            decade.0 += 1;
            decade.1.add(-log_prob);
        }
        self.rows += 1;
        for (within, &k) in self.within.iter_mut().zip(&self.k) {
            *within += u64::from(rank.is_within(k));
        }
        self.test[target as usize] += 1;
        self.predicted[predicted as usize] += 1;
        if hit {
            self.hits[target as usize] += 1;
        } else {
            self.confusion.add(target, predicted);
        }
        Ok(())
    }

    /// Refuses a rank that cannot be, or that leaves the greatest `k` open.
    fn check_rank(&self, rank: Rank) -> Result<(), MetricsError> {
        let most = self.k.last().copied().unwrap_or(1).min(self.counts.len() as u64);
        match rank {
            Rank::At(rank) if (1..=self.counts.len() as u64).contains(&rank) => Ok(()),
            Rank::At(rank) => {
                let expected = format!("a rank from 1 to {}, the number of classes", self.counts.len());
                Err(MetricsError::value(OPERATION, "rank", rank, expected))
            }
            Rank::Beyond(given) if given < most => {
                Err(MetricsError::Short { operation: OPERATION, given, expected: most })
            }
            Rank::Beyond(_) => Ok(()),
        }
    }

    /// Measures of the rows added. Cost: `O(C)`, and sorting the confused pairs.
    ///
    /// # Errors
    /// No row was added.
    pub fn finish(self) -> Result<ClassReport, MetricsError> {
        if self.rows == 0 {
            return Err(MetricsError::value(OPERATION, "number of rows", 0, "at least one row"));
        }
        let class = |id: usize| ClassScore {
            train: self.counts[id],
            test: self.test[id],
            hits: self.hits[id],
            predicted: self.predicted[id],
        };
        let classes: Vec<ClassScore> = (0..self.counts.len()).map(class).collect();
        let decades = self.decades.iter().enumerate().map(|(decade, &(rows, nats))| Decade {
            from: if decade == 0 { 0 } else { 10_u64.pow(decade as u32) },
            to: 10_u64.pow(decade as u32 + 1).min(self.counts.len() as u64),
            rows,
            nats: nats.value(),
        });
        let nll = (self.with_probability > 0)
            .then(|| ClassNll { mean: self.nats.mean(self.rows), decades: decades.collect() });
        let share = |&within: &u64| within as f64 / self.rows as f64;
        let top_k = self.k.iter().copied().zip(self.within.iter().map(share)).collect();
        let confused = self.confusion.largest(self.most_confused);
        let reliability = (self.with_probability > 0).then_some(self.reliability);
        Ok(ClassReport::new(self.rows, top_k, classes, self.bands, confused, nll, reliability))
    }
}

/// Decade of a class id: 0 for ids below 10, 1 below 100, and so on.
fn decade_of(class: usize) -> usize {
    class.checked_ilog10().unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::decade_of;

    #[test]
    fn decade_begins_at_a_power_of_ten() {
        assert_eq!([0, 1, 9, 10, 99, 100, 4_294_967_294].map(decade_of), [0, 0, 0, 1, 1, 2, 9]);
    }
}
