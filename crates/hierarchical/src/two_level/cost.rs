//! The cost of two levels, counted from sizes and class probabilities.

use lexmax_output::{Cost, LayerCost};
use tch::Tensor;

use super::TwoLevel;
use crate::fused::Fused;

impl TwoLevel {
    /// Cost of a step, with the expected number of words in the targets' classes.
    pub(super) fn counted(&self, rows: u64) -> LayerCost {
        let (n, d, c) = (rows as f64, self.loss.hidden_size() as f64, self.classes.count() as f64);
        let size = self.weight.kind().elt_size_in_bytes() as f64;
        let (mut mean_size, mut touched) = (0.0, 0.0);
        for (words, prob) in self.classes.sizes().into_iter().zip(&self.class_probs) {
            mean_size += prob * words as f64;
            // A class is read when one of the n targets lies in it.
            touched += words as f64 * (1.0 - (1.0 - prob).powf(n));
        }
        let words =
            Cost { flops: 2.0 * n * d * mean_size, bytes: size * (n * d + touched * d + n * mean_size) };
        let forward = Cost::product(n, d, c, size) + words;
        let numel = |bias: &Option<Tensor>| bias.as_ref().map_or(0, Tensor::numel);
        let of_words = self.weight.numel() + numel(&self.bias);
        let parameters = of_words + self.class_weight.numel() + numel(&self.class_bias);
        // A dense gradient is written whole.
        let dense = !self.fused.as_ref().is_some_and(Fused::is_sparse);
        let dense_gradient = Cost { flops: 0.0, bytes: if dense { size * of_words as f64 } else { 0.0 } };
        // Label smoothing looks at every word of every class with every row.
        let every = match self.loss.needs_all_classes() {
            true => Cost::product(n, d, c + self.loss.vocab_size() as f64, size),
            false => Cost::default(),
        };
        LayerCost {
            train: (forward + every).with_gradients() + dense_gradient,
            eval: forward,
            parameters: parameters as u64,
        }
    }
}
