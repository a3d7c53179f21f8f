//! Data frames: one row a run, one row an output, one row a point of a learning curve; as CSV and
//! as Parquet.

use lexmax_records::RunRecord;
use polars::prelude::*;

use crate::ReportError;
use crate::columns::{COLUMNS, ColumnValue, Value, interval_key};
use crate::stats::Estimate;
use crate::summary::Summary;

/// Column of [`means`] that counts the runs of each mean.
pub const RUNS: &str = "runs_finished";

/// One row for each run, with every recorded figure, in the order of the records.
///
/// Figures of failed runs and figures that a run does not have are null.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lexmax_records::RunStore;
///
/// let results = tempfile::tempdir()?;
/// let records = RunStore::open(results.path()).read_all()?.into_records();
/// let frame = lexmax_report::runs(&records)?;
/// // Nothing ran there; else `frame` has the columns `output`, `seed`, `test_perplexity`, `layer_ms` and so on.
/// assert_eq!(frame.height(), 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// polars refused.
pub fn runs(records: &[RunRecord]) -> PolarsResult<DataFrame> {
    let cells = |get: &dyn Fn(&RunRecord) -> Option<Value>| records.iter().map(get).collect::<Vec<_>>();
    let columns = COLUMNS.iter().filter_map(|column| match column.get {
        ColumnValue::Run(get) | ColumnValue::Both(get, _) => {
            Some(typed(column.key, cells(&|record| Some(get(record)))))
        }
        ColumnValue::Figure(get, _) => Some(typed(column.key, cells(&|record| record.result().map(get)))),
        ColumnValue::Output(..) => None,
    });
    DataFrame::new_infer_height(columns.collect())
}

/// One row for each output that finished a run: the mean of every figure over its finished runs,
/// and half the width of its 95 % interval (Student t) in the column of [`interval_key`]. A figure
/// that a finished run lacks has no mean.
///
/// # Errors
/// polars refused.
pub fn means(runs: &DataFrame) -> PolarsResult<DataFrame> {
    if runs.height() == 0 {
        return Ok(DataFrame::empty());
    }
    let finished = runs.column("state")?.str()?.equal("finished");
    let finished = runs.filter(&finished)?;
    if finished.height() == 0 {
        return Ok(DataFrame::empty());
    }
    finished.group_by_stable(["output"])?.apply(|runs| {
        let count = Column::new(RUNS.into(), [runs.height() as u64]);
        let mut columns = vec![runs.column("output")?.head(Some(1)), count];
        for key in COLUMNS
            .iter()
            .filter(|column| matches!(column.get, ColumnValue::Figure(..)))
            .map(|column| column.key)
        {
            let values: Option<Vec<f64>> =
                runs.column(key)?.cast(&DataType::Float64)?.f64()?.iter().collect();
            let estimate = values.and_then(|values| Estimate::of(&values));
            columns.push(Column::new(key.into(), [estimate.map(|estimate| estimate.mean)]));
            let half_width = estimate.and_then(|estimate| estimate.half_width);
            columns.push(Column::new(interval_key(key).into(), [half_width]));
        }
        DataFrame::new_infer_height(columns)
    })
}

/// One row for each output, in the order of the summary: means, intervals and comparisons.
pub fn outputs(summary: &Summary) -> PolarsResult<DataFrame> {
    let outputs = &summary.outputs;
    let mut columns = Vec::new();
    for column in COLUMNS {
        match column.get {
            ColumnValue::Run(_) => {}
            ColumnValue::Both(_, name) => {
                columns.push(Column::new(column.key.into(), outputs.iter().map(name).collect::<Vec<_>>()));
            }
            ColumnValue::Output(get, _) => {
                columns.push(typed(column.key, outputs.iter().map(|output| Some(get(output))).collect()));
            }
            ColumnValue::Figure(..) => {
                let estimates: Vec<Option<Estimate>> =
                    outputs.iter().map(|output| output.figures.as_ref()?.of(column)).collect();
                let means: Vec<_> = estimates.iter().map(|e| e.map(|e| e.mean)).collect();
                let halves: Vec<_> = estimates.iter().map(|e| e.and_then(|e| e.half_width)).collect();
                columns.push(Column::new(column.key.into(), means));
                columns.push(Column::new(interval_key(column.key).into(), halves));
            }
        }
    }
    DataFrame::new_infer_height(columns)
}

/// Column of its cells' type; nulls where no cell has a type.
fn typed(key: &str, cells: Vec<Option<Value>>) -> Column {
    macro_rules! column {
        ($variant:ident) => {
            cells
                .into_iter()
                .map(|cell| match cell {
                    Some(Value::$variant(value)) => value,
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
    }
    let key = key.into();
    match cells.iter().flatten().next() {
        Some(Value::Text(_)) => Column::new(key, column!(Text)),
        Some(Value::Count(_)) => Column::new(key, column!(Count)),
        Some(Value::Flag(_)) => Column::new(key, column!(Flag)),
        Some(Value::Real(_)) | None => Column::new(key, column!(Real)),
    }
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

/// The bytes of a table as Parquet, compressed by Zstandard.
///
/// # Errors
/// Errors of [`csv`].
pub fn parquet(file: &str, frame: PolarsResult<DataFrame>) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    frame
        .and_then(|mut frame| {
            ParquetWriter::new(&mut bytes)
                .with_compression(ParquetCompression::Zstd(None))
                .finish(&mut frame)
                .map(drop)
        })
        .map_err(|source| ReportError::Table { file: file.into(), source })?;
    Ok(bytes)
}
