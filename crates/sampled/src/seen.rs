//! A small set of classes that only grows: what a draw without replacement has seen.

/// Open addressing with a fixed multiplicative hash: the same steps on every run, and a few
/// nanoseconds an insertion. A table four times as large as the set keeps the searches short.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Classes by hash; [`FREE`] elsewhere. The length is a power of two.
    table: Vec<i64>,
    /// 64 less the logarithm of the table's length.
    shift: u32,
}

/// No class: they are not negative.
const FREE: i64 = -1;

impl Seen {
    /// An empty set that will hold at most `capacity` classes.
    pub(crate) fn new(capacity: usize) -> Self {
        let len = (4 * capacity).next_power_of_two().max(4);
        Self { table: vec![FREE; len], shift: 64 - len.trailing_zeros() }
    }

    /// Adds a class, and says whether it is new.
    pub(crate) fn insert(&mut self, class: i64) -> bool {
        // Fibonacci hashing: 2^64 over the golden ratio, the high bits.
        let hash = (class as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        let mask = self.table.len() - 1;
        let mut at = hash as usize;
        loop {
            match self.table[at] {
                FREE => {
                    self.table[at] = class;
                    return true;
                }
                known if known == class => return false,
                _ => at = (at + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn seen_set_equals_a_hash_set(classes in prop::collection::vec(prop_oneof![0..40_i64, Just(i64::MAX), 0..i64::MAX], 1..400)) {
            let (mut seen, mut truth) = (Seen::new(classes.len()), HashSet::new());
            for class in classes {
                prop_assert_eq!(seen.insert(class), truth.insert(class));
            }
        }
    }
}
