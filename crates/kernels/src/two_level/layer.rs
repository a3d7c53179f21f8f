//! The layer as slices, and where its gradients go.

/// Hidden states and parameters, row-major.
#[derive(Debug, Clone, Copy)]
pub struct TwoLevel<'a, T> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a [T],
    /// One row for each class, `A` `[C, D]`.
    pub class_weight: &'a [T],
    /// One number for each class, `[C]`.
    pub class_bias: Option<&'a [T]>,
    /// One row for each word, `B` `[V, D]`.
    pub weight: &'a [T],
    /// One number for each word, `[V]`.
    pub bias: Option<&'a [T]>,
    /// `D`.
    pub hidden_size: usize,
}

/// Where gradients go; those that are `None` are not computed. All are overwritten.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// `[N, D]`.
    pub hidden: Option<&'a mut [T]>,
    /// `[C, D]`.
    pub class_weight: Option<&'a mut [T]>,
    /// `[C]`.
    pub class_bias: Option<&'a mut [T]>,
    /// One row for each of [`words`](super::Groups::words), `[R, D]`.
    pub weight: Option<&'a mut [T]>,
    /// One number for each of [`words`](super::Groups::words), `[R]`.
    pub bias: Option<&'a mut [T]>,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        Self { hidden: None, class_weight: None, class_bias: None, weight: None, bias: None }
    }
}
