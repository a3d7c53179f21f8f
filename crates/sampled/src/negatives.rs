//! The negatives of a batch as tensors: classes and the logarithms of their expected counts.

use lexmax_kernels::sampled::{Negatives as Drawn, Sets};
use lexmax_output::{OutputError, Result};
use tch::{Kind, Tensor};

use crate::objective::{Objective, Scored};
use crate::proposal::Proposal;
use crate::sampler;
use crate::source::Counting;

const OP: &str = "negatives";

/// Negatives of `N` rows.
#[derive(Debug)]
pub struct Negatives {
    /// Classes, i64: `[S]` where all rows share them, `[N, S]` elsewhere.
    pub ids: Tensor,
    /// Logarithms of their expected counts, of the shape of the classes.
    pub log_expected_count: Tensor,
    /// Logarithms of the expected counts of the rows' targets, `[N]`.
    pub target_log_expected_count: Tensor,
    /// Whether the shared negatives are the rows' own targets, so that row `i` must not see
    /// negative `i`.
    pub in_batch: bool,
}

impl Negatives {
    /// Negatives given from outside by their expected counts: `ids` and `expected_count` of the
    /// same shape `[S]` or `[N, S]`, `target_expected_count` `[N]`.
    ///
    /// # Errors
    /// Shapes that do not fit; an expected count that is not a finite number above zero.
    pub fn new(ids: Tensor, expected_count: &Tensor, target_expected_count: &Tensor) -> Result<Self> {
        check_counts("expected_count", expected_count)?;
        check_counts("target_expected_count", target_expected_count)?;
        let (log_expected_count, target_log_expected_count) =
            (expected_count.f_log()?, target_expected_count.f_log()?);
        let negatives = Self { ids, log_expected_count, target_log_expected_count, in_batch: false };
        negatives.check()?;
        Ok(negatives)
    }

    /// A set that was drawn from `proposal` and that all rows share, with targets `[N]`, i64,
    /// counted as [`crate::Sampled`] counts for this objective. The logarithms are f64.
    ///
    /// ```
    /// use lexmax_kernels::seed::generator;
    /// use lexmax_sampled::proposal::LogUniform;
    /// use lexmax_sampled::{Negatives, Objective, Sampler};
    /// use tch::Tensor;
    ///
    /// # fn main() -> lexmax_output::Result<()> {
    /// let sampler = Sampler::new(Box::new(LogUniform::new(1000)?), 50, true)?;
    /// let drawn = sampler.draw(&mut generator(1, "negatives", 0));
    /// let targets = Tensor::from_slice(&[3_i64, 700]);
    /// let negatives = Negatives::of_set(drawn, sampler.proposal(), &targets, Objective::Nce,
    /// false)?;
    /// assert_eq!(negatives.log_expected_count.size(), [50]);
    /// assert_eq!(negatives.target_log_expected_count.size(), [2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Targets that are not `[N]` of dtype i64; a class outside the proposal's.
    pub fn of_set(
        drawn: sampler::Drawn,
        proposal: &dyn Proposal,
        targets: &Tensor,
        objective: Objective,
        remove_accidental_hits: bool,
    ) -> Result<Self> {
        let target_ids = target_ids(targets)?;
        let classes = 0..proposal.vocab_size();
        if let Some(bad) = drawn.ids.iter().chain(&target_ids).find(|id| !classes.contains(id)) {
            let expected = format!("classes in 0..{}, as the proposal has", classes.end);
            return Err(OutputError::argument(OP, "a class", bad, expected));
        }
        let drawn = Counting { objective, remove_accidental_hits }.of_set(drawn, proposal, &target_ids);
        Self::of(drawn, targets, Kind::Double)
    }

    /// Negatives as they were drawn for targets `[N]`, logarithms of the given dtype.
    pub(crate) fn of(drawn: Drawn, targets: &Tensor, kind: Kind) -> Result<Self> {
        let (rows, device) = (targets.size()[0], targets.device());
        let ids = match drawn.sets {
            Sets::InBatch => targets.shallow_clone(),
            Sets::Shared => Tensor::f_from_slice(&drawn.ids)?.f_to(device)?,
            Sets::PerRow => Tensor::f_from_slice(&drawn.ids)?.f_to(device)?.f_view([rows, -1])?,
        };
        let tensor = |logs: &[f64]| Tensor::f_from_slice(logs)?.f_to_kind(kind)?.f_to(device);
        Ok(Self {
            log_expected_count: tensor(&drawn.log_expected)?.f_view_as(&ids)?,
            target_log_expected_count: tensor(&drawn.target_log_expected)?,
            ids,
            in_batch: drawn.sets == Sets::InBatch,
        })
    }

    /// Whether every row has negatives of its own.
    pub fn per_row(&self) -> bool {
        self.ids.dim() == 2
    }

    /// Checks that the shapes fit together.
    fn check(&self) -> Result<()> {
        let op = OP;
        let rows = self.target_log_expected_count.size();
        if rows.len() != 1 {
            let expected = "[N], one for each row".to_owned();
            return Err(OutputError::Shape { op, what: "target_expected_count", given: rows, expected });
        }
        let ids = self.ids.size();
        let fits = match ids.as_slice() {
            [_] => true,
            [n, _] => rows == [*n],
            _ => false,
        };
        if !fits {
            let expected = format!("[S] or [{}, S]", rows[0]);
            return Err(OutputError::Shape { op, what: "ids", given: ids, expected });
        }
        if self.ids.kind() != Kind::Int64 {
            let expected = "Int64".to_owned();
            return Err(OutputError::Kind { op, what: "ids", given: self.ids.kind(), expected });
        }
        if self.log_expected_count.size() != ids {
            let given = self.log_expected_count.size();
            let expected = format!("{ids:?}, one for each class");
            return Err(OutputError::Shape { op, what: "expected_count", given, expected });
        }
        Ok(())
    }

    /// Checks negatives that anyone may have made against the rows that they are for.
    pub(crate) fn check_for(&self, scored: &Scored<'_>) -> Result<()> {
        self.check()?;
        let (op, rows) = (OP, scored.targets.size());
        let given = self.target_log_expected_count.size();
        if given != rows {
            let expected = format!("{rows:?}, one for each row");
            return Err(OutputError::Shape { op, what: "target_expected_count", given, expected });
        }
        for (name, logs) in [
            ("log_expected_count", &self.log_expected_count),
            ("target_log_expected_count", &self.target_log_expected_count),
        ] {
            check_all(name, logs, &logs.f_isfinite()?, "finite numbers: logarithms of counts above zero")?;
        }
        if self.in_batch {
            if self.ids.size() != rows || !self.ids.f_equal(scored.targets)? {
                let expected = format!("the targets themselves, {rows:?}: `in_batch` says so");
                return Err(OutputError::argument(op, "ids", format!("{:?}", self.ids.size()), expected));
            }
            return Ok(());
        }
        let vocab_size = scored.weight.size()[0];
        let inside = self.ids.f_ge(0)?.f_logical_and(&self.ids.f_lt(vocab_size)?)?;
        check_all("ids", &self.ids, &inside, &format!("classes in 0..{vocab_size}"))
    }
}

/// Targets `[N]`, i64, as numbers.
fn target_ids(targets: &Tensor) -> Result<Vec<i64>> {
    let (op, what) = (OP, "targets");
    if targets.dim() != 1 {
        let expected = "[N]".to_owned();
        return Err(OutputError::Shape { op, what, given: targets.size(), expected });
    }
    if targets.kind() != Kind::Int64 {
        let expected = "Int64".to_owned();
        return Err(OutputError::Kind { op, what, given: targets.kind(), expected });
    }
    Ok(Vec::<i64>::try_from(targets)?)
}

/// Expected counts are finite and above zero: their logarithms are added to logits.
fn check_counts(name: &'static str, counts: &Tensor) -> Result<()> {
    let good = counts.f_isfinite()?.f_logical_and(&counts.f_gt(0)?)?;
    check_all(name, counts, &good, "finite numbers above zero")
}

/// The first number that is not good, by the name of what holds it.
fn check_all(name: &'static str, numbers: &Tensor, good: &Tensor, expected: &str) -> Result<()> {
    let bad = numbers.f_masked_select(&good.f_logical_not()?)?;
    if bad.numel() == 0 {
        return Ok(());
    }
    let first = bad.f_to_kind(Kind::Double)?.f_double_value(&[0])?;
    Err(OutputError::argument(OP, name, first, expected))
}
