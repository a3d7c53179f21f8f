//! `lexmax products`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use lexmax_products::{Choice, Reason, has_bf16_instructions};

use crate::out;

/// Arguments of `lexmax products`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lexmax products
  lexmax products --again
  LEXMAX_PRODUCTS=gemm lexmax run experiments/quickstart.toml")]
pub struct ProductsArgs {
    /// Measure this machine again, and keep the answer.
    #[arg(long)]
    again: bool,
}

/// Shows the choice, and what it rests on.
pub fn products(arguments: &ProductsArgs) -> Result<ExitCode> {
    if arguments.again {
        lexmax_products::forget()?;
    }
    let Choice { library, reason } = lexmax_products::chosen()?;
    let mut text = format!("{}\n", library.name());
    match reason {
        Reason::Variable => text += &format!("named by the variable {}\n", lexmax_products::VARIABLE),
        Reason::Alone => text += "no BLAS is loaded beside it\n",
        Reason::Measured(rates) | Reason::Kept(rates) => {
            let when = if matches!(reason, Reason::Kept(_)) { "before" } else { "now" };
            text += &format!(
                "the fastest of these, measured {when} on the products of a tile, one thread, f32:\n"
            );
            for rate in rates {
                text += &format!("  {:6}{:8.1} GFLOP/s\n", rate.name, rate.gflops);
            }
        }
    }
    let of_bf16 = if has_bf16_instructions() { "AVX-512-BF16" } else { "f32 arithmetic, to the same bits" };
    text += &format!("bf16 (`training.dtype = \"bf16\"`): by {of_bf16}\n");
    if let Some(file) = lexmax_products::kept_in() {
        text += &format!("kept in {}\n", file.display());
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
