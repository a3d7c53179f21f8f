//! The fused path of both layers: log-probabilities of targets by the kernels, as nodes of
//! libtorch's graph.

use lexmax_output::fused::{ByKind, Factor, Node, Sweep, Workspaces};
use lexmax_output::{Batch, BuildContext, Result, TrainingLoss};
use tch::{Kind, Tensor};

/// State of a layer on the fused path: the workspaces of its kernel, and the layout of its
/// gradients.
#[derive(Debug)]
pub(crate) struct Fused<W: Workspaces> {
    pub workspaces: ByKind<W>,
    /// Whether gradients of rows stay rows.
    sparse: bool,
}

impl<W: Workspaces> Fused<W> {
    /// The fused path, where the context takes it.
    pub fn new(context: &BuildContext<'_>, workspaces: W) -> Option<Self> {
        let sparse = context.sparse_gradients;
        context.is_fused().then(|| Self { workspaces: ByKind::new(workspaces), sparse })
    }

    /// Whether gradients of rows stay rows.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// `log p` of each row's target, `[M]`; differentiable. The backward pass sweeps again, since
    /// only then the factor of each row is known.
    pub fn log_prob<S: Sweep>(&self, sweep: S, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        self.node(sweep, Factor::OfEachRow, inputs)
    }

    /// The training loss of a batch. For the reductions `mean` and `sum` its gradients come from
    /// the sweeps that make it. `every` is the sweep over all words, for label smoothing.
    pub fn loss<S: Sweep, E: Sweep>(
        &self,
        batch: &Batch<'_>,
        of_targets: S,
        every: Option<E>,
        inputs: &[Option<&Tensor>],
    ) -> Result<TrainingLoss> {
        let smoothing = batch.label_smoothing();
        let spread = smoothing / batch.vocab_size() as f64;
        let Factor::Known(factor) = batch.factor()? else {
            let of_targets = self.log_prob(of_targets, inputs)?;
            let of_all = every.map(|every| self.log_prob(every, inputs)).transpose()?;
            return batch.smoothed(&of_targets, of_all.as_ref());
        };
        // The nodes give `log p`, the loss is its negative.
        let own = (smoothing - 1.0) * factor;
        let of_target = match batch.row_weights()? {
            None => Factor::Known(own),
            // Rounded to the dtype of the parameters, as the kernels take factors of rows.
            Some(weights) => {
                Factor::Rows(Vec::try_from(weights.f_mul_scalar(own)?.f_to_kind(Kind::Double)?)?)
            }
        };
        let mut loss = self.node(of_targets, of_target, inputs)?;
        if let Some(every) = every {
            loss = loss.f_add(&self.node(every, Factor::Known(-spread * factor), inputs)?)?;
        }
        Ok(TrainingLoss::exact(loss))
    }

    fn node<S: Sweep>(&self, sweep: S, factor: Factor, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Node::new(sweep, factor).with_sparse_gradients(self.sparse).apply(inputs)
    }
}
