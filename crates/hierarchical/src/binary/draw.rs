//! Exact draws from a binary tree by walking down, all rows a level at a time.

use lexmax_kernels::seed::Generator;
use lexmax_output::Result;
use rand::RngExt;
use tch::{Kind, Tensor};

use super::nodes::Nodes;
use crate::tree::CodeTree;

/// One word for each row of hidden `[N, D]`, `[N]`; `2 N L D` operations over paths of length `L`.
///
/// One uniform a row decides all of its choices: after each, it is stretched from the branch it
/// fell into back to `0..1`. That inverts the distribution function over the leaves; the 53 bits of
/// a f64 leave more than 30 for the last choice on the path to a word of probability `1e-6`.
pub(super) fn sample(tree: &CodeTree, nodes: &Nodes, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let (count, device) = (hidden.size()[0], hidden.device());
    let uniforms: Vec<f64> = (0..count).map(|_| rng.random::<f64>()).collect();
    let mut uniforms = Tensor::f_from_slice(&uniforms)?.f_to(device)?;
    let mut words = Tensor::f_zeros([count], (Kind::Int64, device))?;
    let mut rows = Tensor::f_arange(count, (Kind::Int64, device))?;
    let mut positions = Tensor::f_zeros([count], (Kind::Int64, device))?;
    for level in tree.levels() {
        let at_leaf = positions.f_lt(level.leaves)?;
        let arrived = at_leaf.f_nonzero()?.f_squeeze_dim(1)?;
        let word = positions.f_index_select(0, &arrived)?.f_add_scalar(level.first_word)?;
        words = words.f_index_copy(0, &rows.f_index_select(0, &arrived)?, &word)?;

        let walking = at_leaf.f_logical_not()?.f_nonzero()?.f_squeeze_dim(1)?;
        if walking.numel() == 0 {
            break;
        }
        rows = rows.f_index_select(0, &walking)?;
        uniforms = uniforms.f_index_select(0, &walking)?;
        positions = positions.f_index_select(0, &walking)?.f_sub_scalar(level.leaves)?;

        let ids = positions.f_add_scalar(level.first_node)?;
        let logits = nodes.logits(&hidden.f_index_select(0, &rows)?, &ids)?.f_to_kind(Kind::Double)?;
        let (first, second) = (logits.f_sigmoid()?, logits.f_neg()?.f_sigmoid()?);
        let code = uniforms.f_ge_tensor(&first)?;
        let stretched = uniforms.f_sub(&first)?.f_div(&second)?;
        uniforms =
            stretched.f_where_self(&code, &uniforms.f_div(&first)?)?.f_clamp(0.0, 1.0 - f64::EPSILON)?;
        positions = positions.f_mul_scalar(2)?.f_add(&code.f_to_kind(Kind::Int64)?)?;
    }
    Ok(words)
}
