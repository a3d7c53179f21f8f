//! Sums of probabilities over blocks of words: exact draws from distributions that no table holds.

use lexmax_kernels::seed::Generator;
use rand::RngExt;

/// Words of a block. A draw computes the probabilities of one block, and a context keeps one number
/// for each block.
pub(super) const BLOCK: usize = 256;

/// For each context, the probabilities summed up to the end of each block of words.
///
/// A draw inverts the distribution function: a binary search finds the block, and the probabilities
/// of its words, computed again, the word. Sums are made in the order of the words both times, so
/// that they have the same bits, and a word is drawn with its probability in f64. Cost of a draw:
/// O(log V + 256 rank). Memory: 8 bytes for 256 words in a context.
pub(super) struct Blocks {
    vocab_size: usize,
    /// `[C, ceil(V / BLOCK)]`
    ends: Vec<f64>,
}

impl Blocks {
    /// No contexts yet, with room for `contexts`.
    pub(super) fn with_capacity(contexts: usize, vocab_size: usize) -> Blocks {
        Blocks { vocab_size, ends: Vec::with_capacity(contexts * vocab_size.div_ceil(BLOCK)) }
    }

    /// Adds the next context by the probabilities `[V]` of its words.
    pub(super) fn add_context(&mut self, probs: &[f64]) {
        let mut sum = 0.0;
        for block in probs.chunks(BLOCK) {
            for prob in block {
                sum += prob;
            }
            self.ends.push(sum);
        }
    }

    /// Draws a word of a context, whose words have the probabilities `prob`: those that the context
    /// was added by, to the last bit.
    pub(super) fn sample(&self, context: usize, rng: &mut Generator, prob: impl Fn(usize) -> f64) -> usize {
        let blocks = self.vocab_size.div_ceil(BLOCK);
        let ends = &self.ends[context * blocks..][..blocks];
        // Rounding leaves the whole a little beside 1.
        let whole = ends.last().copied().unwrap_or(1.0);
        let point = rng.random::<f64>() * whole;
        // The product may round up to the whole itself.
        let block = ends.partition_point(|&end| end <= point).min(blocks - 1);
        let mut sum = if block == 0 { 0.0 } else { ends[block - 1] };
        let words = block * BLOCK..self.vocab_size.min((block + 1) * BLOCK);
        let mut last = words.start;
        for word in words {
            let prob = prob(word);
            sum += prob;
            if point < sum {
                return word;
            }
            if prob > 0.0 {
                last = word;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lexmax_kernels::seed::generator;

    #[test]
    fn words_are_drawn_with_their_probabilities_in_every_context() {
        // Two whole blocks and a part of one, with words that are never drawn.
        let vocab_size = 2 * BLOCK + 100;
        let probs = |context: usize| -> Vec<f64> {
            let weight = |word: usize| if word % 7 == context { 0.0 } else { 1.0 + (word % 5) as f64 };
            let sum: f64 = (0..vocab_size).map(weight).sum();
            (0..vocab_size).map(|word| weight(word) / sum).collect()
        };
        let mut blocks = Blocks::with_capacity(2, vocab_size);
        (0..2).for_each(|context| blocks.add_context(&probs(context)));
        for context in 0..2 {
            let probs = probs(context);
            let mut rng = generator(3, "test", context as u64);
            let draws = 400_000;
            let mut counts = vec![0_u32; vocab_size];
            for _ in 0..draws {
                counts[blocks.sample(context, &mut rng, |word| probs[word])] += 1;
            }
            let mut chi_square = 0.0;
            for (&count, prob) in counts.iter().zip(&probs) {
                let expected = prob * f64::from(draws);
                match expected > 0.0 {
                    true => chi_square += (f64::from(count) - expected).powi(2) / expected,
                    false => assert_eq!(count, 0, "a word of probability 0"),
                }
            }
            let freedom = probs.iter().filter(|&&prob| prob > 0.0).count() as f64 - 1.0;
            // Five standard deviations.
            assert!((chi_square - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{chi_square} {freedom}");
        }
    }
}
