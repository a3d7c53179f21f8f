//! The mean training loss over many windows: how much each of them counts.

use lexmax_output::{LossOptions, Reduction};
use serde::{Deserialize, Serialize};

/// Sum of training losses with the weight that it is divided by.
///
/// The mean over windows is the mean over their targets, not the mean of their means: a window with
/// few targets that count counts little.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct MeanLoss {
    /// Sum of the losses, in nats.
    pub sum: f64,
    /// Targets that count, by their class weights where the layer's own mean is weighted so.
    pub weight: f64,
}

impl MeanLoss {
    /// Loss of a batch as the layer reduces it, with the targets that it is of. Ignored targets
    /// count for nothing. With the reduction `mean` a target counts as its class weight, by which
    /// the layer has divided; with `sum` every one counts 1.
    ///
    /// The reduction `none` gives no single loss; it is refused before.
    pub fn of_batch(loss: f64, targets: impl Iterator<Item = u32>, options: &LossOptions) -> Self {
        let counted = targets.filter(|target| options.ignore_index != Some(i64::from(*target)));
        match (&options.class_weights, options.reduction) {
            (Some(weights), Reduction::Mean) => {
                let weight = counted.map(|target| weights.get(target as usize).copied().unwrap_or(0.0)).sum();
                Self { sum: loss * weight, weight }
            }
            (_, Reduction::Sum | Reduction::None) => Self { sum: loss, weight: counted.count() as f64 },
            (None, Reduction::Mean) => {
                let weight = counted.count() as f64;
                Self { sum: loss * weight, weight }
            }
        }
    }

    /// Adds the loss of further targets.
    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.weight += other.weight;
    }

    /// Mean in nats; `None` where no target counted.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over batches, each given as the loss that a layer returns and its targets.
    fn mean(options: &LossOptions, batches: &[(f64, &[u32])]) -> Option<f64> {
        let mut all = MeanLoss::default();
        for (loss, targets) in batches {
            all.add(MeanLoss::of_batch(*loss, targets.iter().copied(), options));
        }
        all.mean()
    }

    #[test]
    fn ignored_targets_count_for_nothing_whatever_the_reduction() {
        for (reduction, losses) in [(Reduction::Mean, [0.0, 2.0, 1.0]), (Reduction::Sum, [0.0, 8.0, 1.0])] {
            let options = LossOptions { ignore_index: Some(0), reduction, ..LossOptions::default() };
            let batches: [(f64, &[u32]); 3] =
                [(losses[0], &[0, 0, 0, 0]), (losses[1], &[1, 2, 3, 1]), (losses[2], &[0, 0, 3, 0])];
            // Four targets of 2 nats and one of 1.
            assert_eq!(mean(&options, &batches), Some(9.0 / 5.0), "{reduction:?}");
            assert_eq!(mean(&options, &batches[..1]), None, "{reduction:?}");
        }
    }

    #[test]
    fn class_weights_weigh_windows_as_the_layer_does() {
        let weights = Some(vec![1.0, 9.0, 0.5, 0.0]);
        let weighted = LossOptions { class_weights: weights.clone(), ..LossOptions::default() };
        // Weights 10 and 1.5: (10 x 3 + 1.5 x 5) / 11.5.
        assert_eq!(mean(&weighted, &[(3.0, &[0, 1]), (5.0, &[0, 2, 3])]), Some(37.5 / 11.5));
        assert_eq!(mean(&weighted, &[(0.0, &[3, 3])]), None);
        let summed = LossOptions { reduction: Reduction::Sum, ..weighted };
        assert_eq!(mean(&summed, &[(30.0, &[0, 1]), (7.5, &[0, 2, 3])]), Some(37.5 / 5.0));
    }
}
