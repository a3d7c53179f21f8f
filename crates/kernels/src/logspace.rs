//! Sums of probabilities given by their natural logarithms, in f64.

/// `log(sum_i exp(x_i))`, stable for any finite range; negative infinity for an empty or all-zero
/// sum, NaN where a term is.
///
/// ```
/// use lexmax_kernels::logspace::log_sum_exp;
/// assert!((log_sum_exp([1e4, 1e4]) - (1e4 + 2f64.ln())).abs() < 1e-9);
/// assert_eq!(log_sum_exp([]), f64::NEG_INFINITY);
/// ```
pub fn log_sum_exp<I>(terms: I) -> f64
where
    I: IntoIterator<Item = f64>,
    I::IntoIter: Clone,
{
    let terms = terms.into_iter();
    // Not `f64::max`, which hides what is not a number.
    let larger = |most: f64, term: f64| if term > most || term.is_nan() { term } else { most };
    let largest = terms.clone().fold(f64::NEG_INFINITY, larger);
    if !largest.is_finite() {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nan_term_makes_the_sum_nan() {
        for terms in
            [vec![f64::NAN], vec![f64::NAN, 1.0], vec![1.0, f64::NAN], vec![f64::NEG_INFINITY, f64::NAN]]
        {
            assert!(log_sum_exp(terms.clone()).is_nan(), "{terms:?}");
        }
        assert_eq!(log_sum_exp([f64::INFINITY, 0.0]), f64::INFINITY);
        assert_eq!(log_sum_exp([f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_sum_where_that_is_safe(terms in prop::collection::vec(-30.0..30.0_f64, 1..50)) {
            let plain = terms.iter().map(|term| term.exp()).sum::<f64>().ln();
            prop_assert!((log_sum_exp(terms) - plain).abs() <= 1e-12 * plain.abs().max(1.0));
        }
    }
}
