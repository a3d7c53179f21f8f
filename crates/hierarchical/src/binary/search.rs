//! Exact top-k of a binary tree by best-first search.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use lexmax_output::{Result, TopK};
use tch::Tensor;

use super::nodes::Nodes;
use crate::best::Best;
use crate::host::flat_f64;
use crate::tree::{CodeTree, Level};

/// Nodes that each row opens in one round: more make rounds fewer, and score nodes that a pure
/// best-first search would not.
const OPENED: usize = 16;
/// Rows that are searched together; their frontiers are in memory.
const ROWS: i64 = 512;

/// An inner node that is not opened yet, with the log-probability of reaching it: no word below has
/// a higher one.
#[derive(Debug, Clone, Copy)]
struct Open {
    bound: f64,
    depth: usize,
    position: i64,
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound)
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

/// One row's search.
struct Search {
    best: Best,
    open: BinaryHeap<Open>,
}

impl Search {
    fn new(root: Level, k: usize) -> Self {
        let mut search = Self { best: Best::new(k), open: BinaryHeap::new() };
        search.reach(root, 0, 0, 0.0);
        search
    }

    /// Node `position` of a level is reached with a log-probability.
    fn reach(&mut self, level: Level, depth: usize, position: i64, log_prob: f64) {
        if position < level.leaves {
            self.best.offer(log_prob, level.first_word + position);
        } else if self.best.admits(log_prob) {
            self.open.push(Open { bound: log_prob, depth, position: position - level.leaves });
        }
    }

    /// The most probable open node that may hold one of the `k` best words.
    fn next(&mut self) -> Option<Open> {
        let open = self.open.pop()?;
        if self.best.admits(open.bound) {
            return Some(open);
        }
        self.open.clear(); // the others are bounded by less
        None
    }
}

/// The top `k` of every row of hidden `[N, D]`, and how many nodes were scored for it, over all
/// rows.
///
/// Rounds: every row opens its [`OPENED`] most probable nodes, and one gather scores them all.
pub(super) fn top_k(tree: &CodeTree, nodes: &Nodes, hidden: &Tensor, k: i64) -> Result<(TopK, u64)> {
    let _guard = tch::no_grad_guard();
    let mut best = Vec::with_capacity(hidden.size()[0] as usize);
    let mut scored = 0;
    for hidden in hidden.f_split(ROWS, 0)? {
        let mut searches: Vec<_> =
            (0..hidden.size()[0]).map(|_| Search::new(tree.levels()[0], k as usize)).collect();
        loop {
            let (mut rows, mut ids, mut opened) = (vec![], vec![], vec![]);
            for (row, search) in searches.iter_mut().enumerate() {
                for open in std::iter::from_fn(|| search.next()).take(OPENED) {
                    rows.push(row as i64);
                    ids.push(tree.levels()[open.depth].first_node + open.position);
                    opened.push(open);
                }
            }
            if opened.is_empty() {
                break;
            }
            scored += opened.len() as u64;
            let on_device = |ids: &[i64]| Tensor::f_from_slice(ids)?.f_to(hidden.device());
            let hidden = hidden.f_index_select(0, &on_device(&rows)?)?;
            let logits = flat_f64(&nodes.logits(&hidden, &on_device(&ids)?)?)?;
            for ((row, open), logit) in rows.into_iter().zip(opened).zip(logits) {
                let depth = open.depth + 1;
                for (code, logit) in [logit, -logit].into_iter().enumerate() {
                    let position = 2 * open.position + code as i64;
                    let log_prob = open.bound + log_sigmoid(logit);
                    searches[row as usize].reach(tree.levels()[depth], depth, position, log_prob);
                }
            }
        }
        best.extend(searches.into_iter().map(|search| search.best));
    }
    Ok((Best::into_top_k(best, k, nodes.weight().kind(), hidden.device())?, scored))
}

/// `-log(1 + exp(-x))` without overflow.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}
