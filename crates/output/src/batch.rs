//! One batch of a training loss: ignored rows left out on the way in, reduction on the way out.

use lexmax_kernels::product::Precision;
use tch::{Kind, Tensor};

use crate::check::{check_finite, check_shapes, check_targets};
use crate::dense::wide;
use crate::node::Factor;
use crate::value::TrainingLoss;
use crate::{Loss, Reduction, Result};

/// The rows of a batch that count, and how their losses become one number.
///
/// A layer computes on [`Batch::hidden`] and [`Batch::targets`] only, so ignored rows cannot change
/// anything.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Hidden states of the `M` rows that count, `[M, D]`.
    pub hidden: Tensor,
    /// Targets of these rows, `[M]`, i64, each in `0..V`.
    pub targets: Tensor,
    pub(crate) loss: &'a Loss,
    rows: i64,
    kept: Option<Tensor>,
}

impl Loss {
    /// Checks hidden states `[N, D]` and targets `[N]` and drops the ignored rows.
    ///
    /// # Errors
    /// Shapes, dtypes or devices that do not fit, a target that names no class, a hidden state that
    /// is not finite in a row that counts: each with the row.
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

    /// The loss of an exactly normalised layer from `log p(y_i)`, `[M]`, and, with label smoothing,
    /// all log-probabilities `[M, V]`, which are asked for only then.
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

    /// The loss of an exactly normalised layer from `log p(y_i)`, `[M]`, and, with label smoothing,
    /// `sum_c w_c log p(c)` over all classes, `[M]`.
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

    /// The loss of a layer that trains on a surrogate, from one loss a row, `[M]`, class weights
    /// not yet applied.
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

    /// Precision of the products of the fused path.
    pub fn precision(&self) -> Precision {
        self.loss.precision
    }

    /// Class weights, `[V]`, where there are any.
    pub fn class_weights(&self) -> Option<&Tensor> {
        self.loss.class_weights.as_ref()
    }

    /// Factor of each row's loss in the reduced number: one for all with [`Reduction::Sum`] and
    /// [`Reduction::Mean`], and the upstream gradient with [`Reduction::None`]. Class weights are
    /// not in it.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn factor(&self) -> Result<Factor> {
        Ok(match self.loss.options.reduction {
            Reduction::None => Factor::OfEachRow,
            Reduction::Sum => Factor::Known(1.0),
            Reduction::Mean => Factor::Known(1.0 / self.mean_divisor()?),
        })
    }

    /// [`Batch::factor`] times the class weight of each row's target, where the factor is known.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn weighted_factor(&self) -> Result<Factor> {
        let Factor::Known(factor) = self.factor()? else { return Ok(Factor::OfEachRow) };
        let mut factors = match self.row_weights()? {
            Some(weights) => Vec::<f64>::try_from(weights.f_to_kind(Kind::Double)?)?,
            None => vec![1.0; usize::try_from(self.len()).unwrap_or(0)],
        };
        factors.iter_mut().for_each(|weight| *weight *= factor);
        Ok(Factor::Rows(factors))
    }

    /// The loss from the output of a node that applied [`Batch::factor`] and all other options: a
    /// scalar in the dtype of the layer, and one loss `[M]` for each row that counts with zeros for
    /// the ignored rows.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn loss_from_node(&self, output: &Tensor) -> Result<Tensor> {
        match self.loss.options.reduction {
            Reduction::None => self.reduce(output),
            _ => Ok(output.f_to_kind(self.loss.kind)?),
        }
    }

    /// A zero of the right shape: the loss when no row counts. It is connected to the hidden
    /// states, or, where these need no gradient, to one of the layer's parameters, so that its
    /// backward pass runs as any other does.
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

    /// Divisor of the mean: the class weights of the rows that count, or their number. It is
    /// one where that is zero, so that the mean of nothing is zero and not 0/0.
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
