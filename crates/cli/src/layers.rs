//! `lexmax layers`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lexmax_lab::LAYERS;

use crate::out;

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
    let mut text = String::new();
    for entry in LAYERS {
        text += &format!("{:<14}{:<14}{}\n", entry.layer, entry.family, entry.summary);
        if arguments.sources {
            text += &format!("{:28}{}\n", "", entry.source);
        }
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
