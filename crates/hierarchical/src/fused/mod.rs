//! The fused path: log-probabilities of targets by the kernels, as one node of libtorch's graph.
//!
//! Both layers use the same [node](node); each brings its [`Sweep`], a kernel with the batch that it was prepared for.

mod node;

use lexmax_autograd::Result as NodeResult;
use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::{paths, two_level};
use lexmax_output::fused::{self, FusedKind, Kept};
use lexmax_output::{Batch, BuildContext, OutputError, Result, TrainingLoss};
use tch::Tensor;

use node::{Factor, Node};

/// What a layer on the fused path keeps: workspaces of its kernels, and the layout of its gradients.
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    single: Workspaces<f32>,
    double: Workspaces<f64>,
    /// Whether gradients of rows stay rows.
    sparse: bool,
}

/// Workspaces for one kind of numbers, made when they are first used.
#[derive(Debug)]
pub(crate) struct Workspaces<T> {
    pub paths: Kept<paths::Workspace<T>>,
    two_level: Kept<two_level::Workspace<T>>,
    /// Of the sweeps over classes, where it was given; paths have none.
    memory_limit: Option<usize>,
}

impl<T: TreeKind> Workspaces<T> {
    fn new(memory_limit: Option<usize>) -> Self {
        Self { paths: Kept::default(), two_level: Kept::default(), memory_limit }
    }

    /// Runs a call with the workspace of two levels.
    pub fn with_two_level<R>(&self, run: impl FnOnce(&mut two_level::Workspace<T>) -> R) -> R {
        let new = |threads| {
            let workspace = two_level::Workspace::new(threads);
            match self.memory_limit {
                Some(bytes) => workspace.with_memory_limit(bytes),
                None => workspace,
            }
        };
        self.two_level.with(new, run)
    }
}

impl<T> Clone for Workspaces<T> {
    fn clone(&self) -> Self {
        let Self { paths, two_level, memory_limit } = self;
        Self { paths: paths.clone(), two_level: two_level.clone(), memory_limit: *memory_limit }
    }
}

/// The kinds that the fused path computes in: f32 and f64.
pub(crate) trait TreeKind: FusedKind + paths::PathElement {
    fn workspaces(fused: &Fused) -> &Workspaces<Self>;
}

impl TreeKind for f32 {
    fn workspaces(fused: &Fused) -> &Workspaces<Self> {
        &fused.single
    }
}

impl TreeKind for f64 {
    fn workspaces(fused: &Fused) -> &Workspaces<Self> {
        &fused.double
    }
}

impl Fused {
    /// The fused path, where the context takes it.
    pub fn of(context: &BuildContext<'_>) -> Option<Self> {
        let (sparse, limit) = (context.sparse_gradients, context.workspace_bytes);
        let fused = || Self { single: Workspaces::new(limit), double: Workspaces::new(limit), sparse };
        context.is_fused().then(fused)
    }

    /// Whether gradients of rows stay rows.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// `log p` of each row's target, `[M]`; differentiable. The backward pass sweeps again, since only then the factor of each row
    /// is known.
    pub fn log_prob<S: Sweep>(&self, sweep: S, inputs: &[Option<&Tensor>]) -> Result<Tensor> {
        Node::new(sweep, Factor::OfEachRow, self).apply(inputs)
    }

    /// The training loss of a batch. For the reductions `mean` and `sum` its gradients come from the sweeps that make it. `every` is the
    /// sweep over all words, for label smoothing.
    pub fn loss<S: Sweep, E: Sweep>(
        &self,
        batch: &Batch<'_>,
        of_targets: S,
        every: Option<E>,
        inputs: &[Option<&Tensor>],
    ) -> Result<TrainingLoss> {
        let smoothing = batch.label_smoothing();
        let spread = smoothing / batch.vocab_size() as f64;
        let fused::Factor::Known(factor) = batch.factor()? else {
            let of_targets = self.log_prob(of_targets, inputs)?;
            let of_all = every.map(|every| self.log_prob(every, inputs)).transpose()?;
            return batch.smoothed(&of_targets, of_all.as_ref());
        };
        // The nodes give `log p`, the loss is its negative.
        let kept = (smoothing - 1.0) * factor;
        let of_target = match batch.row_weights()? {
            None => Factor::Same(kept),
            Some(weights) => Factor::Rows(weights.f_mul_scalar(kept)?.f_contiguous()?),
        };
        let mut loss = Node::new(of_targets, of_target, self).apply(inputs)?;
        if let Some(every) = every {
            loss = loss.f_add(&Node::new(every, Factor::Same(-spread * factor), self).apply(inputs)?)?;
        }
        Ok(TrainingLoss::exact(loss))
    }
}

/// A kernel with the batch that it was prepared for. The first input of its node is the hidden states. A sweep over all words gives
/// `sum_w c_w log p(w)` where the comments say `log p`.
pub(crate) trait Sweep: Send + 'static {
    /// Names the node in errors.
    const NAME: &'static str;

    /// `log p` of the rows.
    fn log_prob<T: TreeKind>(&self, inputs: &Inputs, workspaces: &Workspaces<T>) -> NodeResult<Vec<f64>>;

    /// `log p` of the rows, and the gradients of `sum_i upstream_i log p_i` by the inputs that are wanted, one entry for each
    /// input.
    fn gradients<T: TreeKind>(
        &self,
        inputs: &Inputs,
        upstream: Upstream<'_, T>,
        wanted: &[bool],
        workspaces: &Workspaces<T>,
    ) -> NodeResult<(Vec<f64>, Vec<Option<Gradient>>)>;
}

/// A gradient by one input.
pub(crate) struct Gradient {
    /// Which rows of the input `values` are for, `[R]`, rising; all of them where there is nothing.
    pub rows: Option<Tensor>,
    /// `[R, ...]`.
    pub values: Tensor,
}

/// The inputs of a node, contiguous; some may be missing.
pub(crate) struct Inputs(Vec<Option<Tensor>>);

impl Inputs {
    fn of<'a>(inputs: impl Iterator<Item = Option<&'a Tensor>>) -> Result<Self> {
        let contiguous = |input: Option<&Tensor>| input.map(Tensor::f_contiguous).transpose();
        Ok(Self(inputs.map(contiguous).collect::<std::result::Result<_, _>>()?))
    }

    fn get(&self, index: usize) -> Option<&Tensor> {
        self.0.get(index).and_then(Option::as_ref)
    }

    /// An input that must be there.
    pub fn tensor(&self, index: usize) -> Result<&Tensor> {
        let missing =
            || OutputError::fused(format!("input {index} of a fused node is missing, expected a tensor"));
        self.get(index).ok_or_else(missing)
    }

    /// The numbers of an input that must be there.
    pub fn slice<T: TreeKind>(&self, index: usize) -> Result<&[T]> {
        Ok(slice(self.tensor(index)?)?)
    }

    /// The numbers of an input, where it is there.
    pub fn optional<T: TreeKind>(&self, index: usize) -> Result<Option<&[T]>> {
        Ok(self.get(index).map(slice).transpose()?)
    }

    /// Room for the gradient by an input, where that is there and wanted: for the given rows or for all.
    pub fn room(&self, index: usize, wanted: &[bool], rows: Option<&Tensor>) -> Result<Option<Gradient>> {
        let Some(input) = self.get(index).filter(|_| wanted.get(index) == Some(&true)) else {
            return Ok(None);
        };
        let mut shape = input.size();
        if let (Some(rows), Some(first)) = (rows, shape.first_mut()) {
            *first = rows.size()[0];
        }
        // Empty is enough: the kernels overwrite all of it.
        let values = Tensor::f_empty(shape, (input.kind(), input.device()))?;
        Ok(Some(Gradient { rows: rows.map(Tensor::shallow_clone), values }))
    }
}
