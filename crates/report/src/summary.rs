//! Summary of the records: for each output means over seeds, and where it stands among the others.
//! No files, no text.

use std::collections::BTreeMap;

use lexmax_records::{RunRecord, RunResult};
use polars::prelude::*;

use crate::columns::{self, COLUMNS, PERPLEXITY, interval_key};
use crate::load::Loaded;
use crate::scored::{self, TokenSet};
use crate::stats::Estimate;
use crate::stats::paired::Verdict;
use crate::{ReportError, ReportOptions, ranking, tables};

/// Everything that tables, charts and the page are made from.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Name of the experiment.
    pub experiment: String,
    /// Sentences that a reader must know before comparing.
    pub notes: Vec<String>,
    /// The records, ordered by output name, then seed.
    pub records: Vec<RunRecord>,
    /// The outputs by rising perplexity, those scored on the tokens of the reference first; those
    /// without a finished run come last, by name.
    pub outputs: Vec<OutputSummary>,
    /// Index in `outputs` of the output that the others are compared to.
    pub reference: Option<usize>,
    /// The reference that the options name.
    pub asked: Option<String>,
    /// Test tokens of the reference (of most outputs where there is none): only outputs scored on
    /// these are ranked.
    pub ranked_on: Option<TokenSet>,
    /// The fastest output within each tolerance; empty without a reference of finite perplexity.
    pub operating_points: Vec<OperatingPoint>,
}

/// One output of the experiment over its seeds.
#[derive(Debug, Clone)]
pub struct OutputSummary {
    /// Name in the experiment.
    pub name: String,
    /// Family of its layer.
    pub family: String,
    /// Finished runs, as indices of [`Summary::records`].
    pub finished: Vec<usize>,
    /// Failed runs, as indices of [`Summary::records`].
    pub failed: Vec<usize>,
    /// Means over the finished runs; `None` when there is none.
    pub figures: Option<Figures>,
    /// Test tokens that all finished runs were scored on; `None` where they differ or none
    /// finished.
    pub scored: Option<TokenSet>,
    /// Comparison with the reference.
    pub standing: Standing,
    /// Whether no other output of the same test tokens is both faster in training and lower in
    /// perplexity.
    pub on_front: bool,
}

/// Standing of an output against the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// No run of the output finished.
    AllFailed,
    /// There is no output to compare to.
    NoReference,
    /// The output is the one that the others are compared to.
    Reference,
    /// The output was scored on other test tokens than the reference.
    OtherTokens,
    /// Both were scored on the same tokens.
    Compared {
        /// Change of the mean test perplexity, in per cent; `None` where the reference's is not
        /// finite.
        change_percent: Option<f64>,
        /// Paired comparison of the test losses, in nats per token.
        verdict: Verdict,
    },
}

/// Means over the finished runs of one output, by the key of their column.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures(BTreeMap<&'static str, Estimate>);

/// The fastest output whose perplexity is within a tolerance of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Allowed increase of perplexity over the reference, in per cent.
    pub tolerance_percent: f64,
    /// Index in [`Summary::outputs`].
    pub output: usize,
    /// Training throughput as a multiple of the reference's.
    pub speedup: f64,
}

impl Standing {
    /// Whether the output was compared with the reference, or had to be left.
    pub fn is_comparison(&self) -> bool {
        matches!(self, Self::Compared { .. } | Self::OtherTokens)
    }
}

impl Figures {
    /// The mean of a figure; `None` where a finished run lacks it.
    pub fn of(&self, column: &columns::Column) -> Option<Estimate> {
        self.0.get(column.key).copied()
    }

    /// The mean of a figure as a number, NaN where a finished run lacks it.
    pub fn mean(&self, column: &columns::Column) -> f64 {
        self.of(column).map_or(f64::NAN, |estimate| estimate.mean)
    }
}

impl OutputSummary {
    /// Change of the mean test perplexity from the reference in per cent, where one was made.
    pub fn change_percent(&self) -> Option<f64> {
        match self.standing {
            Standing::Compared { change_percent, .. } => change_percent,
            _ => None,
        }
    }

    /// The mean of a figure as a number, NaN where there is none.
    pub fn mean(&self, column: &columns::Column) -> f64 {
        self.figures.as_ref().map_or(f64::NAN, |figures| figures.mean(column))
    }
}

impl Summary {
    /// Summarises records.
    ///
    /// # Errors
    /// The options name an unknown reference or a tolerance that is negative or no number; polars
    /// refused.
    pub fn new(loaded: Loaded, options: &ReportOptions) -> Result<Self, ReportError> {
        let Loaded { records, mut notes } = loaded;
        if let Some(&given) = options.tolerances_percent.iter().find(|t| !(t.is_finite() && **t >= 0.0)) {
            return Err(ReportError::Tolerance { given });
        }
        let table = |source| ReportError::Table { file: "means over seeds".into(), source };
        let means = tables::runs(&records).and_then(|runs| tables::means(&runs)).map_err(table)?;
        let mut outputs = group(&records, &figures(&means).map_err(table)?);
        let reference = ranking::reference(&outputs, options)?.map(|i| outputs[i].name.clone());
        let finished = || outputs.iter().filter(|output| output.figures.is_some());
        notes.extend(scored::notes(
            &finished().map(|output| (output.name.as_str(), output.scored.as_ref())).collect::<Vec<_>>(),
        ));
        notes.extend(scored::ignored(&records));
        let ranked_on = match outputs.iter().find(|output| Some(&output.name) == reference.as_ref()) {
            Some(reference) => reference.scored.clone(),
            None => scored::most_common(outputs.iter().filter_map(|output| output.scored.as_ref())),
        };
        let place = |output: &OutputSummary| {
            let failed = output.figures.is_none();
            (failed, output.scored != ranked_on, output.scored.clone())
        };
        outputs.sort_by(|a, b| {
            // A NaN of either sign comes last.
            let key = |output: &OutputSummary| {
                Some(output.mean(&PERPLEXITY)).filter(|mean| !mean.is_nan()).unwrap_or(f64::NAN)
            };
            place(a).cmp(&place(b)).then(key(a).total_cmp(&key(b))).then_with(|| a.name.cmp(&b.name))
        });
        let reference = reference.and_then(|name| outputs.iter().position(|output| output.name == name));
        let mut summary = Self {
            experiment: records.first().map(|record| record.run.experiment.clone()).unwrap_or_default(),
            notes,
            records,
            outputs,
            reference,
            asked: options.reference.clone(),
            ranked_on,
            operating_points: Vec::new(),
        };
        ranking::rank(&mut summary, &options.tolerances_percent);
        Ok(summary)
    }

    /// Whether an output was scored on the test tokens that the ranking is about.
    pub fn is_ranked(&self, output: &OutputSummary) -> bool {
        output.figures.is_some() && output.scored.is_some() && output.scored == self.ranked_on
    }

    /// Names of finished outputs that no chart of perplexities may draw beside the others.
    pub fn unranked(&self) -> Vec<&str> {
        let finished = self.outputs.iter().filter(|output| output.figures.is_some());
        finished.filter(|output| !self.is_ranked(output)).map(|output| output.name.as_str()).collect()
    }

    /// Reason why there is no reference; `None` where there is a reference with a finite
    /// perplexity.
    pub fn without_reference(&self) -> Option<String> {
        match (self.reference, &self.asked) {
            (Some(i), _) => {
                let finite = self.outputs[i].mean(&PERPLEXITY).is_finite();
                (!finite).then(|| {
                    format!("The test perplexity of the reference {} is not finite", self.outputs[i].name)
                })
            }
            (None, Some(name)) => Some(format!("No run of the reference {name} finished")),
            (None, None) => Some("No run of a full softmax finished".into()),
        }
        .map(|why| format!("{why}, so there is nothing to compare to."))
    }

    /// The results of an output's finished runs with their seeds.
    pub fn results(&self, output: &OutputSummary) -> Vec<(u64, &RunResult)> {
        let runs = output.finished.iter().map(|&i| &self.records[i]);
        runs.filter_map(|record| Some((record.run.seed, record.result()?))).collect()
    }

    /// Number of failed runs.
    pub fn failed_runs(&self) -> usize {
        self.outputs.iter().map(|output| output.failed.len()).sum()
    }

    /// Most seeds that an output finished.
    pub fn most_seeds(&self) -> usize {
        self.outputs.iter().map(|output| output.finished.len()).max().unwrap_or(0)
    }
}

/// The rows of [`tables::means`] by output.
fn figures(means: &DataFrame) -> PolarsResult<BTreeMap<String, Figures>> {
    let mut found: BTreeMap<String, Figures> = BTreeMap::new();
    if means.height() == 0 {
        return Ok(found);
    }
    let names: Vec<String> = means.column("output")?.str()?.iter().flatten().map(str::to_owned).collect();
    let counts = means.column(tables::RUNS)?.u64()?;
    for (row, name) in names.into_iter().enumerate() {
        let count = counts.get(row).unwrap_or(0) as usize;
        let mut figures = BTreeMap::new();
        for column in COLUMNS.iter().filter(|column| matches!(column.get, columns::ColumnValue::Figure(..))) {
            let Some(mean) = means.column(column.key)?.f64()?.get(row) else { continue };
            let half_width = means.column(&interval_key(column.key))?.f64()?.get(row);
            figures.insert(column.key, Estimate { mean, half_width, count });
        }
        found.insert(name, Figures(figures));
    }
    Ok(found)
}

fn group(records: &[RunRecord], figures: &BTreeMap<String, Figures>) -> Vec<OutputSummary> {
    let mut outputs: Vec<OutputSummary> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let at = outputs.iter().position(|output| output.name == record.run.name).unwrap_or_else(|| {
            outputs.push(OutputSummary {
                name: record.run.name.clone(),
                family: record.run.family.clone(),
                finished: Vec::new(),
                failed: Vec::new(),
                figures: figures.get(&record.run.name).cloned(),
                scored: None,
                standing: Standing::AllFailed,
                on_front: false,
            });
            outputs.len() - 1
        });
        match record.result() {
            Some(_) => outputs[at].finished.push(i),
            None => outputs[at].failed.push(i),
        }
    }
    for output in &mut outputs {
        let runs = output.finished.iter().map(|&i| &records[i]);
        let sets = runs.filter_map(|record| Some(TokenSet::of_test(record, record.result()?)));
        output.scored = scored::common(sets);
    }
    outputs
}
