//! One cluster of the tail: a projection to its width and a softmax over its words.

use lexmax_output::dense::log_softmax;
use lexmax_output::{BuildContext, Cost, Linear, Result};
use tch::Tensor;

use crate::partition::Cluster;

/// Logits `W P h + b` of the words `start..start + size` of one cluster: `P` `[width, D]`, `W`
/// `[size, width]`.
#[derive(Debug)]
pub(crate) struct Tail {
    pub cluster: Cluster,
    projection: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Tail {
    pub fn new(context: &BuildContext<'_>, index: usize, cluster: Cluster, bias: bool) -> Result<Self> {
        let name = |part: &str| format!("tail.{index}.{part}");
        let Cluster { size, width, .. } = cluster;
        Ok(Self {
            cluster,
            projection: context.weight(&name("projection"), width, context.hidden_size)?,
            weight: context.weight(&name("weight"), size, width)?,
            bias: if bias { Some(context.bias(&name("bias"), size)?) } else { None },
        })
    }

    /// Hidden states `[M, D]` at the cluster's width, `[M, width]`.
    pub fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(hidden.f_linear(&self.projection, None::<&Tensor>)?)
    }

    /// The softmax over the words, of projected hidden states.
    pub fn linear<'a>(&'a self, projected: &'a Tensor) -> Linear<'a> {
        Linear::new(projected, &self.weight, self.bias.as_ref())
    }

    /// Logits `[M, size]` of hidden states `[M, D]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.linear(&self.project(hidden)?).logits()
    }

    /// Log-probabilities within the cluster, `[M, size]`: none is above zero, rounding included,
    /// because the largest logit is subtracted before the sum.
    pub fn log_softmax(&self, hidden: &Tensor) -> Result<Tensor> {
        log_softmax(&self.logits(hidden)?)
    }

    /// Cost of the forward products over `rows` rows.
    pub fn cost(&self, rows: f64, hidden_size: f64, element: f64) -> Cost {
        let (size, width) = (self.cluster.size as f64, self.cluster.width as f64);
        Cost::product(rows, hidden_size, width, element) + Cost::product(rows, width, size, element)
    }

    /// Projection, weight and bias.
    pub fn parameters(&self) -> [Option<&Tensor>; 3] {
        [Some(&self.projection), Some(&self.weight), self.bias.as_ref()]
    }
}
