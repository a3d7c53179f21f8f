//! Measures of predictions over many classes: one target, sets of targets, many labels.
//!
//! | module of a measure | rows | accumulator | result |
//! | --- | --- | --- | --- |
//! | single target | one class a row | [`ClassScores`] | [`ClassReport`] |
//! | ranking | a set of targets a user or a session | [`RankingScores`] | [`RankingReport`] |
//! | many labels | the true labels of a text | [`LabelScores`] | [`LabelReport`] |
//! | a run's curve | points of the validation measure | [`convergence`] | [`Convergence`] |
//! | runs with several seeds | one primary measure a seed | [`stability`] | [`Stability`] |
//!
//! Accumulators take rows one by one, so a split can be scored in chunks, and hold `O(C)` numbers.
//! Three rules hold for all of them. Ties count against the target: a rank is 1 plus the other
//! candidates that score at least as much. A NaN score is an error, never a rank. A list of the
//! best `k` that may hide a tie beyond its end never gives the target the benefit of the doubt.
//! Every measure, its direction and its definition stand in one [registry](MEASURES).
//!
//! ```
//! use lexmax_metrics::{ClassOptions, ClassScores, Place, Row};
//! # fn main() -> Result<(), lexmax_metrics::MetricsError> {
//! // Three classes with 90, 9 and 1 training rows; two test rows.
//! let mut scores = ClassScores::new(ClassOptions::new(vec![90, 9, 1]))?;
//! scores.add(&Row::new(0, Place::in_scores(&[2.0, 1.0, 0.0], 0)?))?;
//! // A tie with another class is no hit.
//! scores.add(&Row::new(2, Place::in_scores(&[0.0, 1.0, 1.0], 2)?))?;
//! let report = scores.finish()?;
//! assert_eq!(report.measures()["top-1 accuracy"], 0.5);
//! assert_eq!(report.measures()["natural accuracy"], 90.0 / 91.0);
//! # Ok(())
//! # }
//! ```

mod bands;
mod calibration;
mod class_report;
mod classes;
mod confusion;
mod convergence;
mod error;
mod found;
mod labels;
mod list;
mod place;
mod propensity;
mod ranking;
mod ranking_report;
mod registry;
mod stability;
mod sum;

pub use bands::{Band, bands};
pub use calibration::{Bin, Reliability};
pub use class_report::{ClassBand, ClassNll, ClassReport, ClassScore, Decade};
pub use classes::{ClassOptions, ClassScores, Probability, Row};
pub use confusion::Confused;
pub use convergence::{Convergence, CurvePoint, convergence, usual_level};
pub use error::MetricsError;
pub use labels::{LabelAtK, LabelOptions, LabelReport, LabelScores};
pub use list::TopK;
pub use place::{Place, Rank};
pub use propensity::Propensity;
pub use ranking::{Case, RankingOptions, RankingScores};
pub use ranking_report::{BandHits, RankingAtK, RankingReport};
pub use registry::{Direction, MEASURES, Measure, NamedMeasure, measure};
pub use stability::{SeedRun, Stability, stability};

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
