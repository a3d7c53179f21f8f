//! `lexmax measures`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lexmax_metrics::{Direction, MEASURES};

use crate::out;

/// Arguments of `lexmax measures`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lexmax measures --formulas")]
pub struct MeasuresArgs {
    /// Show formula and source of each measure.
    #[arg(long)]
    formulas: bool,
}

/// Lists the measures.
pub fn measures(arguments: &MeasuresArgs) -> Result<ExitCode> {
    let mut text = String::new();
    for measure in MEASURES {
        let better = match measure.direction {
            Direction::Higher => "higher is better",
            Direction::Lower => "lower is better",
        };
        text += &format!("{:<22}{:<18}{}\n", measure.name, better, measure.definition);
        if arguments.formulas {
            text += &format!("{:40}{}\n{:40}{}\n", "", measure.formula, "", measure.source);
        }
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
