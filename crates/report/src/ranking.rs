//! The outputs among each other: comparisons to the reference, the Pareto front and the operating
//! points. All of it only between outputs that were scored on the same test tokens.

use lexmax_records::nearest;

use crate::columns::{PERPLEXITY, SPEED};
use crate::stats::paired;
use crate::stats::pareto::{self, Point};
use crate::summary::{OperatingPoint, OutputSummary, Standing, Summary};
use crate::{ReportError, ReportOptions};

/// Index of the output named in the options, else of the one named `full`, else of the first of the
/// family full by name; `None` where no run of it finished.
///
/// # Errors
/// The options name an output that the records do not have.
pub fn reference(outputs: &[OutputSummary], options: &ReportOptions) -> Result<Option<usize>, ReportError> {
    let finished = |i: &usize| outputs[*i].figures.is_some();
    if let Some(name) = &options.reference {
        let found = outputs.iter().position(|output| &output.name == name).ok_or_else(|| {
            let mut known: Vec<_> = outputs.iter().map(|output| output.name.clone()).collect();
            known.sort();
            let nearest = nearest(name, &known).map(str::to_owned);
            ReportError::UnknownReference { name: name.clone(), nearest, known }
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

/// Fills in standings, front and operating points.
pub fn rank(summary: &mut Summary, tolerances_percent: &[f64]) {
    let standings: Vec<Standing> = (0..summary.outputs.len()).map(|i| standing(summary, i)).collect();
    let front = front(summary);
    for (output, (standing, on_front)) in summary.outputs.iter_mut().zip(standings.into_iter().zip(front)) {
        (output.standing, output.on_front) = (standing, on_front);
    }
    summary.operating_points = operating_points(summary, tolerances_percent);
}

fn standing(summary: &Summary, i: usize) -> Standing {
    let output = &summary.outputs[i];
    let Some(reference) = summary.reference.map(|reference| &summary.outputs[reference]) else {
        return if output.figures.is_some() { Standing::NoReference } else { Standing::AllFailed };
    };
    if output.figures.is_none() {
        return Standing::AllFailed;
    }
    if summary.reference == Some(i) {
        return Standing::Reference;
    }
    if !summary.is_ranked(output) {
        return Standing::OtherTokens;
    }
    let losses = |output: &OutputSummary| -> Vec<(u64, f64)> {
        summary.results(output).into_iter().map(|(seed, result)| (seed, result.test.nll())).collect()
    };
    // Everything is "100 % better" than an infinite perplexity, which says nothing.
    let base = Some(reference.mean(&PERPLEXITY)).filter(|mean| mean.is_finite());
    Standing::Compared {
        change_percent: base.map(|base| 100.0 * (output.mean(&PERPLEXITY) / base - 1.0)),
        verdict: paired::compare(&losses(output), &losses(reference)),
    }
}

/// Marks the outputs on the front; those of other tokens are on none.
fn front(summary: &Summary) -> Vec<bool> {
    let nowhere = Point { gain: f64::NAN, cost: f64::NAN };
    let point = |output: &OutputSummary| match summary.is_ranked(output) {
        true => Point { gain: output.mean(&SPEED), cost: output.mean(&PERPLEXITY) },
        false => nowhere,
    };
    pareto::front(&summary.outputs.iter().map(point).collect::<Vec<_>>())
}

fn operating_points(summary: &Summary, tolerances: &[f64]) -> Vec<OperatingPoint> {
    let Some(base) = summary.reference.map(|reference| &summary.outputs[reference]) else {
        return Vec::new();
    };
    if !base.mean(&PERPLEXITY).is_finite() {
        return Vec::new();
    }
    let mut points = Vec::new();
    for &tolerance_percent in tolerances {
        let limit = base.mean(&PERPLEXITY) * (1.0 + tolerance_percent / 100.0);
        let fastest = summary
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| summary.is_ranked(output) && output.mean(&PERPLEXITY) <= limit)
            .map(|(i, output)| (i, output.mean(&SPEED)))
            .filter(|(_, speed)| speed.is_finite())
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((output, speed)) = fastest {
            points.push(OperatingPoint { tolerance_percent, output, speedup: speed / base.mean(&SPEED) });
        }
    }
    points
}
