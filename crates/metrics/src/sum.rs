//! Compensated sums: a mean over millions of rows loses no digits, whatever their order.

/// Sum that keeps what rounding drops (Neumaier's variant of Kahan's).
///
/// Infinite terms make it infinite, as in a plain sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    sum: f64,
    dropped: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        let next = self.sum + term;
        if next.is_finite() {
            self.dropped += if self.sum.abs() >= term.abs() {
                (self.sum - next) + term
            } else {
                (term - next) + self.sum
            };
        }
        self.sum = next;
    }

    pub(crate) fn value(self) -> f64 {
        if self.sum.is_finite() { self.sum + self.dropped } else { self.sum }
    }

    /// Mean over `rows`, of which there is at least one.
    pub(crate) fn mean(self, rows: u64) -> f64 {
        self.value() / rows as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: impl IntoIterator<Item = f64>) -> f64 {
        let mut sum = Sum::default();
        terms.into_iter().for_each(|term| sum.add(term));
        sum.value()
    }

    #[test]
    fn sum_of_small_terms_after_a_large_one_is_exact() {
        assert_eq!(sum([1e16, 1.0, 1.0, -1e16]), 2.0);
        assert_eq!(sum(std::iter::repeat_n(0.1, 10)), 1.0);
    }

    #[test]
    fn sum_with_an_infinite_term_is_infinite() {
        assert_eq!(sum([1.0, f64::INFINITY, 2.0]), f64::INFINITY);
    }
}
