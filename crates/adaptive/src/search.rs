//! Exact top-k that scores a cluster only for the rows where it can matter.

use lexmax_output::dense::wide_kind;
use lexmax_output::fused::Scratch;
use lexmax_output::{PathMemory, Result, TopK, check_k, top_k_of};
use tch::{Kind, Tensor};

use crate::Adaptive;
use crate::partition::rows_by_part;
use crate::tail::Tail;

/// The answer, and how much was scored for it.
pub(crate) struct Search {
    pub top: TopK,
    /// Pairs of a row and a cluster whose words were scored, of `N m` pairs.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests prove the pruning by it"))]
    pub scored_pairs: i64,
}

/// Tensors `[R, S + m]` or `[R, |C_i|]` that live at once in a search beside the kernels: logits,
/// their copy in f32, log-probabilities, and the room for sorting.
const TENSORS: i64 = 4;

impl Adaptive {
    /// The `k` most probable classes of each row, on each path without all logits at once.
    pub(crate) fn best(&self, op: &'static str, hidden: &Tensor, k: i64) -> Result<TopK> {
        self.loss.check(op, hidden, None)?;
        let most = self.tails.iter().map(|tail| tail.cluster.size).fold(self.partition.head_size(), i64::max);
        let bytes = most * TENSORS * wide_kind(hidden.kind()).elt_size_in_bytes() as i64;
        let chunks = self.path.chunk_memory().chunks(hidden.size()[0], bytes, hidden.device());
        if chunks.is_one() || self.path.scratch().is_some() {
            return Ok(self.search(op, hidden, k)?.top);
        }
        let parts =
            chunks.map(|(first, rows)| Ok(self.search(op, &hidden.f_narrow(0, first, rows)?, k)?.top));
        TopK::joined(parts.collect::<Result<Vec<_>>>()?)
    }

    /// Best-first search: no word is more probable than its cluster's entry in the head, so a row
    /// is done when its `k`-th best word is as probable as the best cluster that it has not opened.
    /// Rows that open the same cluster are scored together.
    pub(crate) fn search(&self, op: &'static str, hidden: &Tensor, k: i64) -> Result<Search> {
        self.loss.check(op, hidden, None)?;
        let _guard = tch::no_grad_guard();
        check_k(op, k, self.loss.vocab_size())?;
        let clusters = self.tails.len() as i64;
        let (shortlist, bounds) = match self.path.scratch() {
            Some(scratch) => self.best_of_head_fused(hidden, k, scratch)?,
            None => self.best_of_head(hidden, k)?,
        };
        let mut top = Candidates::new(shortlist, k)?;
        let (bounds, order) = bounds.f_sort(1, true)?;
        let mut scored_pairs = 0;
        for round in 0..clusters {
            let (bound, cluster) = (bounds.f_select(1, round)?, order.f_select(1, round)?);
            let open = top.may_gain(&bound)?;
            // The bounds fall from round to round and the k-th best word never gets worse, so a
            // done row stays done.
            let part = cluster.f_add_scalar(1)?.f_mul(&open)?;
            let rows_of_clusters = rows_by_part(&part, clusters)?;
            if rows_of_clusters.iter().all(|rows| rows.numel() == 0) {
                break;
            }
            for (tail, rows) in self.tails.iter().zip(&rows_of_clusters).filter(|(_, rows)| rows.numel() > 0)
            {
                let own = hidden.f_index_select(0, rows)?;
                let mut best = best_of_cluster(op, tail, &own, k, &self.path)?;
                best.log_probs = best.log_probs.f_add(&bound.f_index_select(0, rows)?.f_unsqueeze(1)?)?;
                best.ids = best.ids.f_add_scalar(tail.cluster.start)?;
                top.offer(rows, &best)?;
                scored_pairs += rows.size()[0];
            }
        }
        Ok(Search { top: TopK { log_probs: top.log_probs, ids: top.ids }, scored_pairs })
    }

    /// The best words of the shortlist, at most `k`, and the log-probabilities of the clusters,
    /// `[N, m]`.
    fn best_of_head(&self, hidden: &Tensor, k: i64) -> Result<(TopK, Tensor)> {
        let (shortlist, clusters) = (self.partition.shortlist, self.tails.len() as i64);
        let head = self.head_log_softmax(hidden)?;
        let words = top_k_of("adaptive.top_k", &head.f_narrow(1, 0, shortlist)?, k.min(shortlist))?;
        Ok((words, head.f_narrow(1, shortlist, clusters)?))
    }

    /// Best words and cluster log-probabilities of the head by one sweep: among its best `k + m`
    /// entries are the best `k` words, and the sweep's normaliser makes log-probabilities of the
    /// clusters' logits.
    fn best_of_head_fused(&self, hidden: &Tensor, k: i64, scratch: &Scratch) -> Result<(TopK, Tensor)> {
        let (shortlist, clusters) = (self.partition.shortlist, self.tails.len() as i64);
        let entries = (k + clusters).min(shortlist + clusters);
        let (best, log_normaliser) =
            self.head(hidden).top_k_and_normaliser("adaptive.top_k", entries, scratch)?;
        // Entries of clusters go to the end; enough words remain before them.
        let is_word = best.ids.f_lt(shortlist)?;
        let floor = Tensor::f_full([0_i64; 0], f64::NEG_INFINITY, (hidden.kind(), hidden.device()))?;
        let words = best.log_probs.f_where_self(&is_word, &floor)?;
        let (log_probs, places) = words.f_topk(k.min(shortlist), 1, true, true)?;
        let ids = best.ids.f_gather(1, &places, false)?;
        let of_clusters = |tensor: &Tensor| tensor.f_narrow(0, shortlist, clusters);
        let bias = self.head_bias.as_ref().map(of_clusters).transpose()?;
        let logits = hidden.f_linear(&of_clusters(&self.head_weight)?, bias.as_ref())?;
        let bounds = logits.f_to_kind(Kind::Double)?.f_sub(&log_normaliser.f_unsqueeze(1)?)?;
        Ok((TopK { log_probs, ids }, bounds.f_to_kind(hidden.kind())?))
    }
}

/// The best words of a cluster by their log-probability within it, at most `k`, for the rows given.
fn best_of_cluster(
    op: &'static str,
    tail: &Tail,
    hidden: &Tensor,
    k: i64,
    path: &PathMemory,
) -> Result<TopK> {
    let k = k.min(tail.cluster.size);
    match path.scratch() {
        Some(_) => tail.linear(&tail.project(hidden)?).top_k(op, k, path),
        None => top_k_of(op, &tail.log_softmax(hidden)?, k),
    }
}

/// The best `k` words of each row so far, falling; places not yet filled hold negative infinity and
/// id -1.
struct Candidates {
    log_probs: Tensor,
    ids: Tensor,
    k: i64,
}

impl Candidates {
    /// Starts with the best words of the shortlist.
    fn new(words: TopK, k: i64) -> Result<Self> {
        let (rows, found) = words.log_probs.size2()?;
        let missing = [rows, k - found];
        let (kind, device) = (words.log_probs.kind(), words.log_probs.device());
        let floor = Tensor::f_full(missing, f64::NEG_INFINITY, (kind, device))?;
        let nothing = Tensor::f_full(missing, -1, (Kind::Int64, device))?;
        Ok(Self {
            log_probs: Tensor::f_cat(&[words.log_probs, floor], 1)?,
            ids: Tensor::f_cat(&[words.ids, nothing], 1)?,
            k,
        })
    }

    /// Rows, `[N]`, where a word no more probable than `bound` may enter.
    fn may_gain(&self, bound: &Tensor) -> Result<Tensor> {
        let kth = self.log_probs.f_select(1, self.k - 1)?;
        let unfilled = self.ids.f_select(1, self.k - 1)?.f_lt(0)?;
        Ok(bound.f_gt_tensor(&kth)?.f_logical_or(&unfilled)?)
    }

    /// Words `[M, j]` of the rows `[M]` enter where they are better.
    fn offer(&mut self, rows: &Tensor, words: &TopK) -> Result<()> {
        let both = Tensor::f_cat(&[&self.log_probs.f_index_select(0, rows)?, &words.log_probs], 1)?;
        let both_ids = Tensor::f_cat(&[&self.ids.f_index_select(0, rows)?, &words.ids], 1)?;
        let (kept, places) = both.f_topk(self.k, 1, true, true)?;
        self.log_probs = self.log_probs.f_index_copy(0, rows, &kept)?;
        self.ids = self.ids.f_index_copy(0, rows, &both_ids.f_gather(1, &places, false)?)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
