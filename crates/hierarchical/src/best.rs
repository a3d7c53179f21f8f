//! The best `k` classes found so far in a search, and the bound that prunes it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lexmax_output::{Result, TopK};
use tch::{Device, Kind, Tensor};

/// A class with its log-probability; the greater has the higher log-probability, then the smaller
/// id.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    log_prob: f64,
    id: i64,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.log_prob.total_cmp(&other.log_prob).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The best `k` candidates of one row.
#[derive(Debug)]
pub(crate) struct Best {
    k: usize,
    worst_first: BinaryHeap<Reverse<Candidate>>,
}

impl Best {
    pub fn new(k: usize) -> Self {
        Self { k, worst_first: BinaryHeap::with_capacity(k + 1) }
    }

    pub fn offer(&mut self, log_prob: f64, id: i64) {
        self.worst_first.push(Reverse(Candidate { log_prob, id }));
        if self.worst_first.len() > self.k {
            self.worst_first.pop();
        }
    }

    /// Whether classes with log-probabilities up to `bound` can still get in. A NaN bound bounds
    /// nothing.
    pub fn admits(&self, bound: f64) -> bool {
        match self.worst_first.peek() {
            Some(Reverse(worst)) if self.worst_first.len() == self.k => {
                bound.is_nan() || worst.log_prob.is_nan() || bound > worst.log_prob
            }
            _ => true,
        }
    }

    /// The rows as one result; every row holds `k` classes.
    pub fn into_top_k(rows: Vec<Self>, k: i64, kind: Kind, device: Device) -> Result<TopK> {
        let shape = [rows.len() as i64, k];
        // Ascending order of `Reverse` is falling order of the candidates.
        let sorted: Vec<_> = rows.into_iter().flat_map(|row| row.worst_first.into_sorted_vec()).collect();
        let log_probs: Vec<f64> = sorted.iter().map(|Reverse(candidate)| candidate.log_prob).collect();
        let ids: Vec<i64> = sorted.iter().map(|Reverse(candidate)| candidate.id).collect();
        Ok(TopK {
            log_probs: Tensor::f_from_slice(&log_probs)?.f_view(shape)?.f_to_kind(kind)?.f_to(device)?,
            ids: Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to(device)?,
        })
    }
}
