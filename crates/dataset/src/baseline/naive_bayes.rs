//! Multinomial naive Bayes over words and pairs of neighbouring words.

use std::collections::HashMap;

use super::class_counts;
use crate::{DatasetError, Examples};

/// Prior of the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prior {
    /// Shares of the classes among the training examples.
    #[default]
    Counted,
    /// One share for all classes: logit adjustment in its oldest form, for a test part that is flat
    /// where training is not.
    Flat,
}

/// Multinomial naive Bayes with additive smoothing `a`: class `c` of a text with the features `f`
/// has the probability
///
/// `p(c) ~ prior_c prod_f (n_cf + a) / (N_c + a F)`,
///
/// where `n_cf` counts feature `f` in the training texts of the class, `N_c` all their features and
/// `F` the different ones of all classes. Features are words and pairs of neighbouring words; those
/// that training never saw count for nothing (McCallum and Nigam 1998, "A Comparison of Event
/// Models for Naive Bayes Text Classification").
///
/// Memory: one number for each feature and class that occur together. Cost: one pass over the
/// training words; a text costs `C` and the classes that its features occur in.
///
/// ```
/// use lexmax_dataset::{DatasetOptions, NaiveBayes, Prior, Split, Valid, build};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let train = folder.path().join("train.tsv");
/// std::fs::write(&train, "weather\tis it cold\nweather\train today\nmusic\tplay it loud\n")?;
/// let data = build(&DatasetOptions::new(vec![train], Valid::None, vec![]), &folder.path().join("out"))?;
///
/// let train = data.examples(Split::Train);
/// let bayes = NaiveBayes::fit(train, data.classes().len(), Prior::Counted, 0.1)?;
/// let log_probs = bayes.log_probs(train.words(0));
/// let total: f64 = log_probs.iter().map(|log_prob| log_prob.exp()).sum();
/// assert!((total - 1.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct NaiveBayes {
    prior: Vec<f64>,
    /// `ln (N_c + a F)` of each class.
    log_all: Vec<f64>,
    /// Place of each feature in `counts`.
    features: HashMap<(u32, u32), u32>,
    /// Classes of each feature and `ln (n_cf / a + 1)`: the factor `a` is that of every class.
    counts: Vec<Vec<(u32, f64)>>,
}

/// Second word of a feature that is one word: no id, since ids are below the number of words.
const ALONE: u32 = u32::MAX;

/// Words and pairs of neighbouring words of a text.
fn features(words: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let alone = words.iter().map(|word| (*word, ALONE));
    alone.chain(words.windows(2).map(|pair| (pair[0], pair[1])))
}

impl NaiveBayes {
    /// Counts the training examples.
    ///
    /// # Errors
    /// A smoothing that is no finite number above zero.
    pub fn fit(
        train: Examples<'_>,
        classes: usize,
        prior: Prior,
        smoothing: f64,
    ) -> Result<NaiveBayes, DatasetError> {
        if !(smoothing > 0.0 && smoothing.is_finite()) {
            let expected = "a finite number above 0";
            return Err(DatasetError::option("smoothing", smoothing.to_string(), expected));
        }
        let mut of_features: HashMap<(u32, u32), u32> = HashMap::new();
        let mut counts: Vec<HashMap<u32, u64>> = Vec::new();
        let mut all = vec![0_u64; classes];
        for (words, class) in train.iter() {
            for feature in features(words) {
                let place = *of_features.entry(feature).or_insert_with(|| {
                    counts.push(HashMap::new());
                    (counts.len() - 1) as u32
                });
                *counts[place as usize].entry(class).or_default() += 1;
                all[class as usize] += 1;
            }
        }
        let different = counts.len() as f64;
        let examples = train.len() as f64;
        let prior = match prior {
            Prior::Flat => vec![0.0; classes],
            Prior::Counted => {
                let of_class = class_counts(train, classes);
                of_class.iter().map(|count| ((*count as f64).max(0.5) / examples).ln()).collect()
            }
        };
        let logs = |counts: HashMap<u32, u64>| {
            let mut logs: Vec<(u32, f64)> = counts
                .into_iter()
                .map(|(class, count)| (class, (count as f64 / smoothing + 1.0).ln()))
                .collect();
            // Sums in the same order each time: the same bits.
            logs.sort_unstable_by_key(|(class, _)| *class);
            logs
        };
        Ok(NaiveBayes {
            prior,
            log_all: all.iter().map(|count| (*count as f64 + smoothing * different).ln()).collect(),
            features: of_features,
            counts: counts.into_iter().map(logs).collect(),
        })
    }

    /// Log-probabilities of all classes for a text of word ids.
    pub fn log_probs(&self, words: &[u32]) -> Vec<f64> {
        let mut scores = self.prior.clone();
        let mut known = 0.0;
        for feature in features(words) {
            let Some(place) = self.features.get(&feature) else { continue };
            known += 1.0;
            for (class, log_count) in &self.counts[*place as usize] {
                scores[*class as usize] += log_count;
            }
        }
        scores.iter_mut().zip(&self.log_all).for_each(|(score, log_all)| *score -= known * log_all);
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = greatest + scores.iter().map(|score| (score - greatest).exp()).sum::<f64>().ln();
        scores.iter_mut().for_each(|score| *score -= log_sum);
        scores
    }
}
