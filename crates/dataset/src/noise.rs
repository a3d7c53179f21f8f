//! Label noise: training labels flipped evenly to other classes.

use lexmax_kernels::seed::generator;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::LabelNoise;

/// Flips `round(share * N)` of the labels, each to one of the other `classes` at random; the number
/// of flips. With one class there is no other.
pub(crate) fn flip(labels: &mut [u32], classes: &[u32], noise: &LabelNoise) -> u64 {
    if classes.len() < 2 {
        return 0;
    }
    let mut rng = generator(noise.seed, "label noise", 0);
    let mut rows: Vec<usize> = (0..labels.len()).collect();
    rows.shuffle(&mut rng);
    let count = (noise.share * labels.len() as f64 + 0.5) as usize;
    for &row in rows.iter().take(count) {
        // A draw of the others: the class in their last place stands for the label itself.
        let drawn = classes[rng.random_range(0..classes.len() - 1)];
        labels[row] = if drawn == labels[row] { classes[classes.len() - 1] } else { drawn };
    }
    count.min(labels.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_even_exact_and_never_to_the_label_itself() {
        let clean: Vec<u32> = (0..8000).map(|row| row % 4).collect();
        let mut noisy = clean.clone();
        let noise = LabelNoise { share: 0.25, seed: 3 };
        assert_eq!(flip(&mut noisy, &[0, 1, 2, 3], &noise), 2000);
        assert_eq!(clean.iter().zip(&noisy).filter(|(a, b)| a != b).count(), 2000);
        for from in 0..4 {
            for to in (0..4).filter(|&to| to != from) {
                let cell = clean.iter().zip(&noisy).filter(|(a, b)| (**a, **b) == (from, to)).count() as f64;
                // 2000 flips over 12 cells: within five standard deviations.
                assert!(
                    (cell - 2000.0 / 12.0).abs() < 5.0 * (2000.0_f64 / 12.0).sqrt(),
                    "{from} {to} {cell}"
                );
            }
        }
    }

    #[test]
    fn flips_follow_from_the_seed() {
        let flipped = |seed| {
            let mut labels = vec![0; 50];
            flip(&mut labels, &[0, 1], &LabelNoise { share: 0.5, seed });
            labels
        };
        assert_eq!(flipped(1), flipped(1));
        assert_ne!(flipped(1), flipped(2));
        let mut one_class = vec![0; 5];
        assert_eq!(flip(&mut one_class, &[0], &LabelNoise { share: 0.5, seed: 1 }), 0);
    }
}
