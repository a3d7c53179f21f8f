//! The conditional distributions of a synthetic language.

use lexmax_kernels::seed::{Generator, generator};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::options::SynthOptions;

/// log p(w | c) = base_w + scale u_c . v_w - log Z_c over base ranks w (from 0) and contexts c.
pub(crate) struct Language {
    seed: u64,
    rank: usize,
    classes: usize,
    order: usize,
    /// strength / sqrt(rank).
    scale: f64,
    /// `[V]`
    base: Vec<f64>,
    /// g(w), `[V]`
    class: Vec<u32>,
    /// u, `[C, rank]`
    context_vectors: Vec<f64>,
    /// v, `[V, rank]`
    word_vectors: Vec<f64>,
}

impl Language {
    pub(crate) fn new(options: &SynthOptions) -> Language {
        let SynthOptions { seed, vocab_size, classes, order, rank, .. } = *options;
        let mut class_rng = generator(seed, "synth.classes", 0);
        let base =
            (1..=vocab_size).map(|rank| -options.exponent * (rank as f64 + options.shift).ln()).collect();
        Language {
            seed,
            rank,
            classes,
            order,
            scale: options.strength / (rank as f64).sqrt(),
            base,
            class: (0..vocab_size).map(|_| class_rng.random_range(0..classes as u32)).collect(),
            context_vectors: context_vectors(options),
            word_vectors: normals(&mut generator(seed, "synth.words", 0), vocab_size * rank),
        }
    }

    /// The root seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// V.
    pub(crate) fn vocab_size(&self) -> usize {
        self.base.len()
    }

    /// C.
    pub(crate) fn contexts(&self) -> usize {
        self.context_vectors.len() / self.rank
    }

    /// M.
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// g(w).
    pub(crate) fn class(&self, word: usize) -> usize {
        self.class[word] as usize
    }

    /// The context after a word of class `class` in context `context`: the newest class is the most
    /// significant digit of a context's number to the base M.
    pub(crate) fn next_context(&self, context: usize, class: usize) -> usize {
        if self.order == 1 { class } else { class * self.classes + context / self.classes }
    }

    /// Log-probability before normalisation.
    pub(crate) fn score(&self, context: usize, word: usize) -> f64 {
        let context_vector = &self.context_vectors[context * self.rank..][..self.rank];
        let word_vector = &self.word_vectors[word * self.rank..][..self.rank];
        let product: f64 = context_vector.iter().zip(word_vector).map(|(u, v)| u * v).sum();
        self.base[word] + self.scale * product
    }

    /// The scores of all words in a context; returns log Z_c. `scores` is `[V]`.
    pub(crate) fn scores(&self, context: usize, scores: &mut [f64]) -> f64 {
        for (word, score) in scores.iter_mut().enumerate() {
            *score = self.score(context, word);
        }
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + scores.iter().map(|score| (score - largest).exp()).sum::<f64>().ln()
    }
}

/// u_c: per class and position, and per pair, weighted so that each is standard normal.
fn context_vectors(options: &SynthOptions) -> Vec<f64> {
    let SynthOptions { seed, classes, order, rank, .. } = *options;
    let contexts = options.contexts();
    let own = normals(&mut generator(seed, "synth.contexts", 0), contexts * rank);
    if order == 1 {
        return own;
    }
    let newest = normals(&mut generator(seed, "synth.positions", 0), classes * rank);
    let older = normals(&mut generator(seed, "synth.positions", 1), classes * rank);
    let own_weight = options.interaction().sqrt();
    let position_weight = ((1.0 - options.interaction()) / 2.0).sqrt();
    let value = |(index, own): (usize, f64)| {
        let (context, dimension) = (index / rank, index % rank);
        let positions =
            newest[context / classes * rank + dimension] + older[context % classes * rank + dimension];
        own_weight * own + position_weight * positions
    };
    own.into_iter().enumerate().map(value).collect()
}

fn normals(rng: &mut Generator, count: usize) -> Vec<f64> {
    rng.sample_iter(StandardNormal).take(count).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn language(options: SynthOptions) -> Language {
        options.validate().unwrap();
        Language::new(&options)
    }

    /// Rank by Gaussian elimination with full pivoting.
    fn matrix_rank(mut rows: Vec<Vec<f64>>) -> usize {
        let scale = rows.iter().flatten().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let mut rank = 0;
        while rank < rows.len() {
            let pivots =
                (rank..rows.len()).flat_map(|row| (0..rows[row].len()).map(move |column| (row, column)));
            let size = |&(row, column): &(usize, usize)| rows[row][column].abs();
            let (row, column) = pivots.max_by(|a, b| size(a).total_cmp(&size(b))).unwrap();
            if size(&(row, column)) <= 1e-10 * scale {
                break;
            }
            rows.swap(rank, row);
            let pivot = rows[rank].clone();
            for other in &mut rows[rank + 1..] {
                let factor = other[column] / pivot[column];
                other.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
            rank += 1;
        }
        rank
    }

    fn log_probs(language: &Language) -> Vec<Vec<f64>> {
        let mut scores = vec![0.0; language.vocab_size()];
        let row = |context| {
            let log_z = language.scores(context, &mut scores);
            scores.iter().map(|score| score - log_z).collect()
        };
        (0..language.contexts()).map(row).collect()
    }

    #[test]
    fn the_matrix_of_log_probabilities_has_the_rank_asked_for() {
        for (order, classes, rank) in [(1, 30, 1), (1, 30, 7), (2, 6, 3), (2, 6, 10)] {
            let options = SynthOptions { vocab_size: 60, classes, order, rank, ..SynthOptions::default() };
            let matrix = log_probs(&language(options));
            assert_eq!(matrix_rank(matrix.clone()), rank + 2, "order {order} rank {rank}");
            // Without what all contexts share and what all words of a context share, the product
            // alone is left.
            let centred = |row: &Vec<f64>| {
                let shift = row[0] - matrix[0][0];
                row.iter().zip(&matrix[0]).map(|(value, first)| value - first - shift).collect()
            };
            assert_eq!(matrix_rank(matrix.iter().map(centred).collect()), rank, "order {order} rank {rank}");
        }
        assert_eq!(matrix_rank(vec![vec![1.0, 2.0], vec![2.0, 4.0]]), 1);
    }

    #[test]
    fn contexts_are_normalised_and_strength_zero_is_zipf_mandelbrot() {
        let options = SynthOptions { vocab_size: 100, classes: 3, ..SynthOptions::default() };
        for row in log_probs(&language(options.clone())) {
            assert!((row.iter().map(|value| value.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let flat = SynthOptions { strength: 0.0, exponent: 1.2, shift: 3.0, ..options };
        for row in log_probs(&language(flat)) {
            assert!((row[0] - row[99] - 1.2 * (103.0_f64 / 4.0).ln()).abs() < 1e-12);
        }
    }

    /// Share of the variance of u that no sum of a row and a column term explains.
    fn interaction_of(language: &Language, classes: usize) -> f64 {
        let rank = language.rank;
        let u = |newest: usize, older: usize, k: usize| {
            language.context_vectors[(newest * classes + older) * rank + k]
        };
        let n = classes as f64;
        let (mut left, mut all) = (0.0, 0.0);
        for k in 0..rank {
            let row = |i: usize| (0..classes).map(|j| u(i, j, k)).sum::<f64>() / n;
            let column = |j: usize| (0..classes).map(|i| u(i, j, k)).sum::<f64>() / n;
            let mean = (0..classes).map(row).sum::<f64>() / n;
            for (i, j) in (0..classes).flat_map(|i| (0..classes).map(move |j| (i, j))) {
                left += (u(i, j, k) - row(i) - column(j) + mean).powi(2);
                all += u(i, j, k).powi(2);
            }
        }
        left / all
    }

    #[test]
    fn context_vectors_have_unit_variance_and_given_interaction() {
        for interaction in [0.0, 0.3, 1.0] {
            let options = SynthOptions {
                classes: 24,
                rank: 40,
                interaction: Some(interaction),
                ..SynthOptions::default()
            };
            let language = language(SynthOptions { vocab_size: 50, ..options });
            let u = &language.context_vectors;
            let variance = u.iter().map(|value| value * value).sum::<f64>() / u.len() as f64;
            assert!((variance - 1.0).abs() < 0.1, "{variance}");
            let found = interaction_of(&language, 24);
            // Of independent vectors, row and column means explain 1 - (23 / 24)^2.
            let expected = interaction * (23.0_f64 / 24.0).powi(2);
            assert!((found - expected).abs() < 0.05, "{found} {expected}");
        }
    }
}
