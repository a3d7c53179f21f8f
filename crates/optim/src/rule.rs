//! What the optimizers share: one update rule, with its state, for each parameter.

use tch::Tensor;

use crate::error::Result;

/// The update of one parameter together with the state it keeps. Called without gradient tracking.
pub(crate) trait Rule: std::fmt::Debug + Send {
    /// Updates `parameter` in place by the dense `gradient` of the same shape.
    fn update(&mut self, parameter: &mut Tensor, gradient: &Tensor, learning_rate: f64) -> Result<()>;

    /// Whether a zero gradient changes nothing: `Err` says why not. Only then is [`Rule::update_rows`] called.
    fn row_sparse(&self) -> std::result::Result<(), &'static str>;

    /// Updates the different rows `rows` (`[S]`, `i64`) of `parameter` (`[V, ..]`) by their gradients `values`
    /// (`[S, ..]`); the cost does not depend on `V`.
    fn update_rows(
        &mut self,
        parameter: &mut Tensor,
        rows: &Tensor,
        values: &Tensor,
        learning_rate: f64,
    ) -> Result<()>;

    /// The tensors of the state, by name.
    fn state(&self) -> Vec<(&'static str, &Tensor)>;
}

/// A 0-d tensor of the kind and device of `like`. tch has no `alpha` for `add_` and no `value` for `addcmul_`: a 0-d
/// factor gives `p + alpha g` as one `addcmul_`, in one pass and without a temporary.
pub(crate) fn scalar_like(value: f64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_scalar_tensor(value, (like.f_kind()?, like.device()))?)
}
