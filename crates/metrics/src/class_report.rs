//! Measures of rows with one target each, and of each class.

use std::collections::BTreeMap;

use crate::bands::band_of;
use crate::{Band, Confused, Reliability};

/// Result of [`crate::ClassScores`].
#[derive(Debug, Clone, PartialEq)]
pub struct ClassReport {
    /// Rows scored.
    pub rows: u64,
    /// Top-k accuracy: `k`, and the share of rows whose target has a rank of at most `k`.
    pub top_k: Vec<(u64, f64)>,
    /// Number of classes with at least one test row, `C+`.
    pub classes_with_test: u64,
    /// Mean recall of the classes with test rows.
    pub balanced_accuracy: f64,
    /// Recall of the classes with test rows, weighed by their training counts; none where training
    /// saw none of them.
    pub natural_accuracy: Option<f64>,
    /// Mean F1 of the classes with test rows.
    pub macro_f1: f64,
    /// Recall by training count, from many to cold.
    pub bands: Vec<ClassBand>,
    /// Counts of each class, by id.
    pub classes: Vec<ClassScore>,
    /// Largest cells of the confusion matrix off its diagonal.
    pub confused: Vec<Confused>,
    /// Negative log-likelihood; none where the rows had no probabilities.
    pub nll: Option<ClassNll>,
    /// Calibration; none where the rows had no probabilities.
    pub reliability: Option<Reliability>,
}

/// Counts of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassScore {
    /// Training rows.
    pub train: u64,
    /// Test rows whose target it is.
    pub test: u64,
    /// Test rows whose target it is, and that were predicted right.
    pub hits: u64,
    /// Test rows that were predicted to be of this class.
    pub predicted: u64,
}

impl ClassScore {
    /// Share of its test rows that were predicted right; none without test rows.
    pub fn recall(&self) -> Option<f64> {
        (self.test > 0).then(|| self.hits as f64 / self.test as f64)
    }

    /// F1, `2 TP / (2 TP + FP + FN)`; none where the class is neither a target nor a prediction.
    pub fn f1(&self) -> Option<f64> {
        // TP + FN are the test rows, TP + FP the predictions.
        let sum = self.test + self.predicted;
        (sum > 0).then(|| 2.0 * self.hits as f64 / sum as f64)
    }
}

/// Mean recall of classes with a training count in one range.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassBand {
    /// Range of training counts.
    pub band: Band,
    /// Classes of the band that have test rows.
    pub classes: u64,
    /// Test rows of these classes.
    pub rows: u64,
    /// Mean recall of these classes; none in an empty band.
    pub recall: Option<f64>,
}

/// Exact negative log-likelihood in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassNll {
    /// Mean over all rows.
    pub mean: f64,
    /// Sums by decade of class rank.
    pub decades: Vec<Decade>,
}

/// Rows whose target id, its rank by training count, lies in `from..to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decade {
    /// First id.
    pub from: u64,
    /// First id after the decade.
    pub to: u64,
    /// Rows.
    pub rows: u64,
    /// Sum of their negative log-likelihood, in nats.
    pub nats: f64,
}

impl ClassReport {
    /// Measures from the counts of all classes, at least one of which has a test row.
    pub(crate) fn new(
        rows: u64,
        top_k: Vec<(u64, f64)>,
        classes: Vec<ClassScore>,
        bands: Vec<Band>,
        confused: Vec<Confused>,
        nll: Option<ClassNll>,
        reliability: Option<Reliability>,
    ) -> ClassReport {
        let mut of_bands: Vec<ClassBand> =
            bands.into_iter().map(|band| ClassBand { band, classes: 0, rows: 0, recall: None }).collect();
        let ranges: Vec<Band> = of_bands.iter().map(|of_band| of_band.band.clone()).collect();
        let (mut with_test, mut recalls, mut f1) = (0_u64, 0.0, 0.0);
        let (mut natural, mut train) = (0.0, 0.0);
        for class in &classes {
            let (Some(recall), Some(of_class)) = (class.recall(), class.f1()) else { continue };
            with_test += 1;
            recalls += recall;
            f1 += of_class;
            natural += class.train as f64 * recall;
            train += class.train as f64;
            let of_band = &mut of_bands[band_of(&ranges, class.train)];
            of_band.classes += 1;
            of_band.rows += class.test;
            // A sum until all classes are in.
            *of_band.recall.get_or_insert(0.0) += recall;
        }
        for of_band in &mut of_bands {
            of_band.recall = of_band.recall.map(|sum| sum / of_band.classes as f64);
        }
        ClassReport {
            rows,
            top_k,
            classes_with_test: with_test,
            balanced_accuracy: recalls / with_test as f64,
            natural_accuracy: (train > 0.0).then(|| natural / train),
            macro_f1: f1 / with_test as f64,
            bands: of_bands,
            classes,
            confused,
            nll,
            reliability,
        }
    }

    /// Measures by their name in the registry; a band by its name, as in `many recall`.
    /// Measures that are not defined on these rows are left out.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        let mut measures: BTreeMap<String, f64> =
            self.top_k.iter().map(|(k, share)| (format!("top-{k} accuracy"), *share)).collect();
        let mut put = |name: &str, value: Option<f64>| {
            measures.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("balanced accuracy", Some(self.balanced_accuracy));
        put("natural accuracy", self.natural_accuracy);
        put("macro-F1", Some(self.macro_f1));
        put("nll", self.nll.as_ref().map(|nll| nll.mean));
        put("ECE", self.reliability.as_ref().and_then(Reliability::ece));
        for ClassBand { band, recall, .. } in &self.bands {
            put(&format!("{} recall", band.name), *recall);
        }
        measures
    }
}
