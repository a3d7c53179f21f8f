//! `lexmax layers`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lexmax_lab::LAYERS;

/// Arguments of `lexmax layers`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lexmax layers --sources")]
pub struct LayersArgs {
    /// Show where each layer comes from.
    #[arg(long)]
    sources: bool,
}

/// Lists the layers.
pub fn layers(arguments: &LayersArgs) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for entry in LAYERS {
        writeln!(out, "{:<14}{:<14}{}", entry.layer, entry.family, entry.summary)?;
        if arguments.sources {
            writeln!(out, "{:28}{}", "", entry.source)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
