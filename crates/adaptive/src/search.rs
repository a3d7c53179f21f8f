//! Exact top-k that scores a cluster only for the rows where it can matter.

use lexmax_output::{OutputError, Result, TopK};
use tch::{Kind, Tensor};

use crate::Adaptive;
use crate::partition::rows_by_part;

/// The answer, and how much was scored for it.
pub(crate) struct Search {
    pub top: TopK,
    /// Pairs of a row and a cluster whose words were scored, of `N m` pairs.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests prove the pruning by it"))]
    pub scored_pairs: i64,
}

impl Adaptive {
    /// Best-first search: no word is more probable than its cluster's entry in the head, so a row is done when its `k`-th
    /// best word is as probable as the best cluster that it has not opened. Rows that open the same cluster are scored
    /// together.
    pub(crate) fn search(&self, op: &'static str, hidden: &Tensor, k: i64) -> Result<Search> {
        self.loss.check(op, hidden, None)?;
        let vocab_size =
            self.partition.clusters.last().map_or(self.partition.shortlist, |c| c.start + c.size);
        if !(1..=vocab_size).contains(&k) {
            return Err(OutputError::argument(op, "k", k, format!("1 <= k <= {vocab_size}")));
        }
        let (shortlist, clusters) = (self.partition.shortlist, self.tails.len() as i64);
        let head = self.head_log_softmax(hidden)?;
        let mut top = Candidates::from_shortlist(&head.f_narrow(1, 0, shortlist)?, k)?;
        let (bounds, order) = head.f_narrow(1, shortlist, clusters)?.f_sort(1, true)?;
        let mut scored_pairs = 0;
        for round in 0..clusters {
            let (bound, cluster) = (bounds.f_select(1, round)?, order.f_select(1, round)?);
            let open = top.may_gain(&bound)?;
            // The bounds fall from round to round and the k-th best word never gets worse, so a done row stays done.
            let part = cluster.f_add_scalar(1)?.f_mul(&open)?;
            let rows_of_clusters = rows_by_part(&part, clusters)?;
            if rows_of_clusters.iter().all(|rows| rows.numel() == 0) {
                break;
            }
            for (tail, rows) in self.tails.iter().zip(&rows_of_clusters).filter(|(_, rows)| rows.numel() > 0)
            {
                let within = tail.log_softmax(&hidden.f_index_select(0, rows)?)?;
                let log_probs = within.f_add(&bound.f_index_select(0, rows)?.f_unsqueeze(1)?)?;
                top.offer(rows, &log_probs, tail.cluster.start)?;
                scored_pairs += rows.size()[0];
            }
        }
        Ok(Search { top: TopK { log_probs: top.log_probs, ids: top.ids }, scored_pairs })
    }
}

/// The best `k` words of each row so far, falling; places not yet filled hold negative infinity and id -1.
struct Candidates {
    log_probs: Tensor,
    ids: Tensor,
    k: i64,
}

impl Candidates {
    fn from_shortlist(log_probs: &Tensor, k: i64) -> Result<Self> {
        let (rows, shortlist) = log_probs.size2()?;
        let (log_probs, ids) = log_probs.f_topk(k.min(shortlist), 1, true, true)?;
        let missing = [rows, (k - shortlist).max(0)];
        let floor = Tensor::f_full(missing, f64::NEG_INFINITY, (log_probs.kind(), log_probs.device()))?;
        let nothing = Tensor::f_full(missing, -1, (Kind::Int64, log_probs.device()))?;
        Ok(Self {
            log_probs: Tensor::f_cat(&[log_probs, floor], 1)?,
            ids: Tensor::f_cat(&[ids, nothing], 1)?,
            k,
        })
    }

    /// Rows, `[N]`, where a word no more probable than `bound` may enter.
    fn may_gain(&self, bound: &Tensor) -> Result<Tensor> {
        let kth = self.log_probs.f_select(1, self.k - 1)?;
        let unfilled = self.ids.f_select(1, self.k - 1)?.f_lt(0)?;
        Ok(bound.f_gt_tensor(&kth)?.f_logical_or(&unfilled)?)
    }

    /// Words `start..` with log-probabilities `[M, size]` enter the rows `[M]` where they are better.
    fn offer(&mut self, rows: &Tensor, log_probs: &Tensor, start: i64) -> Result<()> {
        let (best, ids) = log_probs.f_topk(self.k.min(log_probs.size()[1]), 1, true, true)?;
        let both = Tensor::f_cat(&[self.log_probs.f_index_select(0, rows)?, best], 1)?;
        let both_ids = Tensor::f_cat(&[self.ids.f_index_select(0, rows)?, ids.f_add_scalar(start)?], 1)?;
        let (kept, places) = both.f_topk(self.k, 1, true, true)?;
        self.log_probs = self.log_probs.f_index_copy(0, rows, &kept)?;
        self.ids = self.ids.f_index_copy(0, rows, &both_ids.f_gather(1, &places, false)?)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
