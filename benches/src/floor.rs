//! The floor: the bare matrix products that an exact softmax cannot do without, by libtorch, into
//! memory that is there.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::{Sizes, inputs};

/// Operands and results of the products.
#[derive(Debug)]
pub struct Floor {
    hidden: Tensor,
    weight: Tensor,
    logits: Tensor,
    hidden_gradient: Tensor,
    weight_gradient: Tensor,
    products: usize,
}

impl Floor {
    /// Makes operands and results for one product (the logits) or all three (the gradients of
    /// hidden states and weight).
    ///
    /// # Errors
    /// libtorch refused, memory above all.
    pub fn new(sizes: Sizes, products: usize) -> Result<Self> {
        let Sizes { rows, width, classes } = sizes;
        let ones = |shape: [i64; 2]| Tensor::f_ones(shape, (Kind::Float, Device::Cpu));
        let size = |shape: [i64; 2]| if products == 3 { shape } else { [0, 0] };
        Ok(Self {
            hidden: inputs::hidden(sizes)?,
            weight: ones([classes, width])?,
            logits: ones([rows, classes])?,
            hidden_gradient: ones(size([rows, width]))?,
            weight_gradient: ones(size([classes, width]))?,
            products,
        })
    }

    /// Does the products.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn run(&self) -> Result<()> {
        let _ = self.hidden.f_matmul_out(&self.logits, &self.weight.f_tr()?)?;
        if self.products == 3 {
            let _ = self.logits.f_matmul_out(&self.hidden_gradient, &self.weight)?;
            let _ = self.logits.f_tr()?.f_matmul_out(&self.weight_gradient, &self.hidden)?;
        }
        Ok(())
    }

    /// Compares the results of the last run with products of a few rows and classes in f64: the
    /// largest relative deviation.
    ///
    /// # Errors
    /// libtorch refused, or the results are wrong.
    pub fn check(&self) -> Result<f64> {
        let rows = self.hidden.size()[0].min(8);
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        let hidden = double(&self.hidden.f_narrow(0, 0, rows)?)?;
        let expected = hidden.f_matmul(&double(&self.weight)?.f_tr()?)?;
        let given = double(&self.logits.f_narrow(0, 0, rows)?)?;
        let mut deviation = relative(&given, &expected)?;
        if self.products == 3 {
            let expected = given.f_matmul(&double(&self.weight)?)?;
            let given = double(&self.hidden_gradient.f_narrow(0, 0, rows)?)?;
            deviation = deviation.max(relative(&given, &expected)?);
            let classes = self.weight_gradient.size()[0].min(8);
            let of_classes = double(&self.logits.f_narrow(1, 0, classes)?)?.f_tr()?;
            let expected = of_classes.f_matmul(&double(&self.hidden)?)?;
            let given = double(&self.weight_gradient.f_narrow(0, 0, classes)?)?;
            deviation = deviation.max(relative(&given, &expected)?);
        }
        anyhow::ensure!(deviation < 1e-4, "bare products: off by {deviation}, expected less than 1e-4");
        Ok(deviation)
    }
}

/// Norm of the difference over the norm of what is expected.
pub(crate) fn relative(given: &Tensor, expected: &Tensor) -> Result<f64> {
    let difference = given.f_sub(expected)?.f_norm()?.f_double_value(&[])?;
    let norm = expected.f_norm()?.f_double_value(&[])?;
    Ok(difference / norm.max(f64::MIN_POSITIVE))
}
