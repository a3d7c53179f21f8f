//! The fused path: loss and gradients of the touched rows by `lexmax_kernels::sampled`, as one
//! node of libtorch's graph.

use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::product::ProductLibrary;
use lexmax_kernels::sampled::{self, Candidates, Negatives, Workspace};
use lexmax_output::fused::{ByKind, Factor, FusedKind, Gradient, Gradients, Inputs, Node, Sweep, Workspaces};
use lexmax_output::{Batch, BuildContext, Linear, Result, TrainingLoss};
use tch::Tensor;

use crate::Objective;

/// State of a layer on the fused path.
#[derive(Debug)]
pub(crate) struct Fused {
    training: ByKind<Gathered>,
    /// Whether gradients of weight and bias stay rows.
    sparse: bool,
}

/// Makes workspaces of the training loss.
#[derive(Debug, Clone, Copy)]
struct Gathered {
    products: ProductLibrary,
}

impl Workspaces for Gathered {
    type Of<T: FusedKind> = Workspace<T>;

    fn for_threads<T: FusedKind>(&self, threads: usize) -> Workspace<T> {
        Workspace::new(threads).with_products(self.products)
    }
}

impl Fused {
    /// Gradients of weight and bias are row-sparse where the context says so.
    ///
    /// # Errors
    /// As [`BuildContext::product_library`].
    pub(crate) fn new(context: &BuildContext<'_>) -> Result<Self> {
        let products = context.precision.library(context.product_library()?);
        let training = ByKind::new(Gathered { products });
        Ok(Self { training, sparse: context.sparse_gradients })
    }

    /// Whether gradients of weight and bias stay rows.
    pub(crate) fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// The training loss of a batch with targets `[M]` and the negatives that were drawn for it.
    ///
    /// For the reductions `mean` and `sum` gradients come from the same call as the loss; for
    /// `none` the backward pass computes them, since only then the factor of each row is known.
    pub(crate) fn loss(
        &self,
        batch: &Batch<'_>,
        linear: Linear<'_>,
        objective: Objective,
        targets: Vec<i64>,
        negatives: Negatives,
    ) -> Result<TrainingLoss> {
        let classes = usize::try_from(batch.vocab_size()).unwrap_or(0);
        let sweep = SampledSweep {
            candidates: Candidates::new(targets, negatives, classes)?,
            objective: objective.into(),
            workspaces: self.training.clone(),
        };
        let factor = batch.weighted_factor()?;
        let each_row = factor == Factor::OfEachRow;
        let node = Node::new(sweep, factor).with_sparse_gradients(self.sparse);
        let value = node.apply(&[Some(linear.hidden), Some(linear.weight), linear.bias])?;
        if each_row { batch.surrogate(&value) } else { Ok(TrainingLoss::surrogate(value)) }
    }
}

impl From<Objective> for sampled::Objective {
    fn from(objective: Objective) -> Self {
        match objective {
            Objective::SampledSoftmax => Self::Softmax,
            Objective::Nce => Self::Logistic { corrected: true },
            Objective::NegativeSampling => Self::Logistic { corrected: false },
            Objective::OneVsEach => Self::Pairwise,
        }
    }
}

/// Places of the inputs; the bias may be missing.
const HIDDEN: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;

/// Loss of each row of a batch, class weights not applied.
#[derive(Debug)]
struct SampledSweep {
    candidates: Candidates,
    objective: sampled::Objective,
    workspaces: ByKind<Gathered>,
}

impl Sweep for SampledSweep {
    const NAME: &'static str = "fused sampled loss";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let linear = inputs.linear::<T>([HIDDEN, WEIGHT, BIAS])?;
        let Self { candidates, objective, workspaces } = self;
        Ok(workspaces.with(|workspace| sampled::loss(linear, candidates, *objective, workspace))?)
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let linear = inputs.linear::<T>([HIDDEN, WEIGHT, BIAS])?;
        let Self { candidates, objective, workspaces } = self;
        let classes = Tensor::f_from_slice(candidates.classes())?;
        let mut hidden = inputs.gradient(HIDDEN, wanted, None)?;
        let mut weight = inputs.gradient(WEIGHT, wanted, Some(&classes))?;
        let mut bias = inputs.gradient(BIAS, wanted, Some(&classes))?;
        let into = sampled::Gradients {
            hidden: Gradient::elements(&mut hidden)?,
            weight: Gradient::elements(&mut weight)?,
            bias: Gradient::elements(&mut bias)?,
        };
        let same;
        let factors = match upstream {
            Upstream::Same(factor) => {
                same = vec![factor; candidates.rows()];
                &same
            }
            Upstream::Rows(factors) => factors,
        };
        let losses = workspaces.with(|workspace| {
            sampled::loss_and_gradients(linear, candidates, *objective, factors, into, workspace)
        })?;
        Ok((losses, vec![hidden, weight, bias]))
    }
}
