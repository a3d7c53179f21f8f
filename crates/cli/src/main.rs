//! The binary `lexmax`: corpora, experiments and their reports from the command line.

mod corpus;
mod data;
mod errors;
mod layers;
mod measures;
mod out;
mod products;
mod report;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit status of a command that was ended, where the signal is not known.
const INTERRUPTED: u8 = 130;

/// Which output layer for a large vocabulary, and what does it cost? Trains the same language model
/// with different output layers, and shows exact perplexity, speed and memory.
#[derive(Debug, Parser)]
#[command(
    name = "lexmax",
    version,
    after_help = "\
Examples:
  lexmax run experiments/quickstart.toml
  lexmax report results/quickstart
  lexmax corpus build --train text.txt.gz --ratio 0.05,0.05 --unk '<unk>' --min-count 3 --out data/mine"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, generate and describe corpora.
    #[command(
        subcommand,
        after_help = "\
Examples:
  lexmax corpus build --train text.txt.gz --ratio 0.05,0.05 --unk '<unk>' --min-count 3 --out data/mine
  lexmax corpus show data/mine
  lexmax corpus synth --vocab-size 100000 --train-tokens 5000000 --seed 7 --out data/synth-100k"
    )]
    Corpus(corpus::CorpusCommand),
    /// Build and describe data sets of labelled texts, and score their counted baselines.
    #[command(
        subcommand,
        after_help = "\
Examples:
  lexmax data build intents.toml --out data/intents
  lexmax data show data/intents
  lexmax data baseline data/intents"
    )]
    Data(data::DataCommand),
    /// List the measures of many-class tasks, with their directions.
    Measures(measures::MeasuresArgs),
    /// Run an experiment: every output layer with every seed.
    Run(run::RunArgs),
    /// Write tables, charts and a page from the records of an experiment.
    Report(report::ReportArgs),
    /// List the output layers that an experiment can name.
    Layers(layers::LayersArgs),
    /// Show which library multiplies matrices on this machine, and why.
    Products(products::ProductsArgs),
    /// One run of an experiment, started by `lexmax run`.
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Corpus(command) => corpus::corpus(command),
        Command::Data(command) => data::data(command),
        Command::Measures(arguments) => measures::measures(&arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Layers(arguments) => layers::layers(&arguments),
        Command::Products(arguments) => products::products(&arguments),
        Command::Worker => lexmax_lab::run_worker().map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        errors::show(&error);
        match errors::is_interrupt(&error) {
            true => ExitCode::from(lexmax_lab::interrupted_status().unwrap_or(INTERRUPTED)),
            false => ExitCode::FAILURE,
        }
    })
}
