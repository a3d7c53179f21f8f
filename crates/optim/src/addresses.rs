//! Tensors identified by their address.

use std::collections::HashMap;

use lexmax_autograd::sparse::is_strided;
use tch::Tensor;

use crate::error::{OptimError, Result};

/// Addresses of the parameters seen so far, with their names.
#[derive(Debug, Default)]
pub(crate) struct Addresses(HashMap<usize, String>);

impl Addresses {
    /// Takes one more parameter; tensors without elements are nowhere.
    ///
    /// # Errors
    /// A tensor that has no place (undefined, sparse, or without strides else); one that an earlier
    /// name stands for already.
    pub fn take(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        // tch panics where it is asked for the address of such a tensor.
        if !is_strided(tensor) {
            return Err(OptimError::NotDense { name: name.to_owned() });
        }
        if tensor.numel() > 0
            && let Some(first) = self.0.insert(tensor.data_ptr() as usize, name.to_owned())
        {
            return Err(OptimError::SameTensor { first, second: name.to_owned() });
        }
        Ok(())
    }
}
