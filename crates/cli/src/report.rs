//! `lexmax report`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use lexmax_report::{ReportOptions, write_report};

use crate::out;

/// Arguments of `lexmax report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lexmax report results/quickstart
  lexmax report results/wikitext-2 --reference 'full tied' --tolerance 1 --tolerance 10")]
pub struct ReportArgs {
    /// Folder of an experiment's results.
    results: PathBuf,
    /// Output that the others are compared to; the full softmax where not given.
    #[arg(long, value_name = "OUTPUT")]
    reference: Option<String>,
    /// Allowed increase of test perplexity over the reference, in per cent, for an operating point;
    /// may be repeated.
    #[arg(
        long = "tolerance",
        value_name = "PERCENT",
        default_values_t = ReportOptions::default().tolerances_percent
    )]
    tolerances: Vec<f64>,
}

/// Writes the report and prints its table and where it is.
pub fn report(arguments: &ReportArgs) -> Result<ExitCode> {
    let options = ReportOptions {
        reference: arguments.reference.clone(),
        tolerances_percent: arguments.tolerances.clone(),
    };
    let paths = write_report(&arguments.results, &options)?;
    let table = std::fs::read_to_string(&paths.table)
        .with_context(|| format!("read the table {}", paths.table.display()))?;
    out::print(&format!("{}\n\nreport: {}\n", table.trim_end(), paths.page.display()))?;
    Ok(ExitCode::SUCCESS)
}
