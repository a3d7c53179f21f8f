//! `lexmax report`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lexmax_report::{ReportOptions, write_report};

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
    /// Allowed increase of test perplexity over the reference, in per cent, for an operating point; may be repeated.
    #[arg(long = "tolerance", value_name = "PERCENT")]
    tolerances: Vec<f64>,
}

/// Writes the report and prints its table and where it is.
pub fn report(arguments: &ReportArgs) -> Result<ExitCode> {
    let mut options = ReportOptions { reference: arguments.reference.clone(), ..ReportOptions::default() };
    if !arguments.tolerances.is_empty() {
        options.tolerances_percent.clone_from(&arguments.tolerances);
    }
    let paths = write_report(&arguments.results, &options)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", std::fs::read_to_string(&paths.table)?.trim_end())?;
    writeln!(out, "\nreport: {}", paths.page.display())?;
    Ok(ExitCode::SUCCESS)
}
