//! The fused path: loss, gradients and log-probabilities of the targets in one sweep over each
//! softmax that a row visits, as one node of libtorch's graph. Logits `[N, S + m]` or `[M, |C_i|]`
//! are never made whole.

mod part;
mod sweep;

use lexmax_autograd::cpu::slice;
use lexmax_kernels::product::Precision;
use lexmax_output::fused::{Factor, Node, Scratch};
use lexmax_output::{Batch, LogProb, Result, TrainingLoss};
use tch::{Kind, Tensor};

use crate::partition::Partition;
use crate::parts::Parts;
use crate::smoothing::{SmoothedEntries, Smoothing};
use part::Part;
use sweep::AdaptiveSweep;

/// State of a layer on the fused path.
#[derive(Debug)]
pub(crate) struct Fused {
    /// The workspace of all sweeps, head and clusters in turn.
    pub scratch: Scratch,
    sparse_gradients: bool,
    entries: SmoothedEntries,
}

impl Fused {
    pub fn new(scratch: Scratch, sparse_gradients: bool, entries: SmoothedEntries) -> Self {
        Self { scratch, sparse_gradients, entries }
    }

    /// The training loss with all shared options.
    pub fn loss(&self, of: Parts<'_>, batch: &Batch<'_>) -> Result<TrainingLoss> {
        let weights = batch.row_weights()?.map(|weights| weights.f_to_kind(Kind::Double)).transpose()?;
        let weights = weights.as_ref().map(slice::<f64>).transpose()?;
        let parts =
            self.visits(of.partition, &batch.targets, weights, self.entries.spread.smoothing > 0.0)?;
        let sweep = self.sweep(parts, self.entries.spread, batch.precision());
        let output = self.run(of, &batch.hidden, sweep, batch.factor()?)?;
        Ok(TrainingLoss::exact(batch.loss_from_node(&output)?))
    }

    /// Log-probabilities of the targets, `[N]`.
    pub fn log_prob(&self, of: Parts<'_>, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        let parts = self.visits(of.partition, targets, None, false)?;
        let spread = Smoothing { smoothing: 0.0, ..self.entries.spread };
        let sweep = self.sweep(parts, spread, Precision::Full);
        let losses = self.run(of, hidden, sweep, Factor::OfEachRow)?;
        Ok(LogProb::from_normalised(losses.f_neg()?))
    }

    /// The rows, targets and weights of each softmax, the head's first. Without smoothing a cluster
    /// sees the rows whose target it holds; with smoothing it sees all, the others with a weight of
    /// zero.
    fn visits(
        &self,
        partition: &Partition,
        targets: &Tensor,
        weights: Option<&[f64]>,
        smoothed: bool,
    ) -> Result<Vec<Part>> {
        let targets = targets.f_contiguous()?;
        let targets = slice::<i64>(&targets)?;
        let mut parts: Vec<Part> = Vec::new();
        parts.resize_with(1 + partition.clusters.len(), Part::default);
        let (head, clusters) = parts.split_at_mut(1);
        // With smoothing the entries have weights of their own, which must not become those of the
        // targets.
        let one_each = smoothed.then(|| vec![1.0; targets.len()]);
        head[0].weights = weights.map(<[f64]>::to_vec).or(one_each);
        for part in clusters.iter_mut() {
            if smoothed {
                part.targets = vec![0; targets.len()];
                part.weights = Some(vec![0.0; targets.len()]);
            } else {
                part.rows = Some(Vec::new());
                part.weights = weights.map(|_| Vec::new());
            }
        }
        for (row, &target) in targets.iter().enumerate() {
            let Some(index) = partition.cluster_of(target) else {
                head[0].targets.push(target);
                continue;
            };
            head[0].targets.push(partition.shortlist + index as i64);
            let (part, within) = (&mut clusters[index], target - partition.clusters[index].start);
            let weight = weights.map_or(1.0, |weights| weights[row]);
            match &mut part.rows {
                None => {
                    part.targets[row] = within;
                    part.weights.iter_mut().for_each(|weights| weights[row] = weight);
                }
                Some(rows) => {
                    rows.push(row);
                    part.targets.push(within);
                    part.weights.iter_mut().for_each(|weights| weights.push(weight));
                }
            }
        }
        if smoothed {
            for (part, weights) in parts.iter_mut().zip(&self.entries.weights) {
                part.spread = weights.as_ref().map(Tensor::shallow_clone);
            }
        }
        Ok(parts)
    }

    fn sweep(&self, mut parts: Vec<Part>, spread: Smoothing, precision: Precision) -> AdaptiveSweep {
        let (clusters, scratch) = (parts.split_off(1), self.scratch.at(precision));
        AdaptiveSweep { head: parts.remove(0), clusters, spread, scratch }
    }

    fn run(&self, of: Parts<'_>, hidden: &Tensor, sweep: AdaptiveSweep, factor: Factor) -> Result<Tensor> {
        Node::new(sweep, factor).with_sparse_gradients(self.sparse_gradients).apply(&of.inputs(hidden))
    }
}
