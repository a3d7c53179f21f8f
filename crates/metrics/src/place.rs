//! Rank of one target and the class that is predicted, from all scores or from the best ones.

use crate::error::check_class;
use crate::{MetricsError, TopK};

/// Rank of a target among the classes, counted from 1, with ties against the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rank {
    /// Exactly this rank.
    At(u64),
    /// Not known to be among the first so many: the list ended, or a tie may go on beyond its end.
    Beyond(u64),
}

impl Rank {
    /// Whether the target counts as one of the first `k`; a rank that is not known does not.
    pub fn is_within(self, k: u64) -> bool {
        matches!(self, Rank::At(rank) if rank <= k)
    }
}

/// Rank of a row's target, and the class predicted for the row.
///
/// `rank = 1 + #{c != y : s_c >= s_y}` for target `y` with score `s_y`. The prediction is the
/// target where its rank is 1, else the best-scored other class, the smallest id of equals: so
/// accuracy is always the trace of the confusion matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Rank of the target.
    pub rank: Rank,
    /// Class predicted.
    pub predicted: u32,
}

impl Place {
    /// Place of `target` by the scores of all classes. Cost: one sweep over them.
    ///
    /// ```
    /// use lexmax_metrics::{Place, Rank};
    /// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
    /// let place = Place::in_scores(&[0.5, 2.0, 2.0], 2)?;
    /// assert_eq!((place.rank, place.predicted), (Rank::At(2), 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A target without a score, a NaN score.
    pub fn in_scores(scores: &[f64], target: u32) -> Result<Place, MetricsError> {
        const OPERATION: &str = "rank among all scores";
        check_class(OPERATION, "target", target, scores.len())?;
        let own = scores[target as usize];
        let (mut rank, mut best) = (1, None);
        for (class, &score) in (0_u32..).zip(scores) {
            if score.is_nan() {
                return Err(MetricsError::NanScore { operation: OPERATION, class: u64::from(class) });
            }
            if class == target {
                continue;
            }
            rank += u64::from(score >= own);
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((class, score));
            }
        }
        let predicted = if rank == 1 { target } else { best.map_or(target, |(class, _)| class) };
        Ok(Place { rank: Rank::At(rank), predicted })
    }

    /// Place of `target` by the best of `classes` classes. Cost: `O(k)`.
    ///
    /// Give one entry more than the greatest `k` of a measure: then a tie at its end hides nothing.
    /// In a list whose entries all tie, the prediction is the smallest id of the list.
    ///
    /// ```
    /// use lexmax_metrics::{Place, Rank, TopK};
    /// # fn main() -> Result<(), lexmax_metrics::MetricsError> {
    /// let list = TopK { ids: &[7, 3, 9], scores: &[-0.1, -2.5, -4.0] };
    /// assert_eq!(Place::in_list(list, 3, 1000)?.rank, Rank::At(2));
    /// // Class 5 may score -4 as well, so that the rank of 9 is not known to be 3.
    /// assert_eq!(Place::in_list(list, 9, 1000)?.rank, Rank::Beyond(3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A target that is no class, a list that is out of order, repeats a class, has a NaN, or has
    /// fewer than two of several classes.
    pub fn in_list(list: TopK<'_>, target: u32, classes: u64) -> Result<Place, MetricsError> {
        const OPERATION: &str = "rank in a list of the best classes";
        let all = usize::try_from(classes).unwrap_or(usize::MAX);
        check_class(OPERATION, "target", target, all)?;
        list.check(OPERATION, all)?;
        if list.len() < all.min(2) {
            let (given, expected) = (list.len() as u64, all.min(2) as u64);
            return Err(MetricsError::Short { operation: OPERATION, given, expected });
        }
        let last = list.scores[list.len() - 1];
        let own = list.ids.iter().position(|&class| class == target).map(|at| list.scores[at]);
        let rank = match own {
            // The other classes that score at least as much come before the first lesser score.
            Some(own) if own > last || list.len() == all => {
                Rank::At(list.scores.partition_point(|&score| score >= own) as u64)
            }
            _ => Rank::Beyond(list.len() as u64),
        };
        if rank == Rank::At(1) {
            return Ok(Place { rank, predicted: target });
        }
        let mut others = list.ids.iter().zip(list.scores).filter(|(class, _)| **class != target);
        let Some((&first, &best)) = others.next() else { return Ok(Place { rank, predicted: target }) };
        let equals = others.take_while(|(_, score)| **score == best).map(|(&class, _)| class);
        Ok(Place { rank, predicted: equals.fold(first, u32::min) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rank_of_a_tied_target_is_the_worst_of_the_tie() {
        let place = |target| Place::in_scores(&[1.0, 3.0, 1.0, 1.0], target).unwrap();
        assert_eq!(place(1), Place { rank: Rank::At(1), predicted: 1 });
        for target in [0, 2, 3] {
            assert_eq!(place(target), Place { rank: Rank::At(4), predicted: 1 });
        }
        assert_eq!(Place::in_scores(&[5.0], 0).unwrap(), Place { rank: Rank::At(1), predicted: 0 });
    }

    #[test]
    fn nan_score_of_any_class_is_an_error() {
        for at in 0..3 {
            let mut scores = [0.0, 1.0, 2.0];
            scores[at] = f64::NAN;
            let error = Place::in_scores(&scores, 1).unwrap_err();
            assert!(error.to_string().contains(&format!("class {at} is NaN")), "{error}");
        }
    }

    #[test]
    fn list_that_ends_in_a_tie_hides_the_rank() {
        let list = TopK { ids: &[4, 2, 0], scores: &[3.0, 1.0, 1.0] };
        assert_eq!(Place::in_list(list, 2, 6).unwrap(), Place { rank: Rank::Beyond(3), predicted: 4 });
        assert_eq!(Place::in_list(list, 5, 6).unwrap().rank, Rank::Beyond(3));
        assert_eq!(Place::in_list(list, 4, 6).unwrap(), Place { rank: Rank::At(1), predicted: 4 });
        // Nothing is beyond the end of a whole list.
        let whole = TopK { ids: &[2, 0, 1], scores: &[3.0, 1.0, 1.0] };
        assert_eq!(Place::in_list(whole, 0, 3).unwrap().rank, Rank::At(3));
    }

    #[test]
    fn list_too_short_for_a_prediction_is_refused() {
        let list = TopK { ids: &[1], scores: &[0.0] };
        let error = Place::in_list(list, 1, 5).unwrap_err().to_string();
        assert!(error.contains("1 candidates") && error.contains("at least 2"), "{error}");
        assert_eq!(Place::in_list(TopK { ids: &[0], scores: &[0.0] }, 0, 1).unwrap().rank, Rank::At(1));
        assert!(Place::in_list(TopK { ids: &[], scores: &[] }, 0, 0).is_err());
    }

    #[test]
    fn unknown_rank_is_within_no_k() {
        assert!(Rank::At(5).is_within(5) && !Rank::At(6).is_within(5));
        assert!(!Rank::Beyond(5).is_within(5) && !Rank::Beyond(5).is_within(50));
    }
}
