//! Data tables by polars, as CSV and Parquet: one row an output, one row a run, one row a point of a learning curve.

use polars::prelude::*;

use crate::ReportError;
use crate::stats::Estimate;
use crate::summary::{Figures, OutputSummary, Summary};

const MIB: f64 = 1024.0 * 1024.0;

/// One row for each output, in the order of the summary.
pub fn outputs(summary: &Summary) -> PolarsResult<DataFrame> {
    let outputs = &summary.outputs;
    let text = |name: &str, of: fn(&OutputSummary) -> &str| {
        Column::new(name.into(), outputs.iter().map(of).collect::<Vec<_>>())
    };
    let number = |name: &str, of: &dyn Fn(&Figures) -> Option<f64>| {
        Column::new(name.into(), outputs.iter().map(|o| o.figures.as_ref().and_then(of)).collect::<Vec<_>>())
    };
    let count = |name: &str, of: fn(&OutputSummary) -> usize| {
        Column::new(name.into(), outputs.iter().map(|o| of(o) as u64).collect::<Vec<_>>())
    };
    let mean = |name: &str, of: fn(&Figures) -> Estimate| number(name, &|f| Some(of(f).mean));
    let half = |name: &str, of: fn(&Figures) -> Estimate| number(name, &|f| of(f).half_width);
    let verdicts: Vec<_> =
        outputs.iter().map(|output| output.verdict.as_ref().map(crate::format::verdict)).collect();
    let changes: Vec<_> = outputs.iter().map(|output| output.change_percent).collect();
    DataFrame::new_infer_height(vec![
        text("output", |o| &o.name),
        text("family", |o| &o.family),
        count("runs_finished", |o| o.finished.len()),
        count("runs_failed", |o| o.failed.len()),
        mean("test_perplexity", |f| f.perplexity),
        half("test_perplexity_ci95", |f| f.perplexity),
        Column::new("perplexity_change_percent".into(), changes),
        number("excess_nats", &|f| f.excess_nats.map(|e| e.mean)),
        number("excess_nats_ci95", &|f| f.excess_nats.and_then(|e| e.half_width)),
        mean("train_seconds", |f| f.train_seconds),
        mean("setup_seconds", |f| f.setup_seconds),
        mean("steps", |f| f.steps),
        mean("tokens", |f| f.tokens),
        mean("train_tokens_per_second", |f| f.train_tokens_per_second),
        half("train_tokens_per_second_ci95", |f| f.train_tokens_per_second),
        mean("eval_tokens_per_second", |f| f.eval_tokens_per_second),
        mean("layer_ms_per_step", |f| f.layer_ms),
        mean("top10_ms", |f| f.top_k_ms),
        number("layer_parameters_millions", &|f| Some(f.layer_parameters.mean / 1e6)),
        number("parameters_millions", &|f| Some(f.parameters.mean / 1e6)),
        number("peak_memory_mib", &|f| Some(f.peak_memory_bytes.mean / MIB)),
        Column::new("on_front".into(), outputs.iter().map(|o| o.on_front).collect::<Vec<_>>()),
        Column::new("verdict".into(), verdicts),
    ])
}

/// One row for each run, as recorded.
pub fn runs(summary: &Summary) -> PolarsResult<DataFrame> {
    use lexmax_records::{RunRecord, RunResult, RunStatus};
    let records = &summary.records;
    let text = |name: &str, of: &dyn Fn(&RunRecord) -> Option<String>| {
        Column::new(name.into(), records.iter().map(of).collect::<Vec<_>>())
    };
    let float = |name: &str, of: fn(&RunResult) -> Option<f64>| {
        Column::new(name.into(), records.iter().map(|r| r.result().and_then(of)).collect::<Vec<_>>())
    };
    let whole = |name: &str, of: fn(&RunResult) -> u64| {
        Column::new(name.into(), records.iter().map(|r| r.result().map(of)).collect::<Vec<_>>())
    };
    let failed = |record: &RunRecord| match &record.status {
        RunStatus::Finished(_) => None,
        RunStatus::Failed { error, step } => Some((error.clone(), *step)),
    };
    DataFrame::new_infer_height(vec![
        text("id", &|r| Some(r.run.id.to_string())),
        text("experiment", &|r| Some(r.run.experiment.clone())),
        text("output", &|r| Some(r.run.name.clone())),
        text("family", &|r| Some(r.run.family.clone())),
        Column::new("seed".into(), records.iter().map(|r| r.run.seed).collect::<Vec<_>>()),
        Column::new("started_unix".into(), records.iter().map(|r| r.run.started_unix).collect::<Vec<_>>()),
        text("state", &|r| Some(if failed(r).is_some() { "failed" } else { "finished" }.into())),
        text("error", &|r| failed(r).map(|(error, _)| error)),
        Column::new(
            "failed_step".into(),
            records.iter().map(|r| failed(r).and_then(|(_, step)| step)).collect::<Vec<Option<u64>>>(),
        ),
        float("test_nll", |r| Some(r.test.nll())),
        float("test_perplexity", |r| Some(r.test.perplexity())),
        whole("test_tokens_scored", |r| r.test.tokens()),
        float("valid_nll", |r| Some(r.valid_nll)),
        float("true_test_nll", |r| r.true_test_nll),
        float("excess_nats", RunResult::excess_nats),
        float("train_seconds", |r| Some(r.train_seconds)),
        float("setup_seconds", |r| Some(r.setup_seconds)),
        whole("steps", |r| r.steps),
        whole("tokens", |r| r.tokens),
        float("train_tokens_per_second", |r| Some(r.train_tokens_per_second)),
        float("eval_tokens_per_second", |r| Some(r.eval_tokens_per_second)),
        float("layer_ms_per_step", |r| Some(r.layer_ms)),
        float("top10_ms", |r| Some(r.top_k_ms)),
        whole("top10_rows", |r| r.top_k_rows),
        whole("layer_parameters", |r| r.layer_parameters),
        whole("parameters", |r| r.parameters),
        float("peak_memory_bytes", |r| r.peak_memory_bytes.map(|bytes| bytes as f64)),
        text("cpu", &|r| Some(r.run.environment.cpu.clone())),
        Column::new(
            "threads".into(),
            records.iter().map(|r| r.run.environment.threads as u64).collect::<Vec<_>>(),
        ),
        text("device", &|r| Some(r.run.environment.device.clone())),
        text("commit", &|r| r.run.environment.commit.clone()),
    ])
}

/// One row for each point of a learning curve.
pub fn curves(summary: &Summary) -> PolarsResult<DataFrame> {
    let points: Vec<_> = summary
        .records
        .iter()
        .flat_map(|record| record.curve.iter().map(move |point| (record, point)))
        .collect();
    macro_rules! column {
        ($name:literal, $of:expr) => {
            Column::new($name.into(), points.iter().map($of).collect::<Vec<_>>())
        };
    }
    DataFrame::new_infer_height(vec![
        column!("id", |(r, _)| r.run.id.to_string()),
        column!("output", |(r, _)| r.run.name.clone()),
        column!("seed", |(r, _)| r.run.seed),
        column!("step", |(_, p)| p.step),
        column!("tokens", |(_, p)| p.tokens),
        column!("train_seconds", |(_, p)| p.train_seconds),
        column!("train_loss", |(_, p)| p.train_loss),
        column!("valid_nll", |(_, p)| p.valid_nll),
        column!("valid_perplexity", |(_, p)| p.valid_nll.exp()),
        column!("valid_tokens", |(_, p)| p.valid_tokens),
        column!("learning_rate", |(_, p)| p.learning_rate),
    ])
}

/// The bytes of a table as CSV.
///
/// # Errors
/// The frame could not be made or written; the error names the file.
pub fn csv(file: &str, frame: PolarsResult<DataFrame>) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    frame
        .and_then(|mut frame| CsvWriter::new(&mut bytes).include_header(true).finish(&mut frame))
        .map_err(|source| ReportError::Table { file: file.into(), source })?;
    Ok(bytes)
}

/// The bytes of a table as Parquet.
///
/// # Errors
/// As [`csv`].
pub fn parquet(file: &str, frame: PolarsResult<DataFrame>) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    frame
        .and_then(|mut frame| {
            ParquetWriter::new(&mut bytes)
                .with_compression(ParquetCompression::Uncompressed)
                .finish(&mut frame)
                .map(drop)
        })
        .map_err(|source| ReportError::Table { file: file.into(), source })?;
    Ok(bytes)
}
