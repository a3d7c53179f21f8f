//! Losses over a target and a few negatives of each row: products with gathered rows of the weight,
//! never anything as long as the vocabulary.
//!
//! * Shared negatives ([`Sets::Shared`], [`Sets::InBatch`]): the rows of the different negatives
//!   are gathered once into `[S, D]`. Each thread takes its rows of the batch, some at a time:
//!   logits in a tile by one product, loss and gradient of the logits in one sweep while they are
//!   in the cache, then two products for the gradients of hidden states and gathered rows. Last,
//!   each touched class collects its sums.
//! * Negatives of each row's own ([`Sets::PerRow`]): dot products with rows of the weight where
//!   they lie, the same sweep, and sums of rows. Logits `[N, S]` are kept, `[N, S, D]` is never
//!   made.
//!
//! The gradient of the weight comes as the rows that are not zero: those of
//! [`Candidates::classes`], `[R, D]`. Sums are made in a fixed order, so runs are the same bits at
//! a fixed number of threads.
//!
//! [`Objective`] has the formulas; what they mean, with the papers, is in the documentation of the
//! sampled layers.

mod candidates;
mod jobs;
pub(crate) mod logistic;
mod objective;
mod per_row;
pub(crate) mod rows;
mod shared;
mod workspace;

pub use crate::row_gradients::RowGradients as Gradients;
pub use candidates::{Candidates, Negatives, Sets};
pub use objective::Objective;
pub use workspace::Workspace;

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::Linear;
use crate::simd::{Level, dispatch};
use rows::{Combine, Dots};

/// Loss of each row, `[N]`. Cost: `2 N S D` operations for the different negatives, and `N` target
/// rows.
///
/// # Errors
/// Slices that do not fit the candidates.
pub fn loss<T: Element>(
    linear: Linear<'_, T>,
    candidates: &Candidates,
    objective: Objective,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    run("sampled.loss", linear, candidates, objective, None, Gradients::default(), workspace)
}

/// Loss `l_i` of each row, `[N]`, and the gradients of `sum_i upstream_i l_i`. Cost: `6 N S D`
/// operations for the different negatives.
///
/// # Errors
/// Slices that do not fit the candidates.
///
/// ```
/// use lexmax_kernels::sampled::{Candidates, Gradients, Negatives, Objective, Sets, Workspace, loss_and_gradients};
/// use lexmax_kernels::linear_ce::Linear;
///
/// let weight = vec![0.0_f32; 1000 * 2];
/// let linear = Linear { hidden: &[1.0, 2.0], weight: &weight, bias: None, hidden_size: 2 };
/// let negatives = Negatives {
///     sets: Sets::Shared,
///     ids: vec![7, 500],
///     log_expected: vec![0.0; 2],
///     target_log_expected: vec![0.0],
///     leave_hits_out: true,
/// };
/// let candidates = Candidates::new(vec![500], negatives, 1000)?; // 500 is the target: left out as a negative
/// let mut d_weight = [9.0; 4]; // of classes 7 and 500
/// let wanted = Gradients { weight: Some(&mut d_weight), ..Gradients::default() };
/// let mut workspace = Workspace::new(1);
/// let losses =
///     loss_and_gradients(linear, &candidates, Objective::Softmax, &[1.0], wanted, &mut workspace)?;
/// assert!((losses[0] - 2_f64.ln()).abs() < 1e-6);
/// assert_eq!(d_weight, [0.5, 1.0, -0.5, -1.0]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn loss_and_gradients<T: Element>(
    linear: Linear<'_, T>,
    candidates: &Candidates,
    objective: Objective,
    upstream: &[f64],
    gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    let op = "sampled.loss_and_gradients";
    run(op, linear, candidates, objective, Some(upstream), gradients, workspace)
}

fn run<T: Element>(
    op: &'static str,
    linear: Linear<'_, T>,
    candidates: &Candidates,
    objective: Objective,
    upstream: Option<&[f64]>,
    mut gradients: Gradients<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    linear.check(op)?;
    let (rows, size, touched) = (candidates.rows(), linear.hidden_size, candidates.classes().len());
    let check = |what, given: Option<usize>, expected, why| {
        given.map_or(Ok(()), |given| KernelError::check_length(op, what, given, expected, why))
    };
    check("hidden", Some(linear.hidden.len()), rows * size, "one row of D for each target")?;
    check("weight", Some(linear.weight.len()), candidates.vocab_size * size, "V rows of D")?;
    check("upstream", upstream.map(<[f64]>::len), rows, "one for each row")?;
    gradients.check(op, rows, touched, size)?;
    let mut loss = vec![0.0; rows];
    if rows == 0 {
        for numbers in [gradients.weight, gradients.bias].into_iter().flatten() {
            numbers.fill(T::default());
        }
        return Ok(loss);
    }
    let call = Call { linear, candidates, objective, upstream };
    match candidates.sets() {
        Sets::Shared | Sets::InBatch => shared::run(&call, &mut gradients, &mut loss, workspace),
        Sets::PerRow => per_row::run(&call, &mut gradients, &mut loss, workspace),
    }
    Ok(loss)
}

/// Arguments of one call, read by all threads.
struct Call<'a, T> {
    linear: Linear<'a, T>,
    candidates: &'a Candidates,
    objective: Objective,
    /// Upstream factor of each row, `[N]`; `None` for losses alone.
    upstream: Option<&'a [f64]>,
}

impl<T: Element> Call<'_, T> {
    fn bias_of(&self, class: u32) -> f64 {
        self.linear.bias.map_or(0.0, |bias| bias[class as usize].to_f64())
    }

    /// Logit of a row's target as the objective sees it.
    fn target_logit(&self, row: usize, level: Level) -> f64 {
        let size = self.linear.hidden_size;
        let class = self.candidates.targets[row];
        let with = &self.linear.hidden[row * size..(row + 1) * size];
        let mut dot = [T::default()];
        dispatch(level, Dots { table: self.linear.weight, rows: &[class], with, out: &mut dot });
        let expected = self.candidates.negatives.target_log_expected[row];
        dot[0].to_f64() + self.bias_of(class) + self.objective.shift(expected, 1.0)
    }

    /// Adds the target's part to the gradient of a row's hidden state.
    fn add_target(&self, row: usize, gradient: f64, out: &mut [T], level: Level) {
        let rows = &self.candidates.targets[row..=row];
        Combine { table: self.linear.weight, rows, factors: &[T::from_f64(gradient)], out }.add(level);
    }
}
