//! The inner nodes of a binary tree: one vector and one bias each.

use lexmax_output::{BuildContext, Result};
use tch::{Kind, Tensor};

/// Parameters of the `V - 1` choices.
#[derive(Debug)]
pub(super) struct Nodes {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Nodes {
    pub fn new(context: &BuildContext<'_>, bias: bool) -> Result<Self> {
        let choices = context.vocab_size - 1;
        if choices == 0 {
            // Nothing to learn, and an empty variable is nothing that an optimizer or a file must
            // know.
            let weight = Tensor::f_zeros([0, context.hidden_size], (context.kind(), context.device()))?;
            return Ok(Self { weight, bias: None });
        }
        let weight = context.weight("weight", choices, context.hidden_size)?;
        let bias = if bias { Some(context.bias("bias", choices)?) } else { None };
        Ok(Self { weight, bias })
    }

    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    pub fn parameters(&self) -> u64 {
        (self.weight.numel() + self.bias.as_ref().map_or(0, Tensor::numel)) as u64
    }

    /// `v_t . h_t + b_t` for pairs of a hidden state and a node, `[T]` from `[T, D]` and `[T]`.
    pub fn logits(&self, hidden: &Tensor, nodes: &Tensor) -> Result<Tensor> {
        let products = self.weight.f_index_select(0, nodes)?.f_mul(hidden)?;
        let logits = products.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<Kind>)?;
        match &self.bias {
            Some(bias) => Ok(logits.f_add(&bias.f_index_select(0, nodes)?)?),
            None => Ok(logits),
        }
    }

    /// The logits of all nodes for all rows of hidden `[N, D]`, nodes first: `[V - 1, N]`.
    pub fn all_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.weight.f_matmul(&hidden.f_transpose(0, 1)?)?;
        match &self.bias {
            Some(bias) => Ok(logits.f_add(&bias.f_unsqueeze(1)?)?),
            None => Ok(logits),
        }
    }
}
