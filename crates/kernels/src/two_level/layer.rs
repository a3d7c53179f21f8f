//! Two-level layer as slices, and the output buffers of its gradients.

/// Hidden states and parameters, row-major.
#[derive(Debug, Clone, Copy)]
pub struct TwoLevel<'a, T> {
    /// Hidden states, `[N, D]`.
    pub hidden: &'a [T],
    /// Class weight `A`, one row for each class, `[C, D]`.
    pub class_weight: &'a [T],
    /// Class bias `a`, one element for each class, `[C]`.
    pub class_bias: Option<&'a [T]>,
    /// Word weight `B`, one row for each word, `[V, D]`.
    pub weight: &'a [T],
    /// Word bias `b`, one element for each word, `[V]`.
    pub bias: Option<&'a [T]>,
    /// Size of a hidden state, `D`.
    pub hidden_size: usize,
}

/// Output buffers of the gradients; those that are `None` are not computed. All are overwritten.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// Gradient of the hidden states, `[N, D]`.
    pub hidden: Option<&'a mut [T]>,
    /// Gradient of the class weight, `[C, D]`.
    pub class_weight: Option<&'a mut [T]>,
    /// Gradient of the class bias, `[C]`.
    pub class_bias: Option<&'a mut [T]>,
    /// Gradient of the word weight, one row for each of [`words`](super::Groups::words), `[R, D]`.
    pub weight: Option<&'a mut [T]>,
    /// Gradient of the word bias, one element for each of [`words`](super::Groups::words), `[R]`.
    pub bias: Option<&'a mut [T]>,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        Self { hidden: None, class_weight: None, class_bias: None, weight: None, bias: None }
    }
}
