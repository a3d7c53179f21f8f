//! Filtered gradients: what is left out, by which rule, and what that amounts to.

/// Leaves classes out of the gradient sweep that no row of a chunk gives a probability above `eps`:
/// their logits' gradients count as zero. Targets are always kept, and the loss stays exact.
///
/// Rows are filtered a chunk at a time (up to 512 rows, as the plan cuts them), so the rule depends
/// on the memory limit: what is dropped is a part of the entries `(row, class)` with `p <= eps`,
/// never another one. The gradient of the logits, `p` at those entries, changes by `p` times the
/// row's factor, so that of a hidden state changes by at most `mass_i factor_i max_c |W_c|`, with
/// `mass_i` the probability dropped from row `i`; [`Filtered::dropped_mass`] measures it.
///
/// The idea is that of Cut Cross-Entropy (Wijmans et al. 2025, "Cut Your Losses in Large-Vocabulary
/// Language Models", arXiv 2411.09009), which filters blocks on a GPU; here the kept classes of a
/// block are gathered, and a block in which every row is below `eps` is not even computed again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter {
    /// The largest probability that is dropped, in `0..1`. Zero drops nothing, and gives the same
    /// bits as no filter.
    pub eps: f64,
    /// Whether gradients of weight and bias stay exact and only that of the hidden states is
    /// filtered (CCE-Kahan-FullC of the paper, for pretraining: a class that no row predicts still
    /// learns that). Saves up to one product of three instead of two.
    pub exact_weight: bool,
}

/// Probability and number of the gradient entries that a filter dropped.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Filtered {
    /// Probability of the dropped entries `(row, class)`, summed over all rows; per row it is this
    /// over the rows that count.
    pub dropped_mass: f64,
    /// Entries whose gradient was computed.
    pub kept: u64,
    /// All entries: rows that count times classes.
    pub entries: u64,
}

impl Filtered {
    /// Share of the entries that were kept; one where there are none.
    pub fn share_kept(&self) -> f64 {
        if self.entries == 0 { 1.0 } else { self.kept as f64 / self.entries as f64 }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.dropped_mass += other.dropped_mass;
        self.kept += other.kept;
        self.entries += other.entries;
    }
}
