//! The two-level sweep for the fused node.

use lexmax_autograd::cpu::slice;
use lexmax_kernels::linear_ce::Upstream;
use lexmax_kernels::two_level::{self, Groups};
use lexmax_output::Result;
use lexmax_output::fused::{ByKind, FusedKind, Gradient, Gradients, Inputs, Sweep, Workspaces, in_kind};
use tch::Tensor;

use super::classes::Classes;

/// Places of the inputs; biases may be missing.
const HIDDEN: usize = 0;
const CLASS_WEIGHT: usize = 1;
const CLASS_BIAS: usize = 2;
const WEIGHT: usize = 3;
const BIAS: usize = 4;

/// Makes workspaces of sweeps over two levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassWorkspaces {
    /// Limit of the sweeps over classes in bytes, if one was given.
    pub memory_limit: Option<usize>,
}

impl Workspaces for ClassWorkspaces {
    type Of<T: FusedKind> = two_level::Workspace<T>;

    fn for_threads<T: FusedKind>(&self, threads: usize) -> two_level::Workspace<T> {
        let workspace = two_level::Workspace::new(threads);
        match self.memory_limit {
            Some(bytes) => workspace.with_memory_limit(bytes),
            None => workspace,
        }
    }
}

/// `log p` of each row's target, by the rows of a batch in groups of their target's class.
#[derive(Debug)]
pub(super) struct ClassSweep {
    groups: Groups,
    workspaces: ByKind<ClassWorkspaces>,
}

impl ClassSweep {
    pub fn new(classes: &Classes, targets: &Tensor, workspaces: &ByKind<ClassWorkspaces>) -> Result<Self> {
        let targets = targets.f_contiguous()?;
        let groups = Groups::new(classes.starts(), slice(&targets)?)?;
        Ok(Self { groups, workspaces: workspaces.clone() })
    }
}

/// The two softmaxes as the kernels see them.
pub(super) fn layer<T: FusedKind>(inputs: &Inputs) -> Result<two_level::TwoLevel<'_, T>> {
    let words = inputs.linear([HIDDEN, WEIGHT, BIAS])?;
    Ok(two_level::TwoLevel {
        hidden: words.hidden,
        class_weight: inputs.slice(CLASS_WEIGHT)?,
        class_bias: inputs.optional(CLASS_BIAS)?,
        weight: words.weight,
        bias: words.bias,
        hidden_size: words.hidden_size,
    })
}

/// Memory for the wanted gradients; those of the words for some of them, or for all.
pub(super) fn empty(inputs: &Inputs, wanted: &[bool], words: Option<&Tensor>) -> Result<Gradients> {
    // Every class is read by every row, so only the words have rows that were not.
    let empty = |index| inputs.gradient(index, wanted, words.filter(|_| index >= WEIGHT));
    [HIDDEN, CLASS_WEIGHT, CLASS_BIAS, WEIGHT, BIAS].into_iter().map(empty).collect()
}

/// The gradients as the kernels write them.
pub(super) fn into<T: FusedKind>(made: &mut Gradients) -> Result<two_level::Gradients<'_, T>> {
    let mut made = made.iter_mut().map(Gradient::elements);
    let mut next = || made.next().transpose().map(Option::flatten);
    let (hidden, class_weight, class_bias) = (next()?, next()?, next()?);
    Ok(two_level::Gradients { hidden, class_weight, class_bias, weight: next()?, bias: next()? })
}

impl Sweep for ClassSweep {
    const NAME: &'static str = "fused log-probabilities over two levels";

    fn values<T: FusedKind>(&mut self, inputs: &Inputs) -> Result<Vec<f64>> {
        let layer = layer::<T>(inputs)?;
        Ok(self.workspaces.with(|workspace| two_level::log_prob(layer, &self.groups, workspace))?)
    }

    fn values_and_gradients<T: FusedKind>(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Vec<f64>, Gradients)> {
        let (layer, mut factors) = (layer::<T>(inputs)?, Vec::new());
        let upstream = in_kind(upstream, &mut factors);
        let words: Vec<i64> = self.groups.words().map(|word| word as i64).collect();
        let words = Tensor::f_from_slice(&words)?;
        let mut made = empty(inputs, wanted, Some(&words))?;
        let into = into(&mut made)?;
        let log_prob = self.workspaces.with(|workspace| {
            two_level::log_prob_and_gradients(layer, &self.groups, upstream, into, workspace)
        })?;
        Ok((log_prob, made))
    }
}
