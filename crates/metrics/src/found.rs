//! Positions of a set of targets in a list of the best classes, after the excluded ones are left
//! out.

use crate::error::check_class;
use crate::{Case, MetricsError};

/// Targets of one case, found in its list.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Position, counted from 1, and class of each target that is found, by position.
    pub(crate) places: Vec<(u64, u32)>,
    /// Targets that are among the excluded classes, and so can never be found.
    pub(crate) excluded: u64,
    targets: Vec<u32>,
    left_out: Vec<u32>,
}

impl Found {
    /// Number of targets of the case.
    pub(crate) fn targets(&self) -> u64 {
        self.targets.len() as u64
    }

    /// Targets found among the first `k`.
    pub(crate) fn within(&self, k: u64) -> impl Iterator<Item = (u64, u32)> {
        self.places.iter().copied().take_while(move |(position, _)| *position <= k)
    }

    /// Finds the targets of a case among its first `most` candidates.
    ///
    /// Order: score falling, at equal score non-targets first, then id. Targets whose score is that
    /// of the list's last entry are not found unless the list has every candidate: the tie may go
    /// on beyond its end. Cost: `O(k)` and sorting the targets and the excluded classes.
    pub(crate) fn find(
        &mut self,
        operation: &'static str,
        case: &Case<'_>,
        classes: usize,
        most: u64,
    ) -> Result<(), MetricsError> {
        sort_into(&mut self.targets, case.targets, operation, "target", classes)?;
        sort_into(&mut self.left_out, case.excluded, operation, "excluded class", classes)?;
        if let Some(pair) = self.targets.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(MetricsError::Repeated { operation, role: "target", class: u64::from(pair[0]) });
        }
        self.left_out.dedup();
        let list = case.list;
        list.check(operation, classes)?;
        let Found { places, excluded, targets, left_out } = self;
        places.clear();
        let is_out = |class: u32| left_out.binary_search(&class).is_ok();
        *excluded = targets.iter().filter(|&&target| is_out(target)).count() as u64;

        let candidates = (classes - left_out.len()) as u64;
        let kept = list.ids.iter().filter(|&&class| !is_out(class)).count() as u64;
        if kept < most.min(candidates) {
            let expected = most.min(candidates);
            return Err(MetricsError::Short { operation, given: kept, expected });
        }
        let open_end = (kept < candidates).then(|| list.scores.last().copied()).flatten();
        let (mut before, mut at) = (0, 0);
        while at < list.len() && before < most {
            let score = list.scores[at];
            if open_end == Some(score) {
                break;
            }
            let end = at + list.scores[at..].partition_point(|&other| other == score);
            let tied = list.ids[at..end].iter().copied().filter(|&class| !is_out(class));
            let first = places.len();
            let (mut others, mut hits) = (0, 0);
            for class in tied {
                if targets.binary_search(&class).is_ok() {
                    hits += 1;
                    places.push((0, class));
                } else {
                    others += 1;
                }
            }
            let group = &mut places[first..];
            group.sort_unstable_by_key(|(_, class)| *class);
            for (position, place) in (before + others + 1..).zip(group) {
                place.0 = position;
            }
            before += others + hits;
            at = end;
        }
        Ok(())
    }
}

/// Copies classes into a buffer in rising order, after a look at each.
fn sort_into(
    buffer: &mut Vec<u32>,
    given: &[u32],
    operation: &'static str,
    role: &'static str,
    classes: usize,
) -> Result<(), MetricsError> {
    for &class in given {
        check_class(operation, role, class, classes)?;
    }
    buffer.clear();
    buffer.extend_from_slice(given);
    buffer.sort_unstable();
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TopK;

    const IDS: [u32; 6] = [4, 0, 2, 5, 1, 3];
    const SCORES: [f64; 6] = [9.0, 5.0, 5.0, 5.0, 1.0, 1.0];

    fn places(targets: &[u32], excluded: &[u32], length: usize) -> Vec<(u64, u32)> {
        let list = TopK { ids: &IDS[..length], scores: &SCORES[..length] };
        let mut found = Found::default();
        found.find("test", &Case { targets, excluded, list }, 6, 2).unwrap();
        found.places
    }

    #[test]
    fn targets_of_a_tie_come_after_the_others_by_id() {
        assert_eq!(places(&[2, 0], &[], 6), [(3, 0), (4, 2)]);
        assert_eq!(places(&[4], &[], 6), [(1, 4)]);
    }

    #[test]
    fn excluded_classes_leave_their_positions() {
        assert_eq!(places(&[2, 0], &[4, 5, 5], 6), [(1, 0), (2, 2)]);
        // An excluded target is never found.
        assert_eq!(places(&[4, 0], &[4], 6), [(3, 0)]);
    }

    #[test]
    fn tie_at_the_end_of_a_list_hides_its_targets() {
        assert_eq!(places(&[2], &[], 4), []);
        assert_eq!(places(&[2], &[], 5), [(4, 2)]);
        // With the others excluded the list has every candidate.
        assert_eq!(places(&[2], &[1, 3], 4), [(4, 2)]);
    }
}
