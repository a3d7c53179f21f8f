//! Makes the report of an experiment from its stored records: tables, statistics over seeds, charts
//! and one page.
//!
//! Nothing here trains or knows a tensor. The same records give the same bytes, whenever and
//! however often a report is written.
//!
//! ```
//! use lexmax_report::{ReportError, ReportOptions, write_report};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let results = tempfile::tempdir()?;
//! // An experiment that has not run yet has nothing to report.
//! let answer = write_report(results.path(), &ReportOptions::default());
//! assert!(matches!(answer, Err(ReportError::NoRecords { .. })));
//! # Ok(())
//! # }
//! ```

mod charts;
mod columns;
mod error;
mod format;
mod html;
mod load;
mod markdown;
pub mod parts;
mod ranking;
mod rows;
mod scored;
mod stats;
mod summary;
#[cfg(test)]
mod synthetic;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use lexmax_records::write_atomically;

pub use error::ReportError;
pub use tables::runs;

/// Options of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportOptions {
    /// Output that the others are compared to. By default the one named `full`, else the first of
    /// the family full by name, of those that finished a run.
    pub reference: Option<String>,
    /// Tolerances of the operating points: allowed increases of test perplexity over the reference,
    /// in per cent.
    pub tolerances_percent: Vec<f64>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { reference: None, tolerances_percent: vec![1.0, 2.0, 5.0] }
    }
}

/// Files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPaths {
    /// The folder `report` of the results.
    pub folder: PathBuf,
    /// The page that holds everything.
    pub page: PathBuf,
    /// The table of outputs as Markdown.
    pub table: PathBuf,
    /// Every file written, the page and the table among them, in order of writing.
    pub files: Vec<PathBuf>,
}

/// Reads `results/runs/*.json` and writes `results/report/`.
///
/// Written are `table.md`, `table.csv` and `table.parquet` (one row an output), `runs.csv` and
/// `runs.parquet` (one row a run), `curves.csv` (one row a point of a learning curve),
/// `operating_points.md`, the charts `learning_curves`, `pareto`, `bands`, `memory` and
/// `layer_time` as `.svg` and `.png` where there is data for them, and `report.html`. Charts of an
/// earlier report that have no data any more are removed.
///
/// # Errors
/// There is no record or one cannot be read, the options name an unknown reference or a bad
/// tolerance, a table or chart cannot be made, or the file system refuses. Each file is replaced
/// whole or not at all.
pub fn write_report(results: &Path, options: &ReportOptions) -> Result<ReportPaths, ReportError> {
    let summary = summary::Summary::new(load::load(results)?, options)?;
    let folder = results.join("report");
    let mut files: Vec<PathBuf> = Vec::new();
    let mut write = |file: &str, bytes: &[u8]| -> Result<PathBuf, ReportError> {
        let path = folder.join(file);
        write_atomically(&path, bytes).map_err(|source| ReportError::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        files.push(path.clone());
        Ok(path)
    };
    let table = write("table.md", markdown::table(&summary).as_bytes())?;
    write("table.csv", &tables::csv("table.csv", tables::outputs(&summary))?)?;
    write("table.parquet", &tables::parquet("table.parquet", tables::outputs(&summary))?)?;
    write("runs.csv", &tables::csv("runs.csv", tables::runs(&summary.records))?)?;
    write("runs.parquet", &tables::parquet("runs.parquet", tables::runs(&summary.records))?)?;
    write("curves.csv", &tables::csv("curves.csv", tables::curves(&summary))?)?;
    write("operating_points.md", markdown::operating_points(&summary).as_bytes())?;

    let charts = charts::all(&summary);
    let mut figures = Vec::new();
    for chart in &charts {
        let [(svg_file, svg), (png_file, png)] = charts::rendered(chart)?;
        write(&svg_file, &svg)?;
        write(&png_file, &png)?;
        let svg = String::from_utf8_lossy(&svg).into_owned();
        figures.push((chart.title.clone(), svg));
    }
    let page = write("report.html", html::page(&summary, &figures, &folder_name(results)).as_bytes())?;
    charts::remove_stale(&folder, &charts::FILES, &files)?;
    Ok(ReportPaths { folder, page, table, files })
}

/// Last part of the path, resolved where the path is relative and ends in dots.
fn folder_name(results: &Path) -> String {
    let resolved = std::fs::canonicalize(results).unwrap_or_else(|_| results.to_owned());
    resolved.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
