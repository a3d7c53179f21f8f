//! A chunked computation as what a node computes.

use lexmax_kernels::linear_ce::Upstream;
use tch::{Kind, Tensor};

use crate::Result;
use crate::dense::wide_kind;
use crate::fused::{Gradients, Inputs};
use crate::node::TensorSweep;

/// A computation in chunks of rows, with the batch that it was prepared for: one value for each row
/// from the inputs of a node, the hidden states first.
pub trait ChunkedSweep: Send + 'static {
    /// Name of the node in errors.
    const NAME: &'static str;

    /// Number of rows, `M`.
    fn rows(&self) -> i64;

    /// The value of each row, `[M]`, and, where factors `upstream` `[M]` of the rows are given, the
    /// gradients of `sum_i upstream_i value_i` by the inputs that are wanted, one entry for each
    /// input. Values and factors are f32 for half precision.
    ///
    /// # Errors
    /// libtorch refused.
    fn sweep(
        &self,
        inputs: &Inputs,
        upstream: Option<&Tensor>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)>;

    /// Tensors beside the inputs that a later sweep reads: a change of them in place between the
    /// passes is an error.
    fn watched(&self) -> Vec<&Tensor>;
}

/// A [`ChunkedSweep`] in a node.
#[derive(Debug)]
pub(crate) struct InNode<S>(pub S);

impl<S: ChunkedSweep> InNode<S> {
    /// Factors of the rows, `[M]`, beside the inputs.
    fn factors(&self, inputs: &Inputs, upstream: Upstream<'_, f64>) -> Result<Tensor> {
        let hidden = inputs.tensor(0)?;
        let (kind, device) = (wide_kind(hidden.kind()), hidden.device());
        Ok(match upstream {
            Upstream::Same(factor) => Tensor::f_full([self.0.rows()], factor, (kind, device))?,
            Upstream::Rows(factors) => Tensor::f_from_slice(factors)?.f_to_kind(kind)?.f_to(device)?,
        })
    }
}

impl<S: ChunkedSweep> TensorSweep for InNode<S> {
    const NAME: &'static str = S::NAME;

    fn values(&mut self, inputs: &Inputs) -> Result<Tensor> {
        Ok(self.0.sweep(inputs, None, &[])?.0)
    }

    fn total_and_gradients(
        &mut self,
        inputs: &Inputs,
        upstream: Upstream<'_, f64>,
        wanted: &[bool],
    ) -> Result<(Tensor, Gradients)> {
        let factors = self.factors(inputs, upstream)?;
        let used = wanted.contains(&true).then_some(&factors);
        let (values, gradients) = self.0.sweep(inputs, used, wanted)?;
        Ok((values.f_mul(&factors)?.f_sum(None::<Kind>)?, gradients))
    }

    fn gradients(&mut self, inputs: &Inputs, upstream: &Tensor, wanted: &[bool]) -> Result<Gradients> {
        let upstream = upstream.f_to_kind(wide_kind(inputs.tensor(0)?.kind()))?;
        Ok(self.0.sweep(inputs, Some(&upstream), wanted)?.1)
    }

    fn watched(&self) -> Vec<&Tensor> {
        self.0.watched()
    }
}
