//! What the records say about each output: means over seeds, comparisons to the reference, the Pareto front and the
//! operating points. No files, no text.

use lexmax_records::{RunRecord, RunResult, RunStatus, nearest};

use crate::load::Loaded;
use crate::stats::paired::{self, Verdict};
use crate::stats::{Estimate, pareto};
use crate::{ReportError, ReportOptions};

/// Everything that tables, charts and the page are made from.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Name of the experiment.
    pub experiment: String,
    /// What a reader must know before comparing.
    pub notes: Vec<String>,
    /// The records, ordered by output name, then seed.
    pub records: Vec<RunRecord>,
    /// The outputs by rising perplexity; those without a finished run come last, by name.
    pub outputs: Vec<OutputSummary>,
    /// Index in `outputs` of the output that the others are compared to.
    pub reference: Option<usize>,
    /// The reference that the options name.
    pub asked: Option<String>,
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
    /// Change of the mean test perplexity from the reference, in per cent; `None` where the reference's is not finite.
    pub change_percent: Option<f64>,
    /// Paired comparison of the test loss to the reference, in nats per token; `None` for the reference itself.
    pub verdict: Option<Verdict>,
    /// Whether no other output is both faster in training and lower in perplexity.
    pub on_front: bool,
}

/// Means over the finished runs of one output.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Exact test perplexity.
    pub perplexity: Estimate,
    /// Exact test loss above the truth in nats per token, where every run knows the truth.
    pub excess_nats: Option<Estimate>,
    /// Seconds of training.
    pub train_seconds: Estimate,
    /// Seconds of the output layer's set-up, part of the training time.
    pub setup_seconds: Estimate,
    /// Training steps.
    pub steps: Estimate,
    /// Training tokens.
    pub tokens: Estimate,
    /// Training tokens per second.
    pub train_tokens_per_second: Estimate,
    /// Tokens per second of exact evaluation.
    pub eval_tokens_per_second: Estimate,
    /// Milliseconds per training step in the output layer.
    pub layer_ms: Estimate,
    /// Milliseconds for the exact 10 best classes of a batch.
    pub top_k_ms: Estimate,
    /// Parameters of the output layer.
    pub layer_parameters: Estimate,
    /// Parameters of the whole model.
    pub parameters: Estimate,
    /// Peak resident memory in bytes.
    pub peak_memory_bytes: Estimate,
}

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

impl Summary {
    /// Summarises records.
    ///
    /// # Errors
    /// The options name an unknown reference or a tolerance that is negative or no number.
    pub fn new(loaded: Loaded, options: &ReportOptions) -> Result<Self, ReportError> {
        let Loaded { records, notes } = loaded;
        if let Some(&given) = options.tolerances_percent.iter().find(|t| !(t.is_finite() && **t >= 0.0)) {
            return Err(ReportError::Tolerance { given });
        }
        let mut outputs = group(&records);
        outputs.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        let reference = find_reference(&outputs, options)?;
        if let Some(reference) = reference {
            compare(&mut outputs, &records, reference);
        }
        mark_front(&mut outputs);
        let operating_points = operating_points(&outputs, reference, &options.tolerances_percent);
        let experiment = records.first().map(|record| record.run.experiment.clone()).unwrap_or_default();
        let asked = options.reference.clone();
        Ok(Self { experiment, notes, records, outputs, reference, asked, operating_points })
    }

    /// Why there is nothing to compare to; `None` where there is a reference with a finite perplexity.
    pub fn without_reference(&self) -> Option<String> {
        match (self.reference, &self.asked) {
            (Some(i), _) => {
                let finite =
                    self.outputs[i].figures.is_some_and(|figures| figures.perplexity.mean.is_finite());
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
        results(&self.records, output)
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

fn results<'a>(records: &'a [RunRecord], output: &OutputSummary) -> Vec<(u64, &'a RunResult)> {
    output.finished.iter().filter_map(|&i| Some((records[i].run.seed, records[i].result()?))).collect()
}

/// Sort key: the mean perplexity, with everything that is no number last.
fn key(output: &OutputSummary) -> f64 {
    output.figures.map(|figures| figures.perplexity.mean).filter(|mean| !mean.is_nan()).unwrap_or(f64::NAN)
}

fn group(records: &[RunRecord]) -> Vec<OutputSummary> {
    let mut outputs: Vec<OutputSummary> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let at = outputs.iter().position(|output| output.name == record.run.name).unwrap_or_else(|| {
            outputs.push(OutputSummary {
                name: record.run.name.clone(),
                family: record.run.family.clone(),
                finished: Vec::new(),
                failed: Vec::new(),
                figures: None,
                change_percent: None,
                verdict: None,
                on_front: false,
            });
            outputs.len() - 1
        });
        match &record.status {
            RunStatus::Finished(_) => outputs[at].finished.push(i),
            RunStatus::Failed { .. } => outputs[at].failed.push(i),
        }
    }
    for output in &mut outputs {
        output.figures = figures(&results(records, output));
    }
    outputs
}

fn figures(results: &[(u64, &RunResult)]) -> Option<Figures> {
    let mean = |field: fn(&RunResult) -> f64| {
        Estimate::of(&results.iter().map(|(_, result)| field(result)).collect::<Vec<_>>())
    };
    let excess: Option<Vec<f64>> = results.iter().map(|(_, result)| result.excess_nats()).collect();
    Some(Figures {
        perplexity: mean(|r| r.test.perplexity())?,
        excess_nats: excess.and_then(|values| Estimate::of(&values)),
        train_seconds: mean(|r| r.train_seconds)?,
        setup_seconds: mean(|r| r.setup_seconds)?,
        steps: mean(|r| r.steps as f64)?,
        tokens: mean(|r| r.tokens as f64)?,
        train_tokens_per_second: mean(|r| r.train_tokens_per_second)?,
        eval_tokens_per_second: mean(|r| r.eval_tokens_per_second)?,
        layer_ms: mean(|r| r.layer_ms)?,
        top_k_ms: mean(|r| r.top_k_ms)?,
        layer_parameters: mean(|r| r.layer_parameters as f64)?,
        parameters: mean(|r| r.parameters as f64)?,
        peak_memory_bytes: mean(|r| r.peak_memory_bytes.unwrap_or(0) as f64)?,
    })
}

/// The output named in the options, else the one named `full`, else the first finished one of the family full by name.
fn find_reference(outputs: &[OutputSummary], options: &ReportOptions) -> Result<Option<usize>, ReportError> {
    let finished = |i: &usize| outputs[*i].figures.is_some();
    if let Some(name) = &options.reference {
        let found = outputs.iter().position(|output| &output.name == name).ok_or_else(|| {
            let mut known: Vec<_> = outputs.iter().map(|output| output.name.clone()).collect();
            known.sort();
            ReportError::UnknownReference {
                name: name.clone(),
                nearest: nearest(name, &known).map(str::to_owned),
                known,
            }
        })?;
        return Ok(Some(found).filter(finished));
    }
    let named = outputs.iter().position(|output| output.name == "full").filter(finished);
    Ok(named.or_else(|| {
        (0..outputs.len())
            .filter(|&i| outputs[i].family == "full")
            .filter(finished)
            .min_by(|&a, &b| outputs[a].name.cmp(&outputs[b].name))
    }))
}

fn compare(outputs: &mut [OutputSummary], records: &[RunRecord], reference: usize) {
    let losses = |output: &OutputSummary| -> Vec<(u64, f64)> {
        results(records, output).into_iter().map(|(seed, result)| (seed, result.test.nll())).collect()
    };
    let base_losses = losses(&outputs[reference]);
    // Everything is "100 % better" than an infinite perplexity, which says nothing.
    let base =
        outputs[reference].figures.map(|figures| figures.perplexity.mean).filter(|mean| mean.is_finite());
    for (i, output) in outputs.iter_mut().enumerate() {
        output.change_percent = output
            .figures
            .zip(base)
            .map(|(figures, base)| 100.0 * (figures.perplexity.mean / base - 1.0))
            .filter(|_| i != reference);
        output.verdict = (i != reference && output.figures.is_some())
            .then(|| paired::compare(&losses(output), &base_losses));
    }
}

fn mark_front(outputs: &mut [OutputSummary]) {
    let points: Vec<pareto::Point> = outputs
        .iter()
        .map(|output| match output.figures {
            Some(f) => pareto::Point { gain: f.train_tokens_per_second.mean, cost: f.perplexity.mean },
            None => pareto::Point { gain: f64::NAN, cost: f64::NAN },
        })
        .collect();
    for (output, on_front) in outputs.iter_mut().zip(pareto::front(&points)) {
        output.on_front = on_front;
    }
}

fn operating_points(
    outputs: &[OutputSummary],
    reference: Option<usize>,
    tolerances: &[f64],
) -> Vec<OperatingPoint> {
    let base = reference.and_then(|reference| outputs[reference].figures);
    let Some(base) = base.filter(|base| base.perplexity.mean.is_finite()) else { return Vec::new() };
    let mut points = Vec::new();
    for &tolerance_percent in tolerances {
        let limit = base.perplexity.mean * (1.0 + tolerance_percent / 100.0);
        let fastest = outputs
            .iter()
            .enumerate()
            .filter_map(|(i, output)| Some((i, output.figures?)))
            .filter(|(_, figures)| figures.perplexity.mean <= limit)
            .map(|(i, figures)| (i, figures.train_tokens_per_second.mean))
            .filter(|(_, speed)| speed.is_finite())
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((output, speed)) = fastest {
            let speedup = speed / base.train_tokens_per_second.mean;
            points.push(OperatingPoint { tolerance_percent, output, speedup });
        }
    }
    points
}
