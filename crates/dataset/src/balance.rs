//! Balance of class counts: how long the tail is.

/// Balance of the training counts of classes.
///
/// ```
/// use lexmax_dataset::Balance;
///
/// let balance = Balance::of(&[90, 9, 1]);
/// assert_eq!((balance.most, balance.median, balance.least), (90, 9, 1));
/// assert!((balance.gini - 0.593).abs() < 1e-3);
/// assert_eq!(Balance::of(&[5, 5]).gini, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// Greatest count.
    pub most: u64,
    /// Median count, the greater one of the two in the middle.
    pub median: u64,
    /// Least count.
    pub least: u64,
    /// Gini coefficient of the counts, `sum_i (2 i - C - 1) n_i / (C N)` over the counts in rising
    /// order: 0 where all are the same, near 1 where one class has all.
    pub gini: f64,
    /// Share of the classes with at most 5 examples.
    pub tail: f64,
}

/// Most examples of a class of the tail.
const TAIL: u64 = 5;

impl Balance {
    /// Balance of counts; all zero where there are none.
    pub fn of(counts: &[u64]) -> Balance {
        let mut rising = counts.to_vec();
        rising.sort_unstable();
        let (classes, all) = (rising.len() as f64, rising.iter().sum::<u64>() as f64);
        let weighted =
            rising.iter().zip(1..).map(|(count, i)| (2.0 * f64::from(i) - classes - 1.0) * *count as f64);
        let gini = if all > 0.0 { weighted.sum::<f64>() / (classes * all) } else { 0.0 };
        let tail = rising.partition_point(|count| *count <= TAIL) as f64 / classes.max(1.0);
        let at = |place: usize| rising.get(place).copied().unwrap_or(0);
        Balance {
            most: at(rising.len().saturating_sub(1)),
            median: at(rising.len() / 2),
            least: at(0),
            gini,
            tail,
        }
    }
}
