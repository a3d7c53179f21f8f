//! The word embedding, with a dense or a row-sparse gradient.

use lexmax_autograd::{BackwardContext, ForwardContext, Function, apply};
use lexmax_optim::row_gradient;
use tch::{Tensor, nn};

use super::init::uniform;
use crate::{LabError, Result};

/// A table `[V, E]` with one row for each word.
///
/// Its gradient is that of the rows that a window reads: as a dense tensor, or row-sparse (COO with
/// one sparse dimension, rows rising and each once, sums in f64 and in the order of the window),
/// which costs `O(T B E)` instead of `O(V E)`.
#[derive(Debug)]
pub struct Embedding {
    pub(super) weight: Tensor,
    sparse_gradients: bool,
}

impl Embedding {
    /// A table that starts as uniform(-r, r) with `r` the `init_range`.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn new(
        path: &nn::Path<'_>,
        (vocab_size, width): (i64, i64),
        init_range: f64,
        seed: u64,
        sparse_gradients: bool,
    ) -> Result<Self> {
        let weight = uniform(path, "embedding", &[vocab_size, width], init_range, seed)?;
        Ok(Self { weight, sparse_gradients })
    }

    /// Rows `[.., E]` at `ids` `[..]`.
    ///
    /// # Errors
    /// An id out of range; libtorch refused.
    pub fn look_up(&self, ids: &Tensor) -> Result<Tensor> {
        if !self.sparse_gradients {
            return Ok(rows(&self.weight, ids)?);
        }
        let call = LookUp { ids: ids.shallow_clone(), size: self.weight.size() };
        let mut outputs = apply(call, &[Some(&self.weight)]).map_err(LabError::Autograd)?;
        Ok(outputs.remove(0))
    }
}

fn rows(weight: &Tensor, ids: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
    let (no_padding, scale_by_frequency, sparse) = (-1, false, false);
    Tensor::f_embedding(weight, ids, no_padding, scale_by_frequency, sparse)
}

/// One look-up with a row-sparse gradient of the table.
struct LookUp {
    ids: Tensor,
    size: Vec<i64>,
}

impl Function for LookUp {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> lexmax_autograd::Result<Vec<Tensor>> {
        Ok(vec![rows(context.input(0)?, &self.ids)?])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> lexmax_autograd::Result<Vec<Option<Tensor>>> {
        let upstream = context.grad_output(0)?.f_reshape([-1, self.size[1]])?;
        Ok(vec![Some(row_gradient(&self.ids.f_reshape(-1)?, &upstream, &self.size)?)])
    }

    fn name() -> &'static str {
        "embedding"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::{Device, Kind};

    const SIZE: (i64, i64) = (12, 3);

    fn embedding(sparse: bool) -> (nn::VarStore, Embedding) {
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(Kind::Double);
        let embedding = Embedding::new(&store.root(), SIZE, 0.5, 1, sparse).unwrap();
        (store, embedding)
    }

    /// A loss of two look-ups and, where asked, of the whole table too, as that of tied weights.
    fn gradient(sparse: bool, look_ups: &[&[i64]], whole_table: bool) -> Tensor {
        let (_store, embedding) = embedding(sparse);
        let mut loss = Tensor::zeros([0_i64; 0], (Kind::Double, Device::Cpu));
        for (i, ids) in look_ups.iter().enumerate() {
            let rows = embedding.look_up(&Tensor::from_slice(ids).view([1, -1])).unwrap();
            assert_eq!(rows.size(), [1, ids.len() as i64, SIZE.1]);
            let ramp = Tensor::arange(rows.numel() as i64, (Kind::Double, Device::Cpu)).view_as(&rows);
            loss += (rows * (ramp + i as f64).sin()).sum(Kind::Double);
        }
        if whole_table {
            loss += embedding.weight.square().sum(Kind::Double);
        }
        loss.backward();
        embedding.weight.grad()
    }

    #[test]
    fn the_sparse_gradient_is_the_dense_one_row_by_row() {
        let window: &[&[i64]] = &[&[7, 2, 7, 0, 11, 2, 7]];
        let (dense, sparse) = (gradient(false, window, false), gradient(true, window, false));
        assert!(sparse.is_sparse() && !dense.is_sparse());
        assert_eq!(sparse.internal_indices(), Tensor::from_slice(&[0_i64, 2, 7, 11]).view([1, 4]));
        assert!(sparse.to_dense(None, false).allclose(&dense, 1e-14, 0.0, false));
    }

    #[test]
    fn gradients_of_tied_weights_add_up() {
        let windows: &[&[i64]] = &[&[7, 2, 7, 0], &[2, 1], &[7]];
        // Sparse and sparse: as a sampled output layer adds one.
        let sparse = gradient(true, windows, false);
        assert!(sparse.is_sparse());
        assert!(sparse.to_dense(None, false).allclose(&gradient(false, windows, false), 1e-14, 0.0, false));
        // Sparse and dense: as a full softmax adds one.
        let both = gradient(true, windows, true);
        assert!(!both.is_sparse());
        assert!(both.allclose(&gradient(false, windows, true), 1e-14, 0.0, false));
    }

    #[test]
    fn ids_out_of_range_are_errors() {
        for sparse in [false, true] {
            let (_store, embedding) = embedding(sparse);
            assert!(embedding.look_up(&Tensor::from_slice(&[12_i64])).is_err());
        }
    }
}
