//! One batch of a training loss: input checks on the way in, ignored rows left out, reduction on the way out.

use lexmax_autograd::cpu::slice;
use tch::{Kind, Tensor};

use crate::dense::wide;
use crate::fused::Factor;
use crate::value::TrainingLoss;
use crate::{Loss, OutputError, Reduction, Result};

/// The rows of a batch that count, and how their losses become one number.
///
/// A layer computes on [`Batch::hidden`] and [`Batch::targets`] only, so ignored rows cannot change anything.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Hidden states of the `M` rows that count, `[M, D]`.
    pub hidden: Tensor,
    /// Their targets, `[M]`, i64, each in `0..V`.
    pub targets: Tensor,
    pub(crate) loss: &'a Loss,
    rows: i64,
    kept: Option<Tensor>,
}

impl Loss {
    /// Checks hidden states `[N, D]` and targets `[N]` and drops the ignored rows.
    ///
    /// # Errors
    /// Shapes, kinds or devices that do not fit, a target that names no class, a hidden state that is not finite in a row that
    /// counts: each with the row.
    pub fn batch(&self, op: &'static str, hidden: &Tensor, targets: &Tensor) -> Result<Batch<'_>> {
        check_shapes(op, hidden, Some(targets), self)?;
        let rows = targets.size()[0];
        let (hidden, targets, kept) = match self.options.ignore_index {
            Some(ignored) => {
                let keep = targets.f_ne(ignored)?.f_nonzero()?.f_squeeze_dim(1)?;
                if keep.size()[0] == rows {
                    (hidden.shallow_clone(), targets.shallow_clone(), None)
                } else {
                    (hidden.f_index_select(0, &keep)?, targets.f_index_select(0, &keep)?, Some(keep))
                }
            }
            None => (hidden.shallow_clone(), targets.shallow_clone(), None),
        };
        check_targets(op, &targets, self.vocab_size, self.options.ignore_index, kept.as_ref())?;
        check_finite(op, &hidden, kept.as_ref())?;
        Ok(Batch { hidden, targets, loss: self, rows, kept })
    }

    /// Checks the input of an exact query: hidden states `[N, D]` and, where given, targets `[N]`, none ignored.
    ///
    /// # Errors
    /// As [`Loss::batch`].
    pub fn check(&self, op: &'static str, hidden: &Tensor, targets: Option<&Tensor>) -> Result<()> {
        check_shapes(op, hidden, targets, self)?;
        if let Some(targets) = targets {
            check_targets(op, targets, self.vocab_size, None, None)?;
        }
        check_finite(op, hidden, None)
    }
}

impl Batch<'_> {
    /// Number of rows that count, `M`.
    pub fn len(&self) -> i64 {
        self.targets.size()[0]
    }

    /// Whether no row counts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The loss of an exactly normalised layer from `log p(y_i)`, `[M]`, and, with label smoothing, all
    /// log-probabilities `[M, V]`, which are asked for only then.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn exact(
        &self,
        target_log_prob: &Tensor,
        all_log_probs: impl FnOnce() -> Result<Tensor>,
    ) -> Result<TrainingLoss> {
        if !self.loss.needs_all_classes() {
            return self.smoothed(target_log_prob, None);
        }
        let all = all_log_probs()?;
        let weighted = match &self.loss.class_weights {
            Some(weights) => all.f_matmul(&weights.f_to_kind(all.kind())?)?,
            None => all.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<Kind>)?,
        };
        self.smoothed(target_log_prob, Some(&weighted))
    }

    /// The loss of an exactly normalised layer from `log p(y_i)`, `[M]`, and, with label smoothing, `sum_c w_c log p(c)` over all
    /// classes, `[M]`.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn smoothed(&self, target_log_prob: &Tensor, of_all: Option<&Tensor>) -> Result<TrainingLoss> {
        let smoothing = self.loss.options.label_smoothing;
        let mut rows = target_log_prob.f_neg()?;
        if let Some(weight) = self.row_weights()? {
            rows = rows.f_mul(&weight)?;
        }
        if let Some(of_all) = of_all {
            let spread = of_all.f_mul_scalar(-smoothing / self.loss.vocab_size as f64)?;
            rows = rows.f_mul_scalar(1.0 - smoothing)?.f_add(&spread)?;
        }
        Ok(TrainingLoss::exact(self.reduce(&rows)?))
    }

    /// The loss of a layer that trains on a surrogate, from one loss a row, `[M]`, class weights not yet applied.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn surrogate(&self, row_losses: &Tensor) -> Result<TrainingLoss> {
        let weighted = match self.row_weights()? {
            Some(weight) => row_losses.f_mul(&weight)?,
            None => row_losses.shallow_clone(),
        };
        Ok(TrainingLoss::surrogate(self.reduce(&weighted)?))
    }

    /// Class weights of the rows' targets, `[M]`; `None` where every class weighs one.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn row_weights(&self) -> Result<Option<Tensor>> {
        let gather = |weights: &Tensor| weights.f_index_select(0, &self.targets);
        Ok(self.loss.class_weights.as_ref().map(gather).transpose()?)
    }

    /// Number of classes, `V`.
    pub fn vocab_size(&self) -> i64 {
        self.loss.vocab_size
    }

    /// Share of a row's loss that is spread over all classes.
    pub fn label_smoothing(&self) -> f64 {
        self.loss.options.label_smoothing
    }

    /// Class weights, `[V]`, where there are any.
    pub fn class_weights(&self) -> Option<&Tensor> {
        self.loss.class_weights.as_ref()
    }

    /// Factor of each row's loss in the reduced number, `[M]`: its class weight, over the divisor of the mean. `None` with the
    /// reduction `none`, where only the caller of the backward pass knows it.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn row_factors(&self) -> Result<Option<Vec<f64>>> {
        let Factor::Known(factor) = self.factor()? else { return Ok(None) };
        let mut factors = match self.row_weights()? {
            Some(weights) => Vec::<f64>::try_from(weights.f_to_kind(Kind::Double)?)?,
            None => vec![1.0; usize::try_from(self.len()).unwrap_or(0)],
        };
        factors.iter_mut().for_each(|weight| *weight *= factor);
        Ok(Some(factors))
    }

    /// A zero of the right shape: the loss when no row counts. It is connected to the hidden states, or, where these need no gradient,
    /// to one of the layer's parameters, so that its backward pass runs as any other does.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn nothing(&self, parameters: &[Option<&Tensor>]) -> Result<Tensor> {
        let mut no_rows = self.hidden.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<Kind>)?;
        let trained = parameters.iter().flatten().filter(|parameter| parameter.requires_grad());
        if let Some(smallest) = trained.min_by_key(|parameter| parameter.numel())
            && !self.hidden.requires_grad()
        {
            no_rows = no_rows.f_add(&smallest.f_view([-1])?.f_narrow(0, 0, 0)?.f_to_kind(no_rows.kind())?)?;
        }
        self.reduce(&no_rows)
    }

    /// Half precision is summed in f32, and the result rounded once.
    pub(crate) fn reduce(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = wide(rows)?;
        let reduced = match self.loss.options.reduction {
            Reduction::None => match &self.kept {
                None => rows,
                Some(kept) => {
                    let zeros = Tensor::f_zeros([self.rows], (rows.kind(), rows.device()))?;
                    zeros.f_index_add(0, kept, &rows)?
                }
            },
            Reduction::Sum => rows.f_sum(None::<Kind>)?,
            Reduction::Mean => rows.f_sum(None::<Kind>)?.f_div_scalar(self.mean_divisor()?)?,
        };
        Ok(reduced.f_to_kind(self.loss.kind)?)
    }

    /// What the mean divides by: the class weights of the rows that count, or their number. It is one where that is zero,
    /// so that the mean of nothing is zero and not 0/0.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn mean_divisor(&self) -> Result<f64> {
        let weight = match self.row_weights()? {
            None => self.len() as f64,
            Some(weights) => weights.f_sum(Kind::Double)?.f_double_value(&[])?,
        };
        Ok(if weight == 0.0 { 1.0 } else { weight })
    }
}

fn check_shapes(op: &'static str, hidden: &Tensor, targets: Option<&Tensor>, layer: &Loss) -> Result<()> {
    let shape = hidden.size();
    if shape.len() != 2 || shape[1] != layer.hidden_size {
        let expected = format!("[N, {}]", layer.hidden_size);
        return Err(OutputError::Shape { op, what: "hidden", given: shape, expected });
    }
    if hidden.kind() != layer.kind {
        let expected = format!("{:?}, the kind of the layer's parameters", layer.kind);
        return Err(OutputError::Kind { op, what: "hidden", given: hidden.kind(), expected });
    }
    check_device(op, "hidden", hidden, layer)?;
    let Some(targets) = targets else { return Ok(()) };
    if targets.size() != [shape[0]] {
        let expected = format!("[{}], one target for each row of hidden", shape[0]);
        return Err(OutputError::Shape { op, what: "targets", given: targets.size(), expected });
    }
    if targets.kind() != Kind::Int64 {
        let expected = "Int64".to_owned();
        return Err(OutputError::Kind { op, what: "targets", given: targets.kind(), expected });
    }
    check_device(op, "targets", targets, layer)
}

/// Some operations of libtorch move what lies elsewhere without a word and others refuse it, so a layer refuses it first.
fn check_device(op: &'static str, what: &'static str, tensor: &Tensor, layer: &Loss) -> Result<()> {
    let (given, expected) = (tensor.device(), layer.device);
    if given == expected { Ok(()) } else { Err(OutputError::Device { op, what, given, expected }) }
}

/// The smallest and the largest target decide in one pass; the row is looked for only when one is out of range.
fn check_targets(
    op: &'static str,
    targets: &Tensor,
    vocab_size: i64,
    ignore_index: Option<i64>,
    kept: Option<&Tensor>,
) -> Result<()> {
    if targets.numel() == 0 {
        return Ok(());
    }
    let (smallest, largest) = (targets.f_min()?.f_int64_value(&[])?, targets.f_max()?.f_int64_value(&[])?);
    if smallest >= 0 && largest < vocab_size {
        return Ok(());
    }
    let bad = targets.f_lt(0)?.f_logical_or(&targets.f_ge(vocab_size)?)?;
    let position = bad.f_nonzero()?.f_int64_value(&[0, 0])?;
    let given = targets.f_int64_value(&[position])?;
    let or_ignored = ignore_index.map(|index| format!(" or the ignored {index}")).unwrap_or_default();
    Err(OutputError::Target { op, row: original_row(kept, position)?, given, vocab_size, or_ignored })
}

/// A sum is finite when every term is (or overflows, which the second look settles), and costs one pass over `[N, D]`.
fn check_finite(op: &'static str, hidden: &Tensor, kept: Option<&Tensor>) -> Result<()> {
    if is_finite_here(hidden) {
        return Ok(());
    }
    let _guard = tch::no_grad_guard();
    if hidden.f_sum(None::<Kind>)?.f_double_value(&[])?.is_finite() {
        return Ok(());
    }
    let bad_rows = hidden.f_isfinite()?.f_logical_not()?.f_any_dim(1, false)?.f_nonzero()?;
    if bad_rows.numel() == 0 {
        return Ok(());
    }
    let row = original_row(kept, bad_rows.f_int64_value(&[0, 0])?)?;
    Err(OutputError::NotFinite { op, what: "hidden", row })
}

/// Whether a contiguous f32 or f64 tensor on the CPU is finite, by one pass on this thread (`false`: look again by other means):
/// libtorch's sum would wake its pool, which then spins for a while and takes a core from the sweep that follows.
fn is_finite_here(hidden: &Tensor) -> bool {
    match hidden.kind() {
        Kind::Float => slice::<f32>(hidden)
            .is_ok_and(|all| all.iter().fold(true, |finite, number| finite & number.is_finite())),
        Kind::Double => slice::<f64>(hidden)
            .is_ok_and(|all| all.iter().fold(true, |finite, number| finite & number.is_finite())),
        _ => false,
    }
}

fn original_row(kept: Option<&Tensor>, position: i64) -> Result<i64> {
    Ok(match kept {
        Some(kept) => kept.f_int64_value(&[position])?,
        None => position,
    })
}
