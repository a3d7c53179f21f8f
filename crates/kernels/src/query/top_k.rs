//! The `k` most probable classes of each row.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{Query, for_each_block};
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::{Linear, Workspace};
use crate::simd::dispatch;
use crate::tile::ROW_MULTIPLE;
use crate::tile::normalise::Keep;
use crate::tile::scan::AnyAbove;
use crate::transform::LogitTransform;

/// Most probable classes of each row, in falling order; of equal logits the smaller id first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopK {
    /// Log-probabilities, `[N, k]`, exactly normalised.
    pub log_probs: Vec<f64>,
    /// Class ids, `[N, k]`.
    pub ids: Vec<i64>,
    /// Log-normaliser of each row, `log sum_c exp z_c`, `[N]`.
    pub log_normaliser: Vec<f64>,
}

/// Rows that are compared with their thresholds at once. Class `c` is among the `k` best so far of
/// a row with probability `k / c`: with all rows of a tile in one comparison nearly every class
/// enters some row's list, with so few rows seldom one does.
const GROUP: usize = 4 * ROW_MULTIPLE;

/// Largest `k` for which a row's list stays sorted. For a larger one up to `2 k` classes are
/// collected before the worse half is dropped, so that the cost of a row grows with its insertions
/// and not with `k` times them.
const SORTED: usize = 64;

/// Best classes so far of some spans.
struct Best<T> {
    /// Logits and classes of each row: the best `k` sorted, or up to `2 k` unsorted.
    rows: Vec<Vec<(T, u32)>>,
    /// Least logit that enters each row's list, `[padded]`.
    thresholds: Vec<T>,
}

/// The `k` most probable classes of each row, exactly, of `softmax(f(z / temperature))`. Cost:
/// `2 N D V` operations and one comparison a logit; on random logits about `k log(V / k)` of a
/// row's classes enter its list, a few operations each. Memory: the workspace, and for each thread
/// `k` entries for each row of a chunk (`2 k` above 64).
///
/// # Errors
/// Slices that do not fit, `k` outside `1..=V`, an option out of its range, `2^32` classes.
///
/// ```
/// use lexmax_kernels::linear_ce::{Linear, Workspace};
/// use lexmax_kernels::{LogitTransform, query::top_k};
///
/// let linear = Linear { hidden: &[1.0_f32], weight: &[0.0, 2.0, 1.0], bias: None, hidden_size: 1
/// };
/// let best = top_k(linear, 2, 1.0, LogitTransform::Identity, &mut Workspace::new(1))?;
/// assert_eq!(best.ids, [1, 2]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn top_k<T: Element>(
    linear: Linear<'_, T>,
    k: usize,
    temperature: f64,
    transform: LogitTransform,
    workspace: &mut Workspace<T>,
) -> Result<TopK> {
    let op = "query.top_k";
    linear.check(op)?;
    let vocab_size = linear.vocab_size();
    if !(1..=vocab_size).contains(&k) {
        return Err(KernelError::argument(op, "k", k, format!("1 <= k <= {vocab_size}")));
    }
    if u32::try_from(vocab_size).is_err() {
        return Err(KernelError::argument(op, "classes", vocab_size, "a number of 32 bits"));
    }
    let level = workspace.level;
    let lowest = T::from_f64(f64::NEG_INFINITY);
    let mut out = TopK::default();
    for_each_block(
        Query { op, linear, temperature, transform, keep: Keep::Logits },
        workspace,
        |rows| Best {
            rows: vec![Vec::new(); rows],
            thresholds: vec![lowest; rows.next_multiple_of(ROW_MULTIPLE)],
        },
        |best, _, block| {
            let padded = block.shape.padded();
            // Padding never beats anything.
            best.thresholds[block.shape.rows..].fill(T::from_f64(f64::INFINITY));
            for (class, logits) in block.tile.chunks_exact(block.shape.stride()).enumerate() {
                for first in (0..padded).step_by(GROUP) {
                    let group = first..padded.min(first + GROUP);
                    let (values, thresholds) = (&logits[group.clone()], &best.thresholds[group.clone()]);
                    if dispatch(level, AnyAbove { values, thresholds }) {
                        best.look_at(group, logits, (block.first_class + class) as u32, k);
                    }
                }
            }
        },
        |states, _, log_normalisers| {
            for (row, log_normaliser) in log_normalisers.iter().enumerate() {
                let mut all: Vec<(T, u32)> =
                    states.iter().flat_map(|best| best.rows[row].iter().copied()).collect();
                all.sort_unstable_by(better);
                all.truncate(k);
                let missing = k - all.len();
                if missing > 0 {
                    // Classes of probability zero beat no threshold; they fill up what is missing.
                    let found: HashSet<u32> = all.iter().map(|(_, class)| *class).collect();
                    let others = (0..vocab_size as u32).filter(|class| !found.contains(class));
                    all.extend(others.take(missing).map(|class| (lowest, class)));
                }
                out.ids.extend(all.iter().map(|(_, class)| i64::from(*class)));
                out.log_probs.extend(all.iter().map(|(logit, _)| logit.to_f64() - log_normaliser));
            }
            out.log_normaliser.extend_from_slice(log_normalisers);
            Ok(())
        },
    )?;
    Ok(out)
}

impl<T: Element> Best<T> {
    /// Takes what is better than what is known of some rows.
    fn look_at(&mut self, group: std::ops::Range<usize>, logits: &[T], class: u32, k: usize) {
        for row in group {
            if logits[row] > self.thresholds[row] {
                self.insert(row, logits[row], class, k);
            }
        }
    }

    fn insert(&mut self, row: usize, logit: T, class: u32, k: usize) {
        let best = &mut self.rows[row];
        if k > SORTED {
            best.push((logit, class));
            if best.len() >= 2 * k {
                let (_, kth, _) = best.select_nth_unstable_by(k - 1, better);
                self.thresholds[row] = kth.0;
                best.truncate(k);
            }
            return;
        }
        let place = best.partition_point(|(other, _)| *other >= logit);
        best.insert(place, (logit, class));
        best.truncate(k);
        if best.len() == k {
            self.thresholds[row] = best[k - 1].0;
        }
    }
}

/// Likelier classes first; among equal logits the smaller id.
fn better<T: Element>(a: &(T, u32), b: &(T, u32)) -> Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}
