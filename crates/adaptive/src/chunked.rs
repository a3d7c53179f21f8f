//! The chunked path: the head, then each cluster that a row visits, by ATen operations over chunks
//! of rows on any device, as one node of libtorch's graph.

use lexmax_output::chunked::{ChunkMemory, ChunkedSweep, RowLoss, Swept, sweep, values};
use lexmax_output::dense::wide;
use lexmax_output::fused::{Gradient, Gradients, Inputs};
use lexmax_output::{Batch, Linear, LogProb, Result, TrainingLoss};
use tch::Tensor;

use crate::partition::Partition;
use crate::parts::{HIDDEN, Parts, input_count, places};
use crate::smoothing::SmoothedEntries;

/// State of a layer on the chunked path.
#[derive(Debug)]
pub(crate) struct Chunked {
    memory: ChunkMemory,
    entries: SmoothedEntries,
}

/// One softmax of the layer, the head or a cluster, over the rows of a batch that visit it.
///
/// A row's loss is a sum over the softmaxes of losses of one form: without smoothing a cluster sees
/// the rows whose target it holds; with smoothing it sees all, the others with a weight of zero.
#[derive(Debug)]
struct Visit {
    /// Rows that visit, `[M]`, i64, rising; `None`: all of them.
    rows: Option<Tensor>,
    /// Targets of these rows within this softmax, `[M]`.
    targets: Tensor,
    loss: RowLoss,
}

impl Chunked {
    pub fn new(memory: ChunkMemory, entries: SmoothedEntries) -> Self {
        Self { memory, entries }
    }

    /// The training loss with all shared options.
    pub fn loss(&self, of: Parts<'_>, batch: &Batch<'_>) -> Result<TrainingLoss> {
        let weights = batch.row_weights()?.as_ref().map(wide).transpose()?;
        let smoothing = self.entries.spread.smoothing;
        let sweep = self.sweep(of.partition, &batch.targets, weights.as_ref(), smoothing)?;
        Ok(TrainingLoss::exact(batch.chunked_loss(sweep, &of.inputs(&batch.hidden))?))
    }

    /// Log-probabilities of the targets, `[N]`.
    pub fn log_prob(&self, of: Parts<'_>, hidden: &Tensor, targets: &Tensor) -> Result<LogProb> {
        let sweep = self.sweep(of.partition, targets, None, 0.0)?;
        Ok(LogProb::from_normalised(values(sweep, &of.inputs(hidden))?.f_neg()?))
    }

    /// The visits of the head and of each cluster, for rows with these targets and weights.
    fn sweep(
        &self,
        partition: &Partition,
        targets: &Tensor,
        weights: Option<&Tensor>,
        label_smoothing: f64,
    ) -> Result<AdaptiveSweep> {
        let routing = partition.route(targets)?;
        let loss = |part: usize, row_weights: Option<Tensor>| RowLoss {
            label_smoothing,
            smoothed_classes: i64::try_from(self.entries.spread.classes).unwrap_or(i64::MAX),
            class_weights: self.entries.weights.get(part).and_then(Option::as_ref).map(Tensor::shallow_clone),
            row_weights,
            ..RowLoss::default()
        };
        let head = loss(0, weights.map(Tensor::shallow_clone));
        let head = Visit { rows: None, targets: routing.head, loss: head };
        let mut clusters = Vec::new();
        for (part, (cluster, rows)) in (1..).zip(partition.clusters.iter().zip(routing.rows)) {
            let within = targets.f_index_select(0, &rows)?.f_sub_scalar(cluster.start)?;
            let own = weights.map(|weights| weights.f_index_select(0, &rows)).transpose()?;
            if label_smoothing == 0.0 {
                clusters.push(Visit { rows: Some(rows), targets: within, loss: loss(part, own) });
                continue;
            }
            let kind = self.entries.kind;
            let own = match own {
                Some(own) => own,
                None => Tensor::f_ones(rows.size(), (kind, targets.device()))?,
            };
            let of_all = Tensor::f_zeros(targets.size(), (kind, targets.device()))?;
            clusters.push(Visit {
                targets: targets.f_zeros_like()?.f_index_copy(0, &rows, &within)?,
                loss: loss(part, Some(of_all.f_index_copy(0, &rows, &own)?)),
                rows: None,
            });
        }
        Ok(AdaptiveSweep { head, clusters, memory: self.memory })
    }
}

impl Visit {
    /// The entries of the rows that visit, of one for each row of the batch.
    fn select(&self, of_batch: &Tensor) -> Result<Tensor> {
        Ok(match &self.rows {
            None => of_batch.shallow_clone(),
            Some(rows) => of_batch.f_index_select(0, rows)?,
        })
    }

    /// Adds entries of the rows that visit to those of the batch's rows.
    fn add(&self, of_batch: &mut Tensor, own: &Tensor) -> Result<()> {
        let _ = match &self.rows {
            None => of_batch.f_add_(own)?,
            Some(rows) => of_batch.f_index_add_(0, rows, own)?,
        };
        Ok(())
    }
}

/// Loss of each row of a batch.
#[derive(Debug)]
struct AdaptiveSweep {
    head: Visit,
    clusters: Vec<Visit>,
    memory: ChunkMemory,
}

impl AdaptiveSweep {
    /// Sweeps one cluster; adds to the losses of the batch's rows, and sets or adds to the
    /// gradients.
    fn cluster(
        &self,
        index: usize,
        inputs: &Inputs,
        upstream: Option<&Tensor>,
        wanted: &dyn Fn(usize) -> bool,
        (losses, gradients): (&mut Tensor, &mut Gradients),
    ) -> Result<()> {
        let (visit, places) = (&self.clusters[index], places(index));
        if visit.targets.numel() == 0 {
            // No row reads these parameters: zeros, so that no optimizer takes them for forgotten.
            for place in places.into_iter().filter(|place| wanted(*place)) {
                let zeros = inputs.get(place).map(Tensor::f_zeros_like).transpose()?;
                gradients[place] = zeros.map(Gradient::from);
            }
            return Ok(());
        }
        let [projection, weight, bias] = places;
        let (hidden, through) = (visit.select(inputs.tensor(HIDDEN)?)?, inputs.tensor(projection)?);
        let projected = hidden.f_mm(&through.f_tr()?)?;
        let linear = Linear::new(&projected, inputs.tensor(weight)?, inputs.get(bias));
        let own = [wanted(HIDDEN) || wanted(projection), wanted(weight), wanted(bias)];
        let upstream = upstream.map(|upstream| visit.select(upstream)).transpose()?;
        let swept = sweep(linear, None, &visit.targets, &visit.loss, upstream.as_ref(), own, self.memory)?;
        visit.add(losses, &swept.losses)?;
        let mut made = swept.gradients.into_iter();
        if let Some(d_projected) = made.next().flatten() {
            if wanted(projection) {
                gradients[projection] = Some(d_projected.values.f_tr()?.f_mm(&hidden)?.into());
            }
            if let Some(d_hidden) = &mut gradients[HIDDEN] {
                visit.add(&mut d_hidden.values, &d_projected.values.f_mm(through)?)?;
            }
        }
        gradients[weight] = made.next().flatten();
        gradients[bias] = made.next().flatten();
        Ok(())
    }
}

impl ChunkedSweep for AdaptiveSweep {
    const NAME: &'static str = "chunked adaptive cross-entropy";

    fn rows(&self) -> i64 {
        self.head.targets.size()[0]
    }

    fn sweep(
        &self,
        inputs: &Inputs,
        upstream: Option<&Tensor>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        let (head, clusters) = (&self.head, self.clusters.len());
        let wanted = |place: usize| upstream.is_some() && wanted.get(place) == Some(&true);
        let linear = Linear::new(inputs.tensor(HIDDEN)?, inputs.tensor(1)?, inputs.get(2));
        let own = [0, 1, 2].map(wanted);
        let Swept { mut losses, mut gradients } =
            sweep(linear, None, &head.targets, &head.loss, upstream, own, self.memory)?;
        gradients.resize_with(input_count(clusters), || None);
        for index in 0..clusters {
            self.cluster(index, inputs, upstream, &wanted, (&mut losses, &mut gradients))?;
        }
        Ok((losses, gradients))
    }

    fn watched(&self) -> Vec<&Tensor> {
        // Targets of a cluster are copies, those of the head are the caller's where there is none.
        [&self.head].into_iter().chain(&self.clusters).map(|visit| &visit.targets).collect()
    }
}
