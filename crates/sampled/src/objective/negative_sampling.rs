//! Negative sampling, as in word2vec.

use lexmax_output::Result;
use tch::Tensor;

use super::logits::Logits;
use super::nce::binary_cross_entropies;

/// `-log s(z_y) - sum_s log s(-z_s)` of each row, `[N]`, with the logistic function `s` and the
/// bare logits.
///
/// NCE without the correction: its optimum is `z_c = log p_c - log E_c`, with the expected count
/// `E_c` of class `c` (`S q_c` with replacement): the association of class and context, and not the
/// log-probability of the class. The layer's distribution is therefore `softmax(z + log E)`. Paper:
/// Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
/// Compositionality", arXiv 1310.4546.
///
/// As in NCE, leaving accidental hits out turns `p_c` into the odds:
/// `z_c = log(p_c / (1 - p_c)) - log E_c`. The paper's formula keeps them, its code (word2vec)
/// leaves them out.
///
/// # Errors
/// libtorch refused.
pub fn rows(logits: &Logits) -> Result<Tensor> {
    binary_cross_entropies(logits)
}
