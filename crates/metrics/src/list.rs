//! The best classes of a row, in order, as an output layer gives them.

use crate::MetricsError;
use crate::error::check_class;

/// Lists up to this length are searched for repeats pair by pair, longer ones sorted.
const SHORT: usize = 32;

/// Best classes of one row by falling score; ties in any order.
///
/// The list is whole where it holds every class. Else classes beyond its end score at most as much
/// as its last entry. Scores of 32 bits become f64 without loss, so ties stay ties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopK<'a> {
    /// Class ids.
    pub ids: &'a [u32],
    /// Score of each id, never rising.
    pub scores: &'a [f64],
}

impl TopK<'_> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Refuses what is no list of the best of `classes` classes.
    pub(crate) fn check(&self, operation: &'static str, classes: usize) -> Result<(), MetricsError> {
        if self.ids.len() != self.scores.len() {
            let given = format!("{} for {} ids", self.scores.len(), self.ids.len());
            return Err(MetricsError::value(operation, "number of scores", given, "one score for each id"));
        }
        for (&class, score) in self.ids.iter().zip(self.scores) {
            check_class(operation, "list with class", class, classes)?;
            if score.is_nan() {
                return Err(MetricsError::NanScore { operation, class: u64::from(class) });
            }
        }
        if let Some(at) = self.scores.windows(2).position(|pair| pair[1] > pair[0]) {
            let (score, next) = (self.scores[at], self.scores[at + 1]);
            return Err(MetricsError::Order { operation, entry: at + 1, score, next });
        }
        match repeated(self.ids) {
            None => Ok(()),
            Some(class) => {
                Err(MetricsError::Repeated { operation, role: "list with class", class: u64::from(class) })
            }
        }
    }
}

/// A class that stands twice.
fn repeated(ids: &[u32]) -> Option<u32> {
    if ids.len() <= SHORT {
        return (1..ids.len()).find(|&at| ids[..at].contains(&ids[at])).map(|at| ids[at]);
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(ids: &[u32], scores: &[f64]) -> String {
        TopK { ids, scores }.check("test", 100).unwrap_err().to_string()
    }

    #[test]
    fn list_out_of_order_or_with_nan_is_refused() {
        assert!(TopK { ids: &[5, 1, 3], scores: &[2.0, 2.0, f64::NEG_INFINITY] }.check("test", 100).is_ok());
        assert_eq!(
            refused(&[5, 1], &[2.0, f64::NAN]),
            "test: the score of class 1 is NaN; expected a number"
        );
        assert!(refused(&[5, 1], &[1.0, 2.0]).contains("score 2 after 1 at entry 1"));
        assert!(refused(&[5, 1], &[1.0]).contains("1 for 2 ids"));
        assert!(refused(&[100], &[1.0]).contains("class 100; expected a class below 100"));
    }

    #[test]
    fn list_with_a_repeat_is_refused_at_any_length() {
        for length in [2, SHORT, SHORT + 1, 99] {
            let mut ids: Vec<u32> = (0..length as u32).collect();
            let scores = vec![0.0; length];
            assert!(TopK { ids: &ids, scores: &scores }.check("test", 100).is_ok());
            ids[length - 1] = 0;
            assert!(refused(&ids, &scores).contains("list with class 0 again"), "{length}");
        }
    }
}
