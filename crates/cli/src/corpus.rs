//! `lexmax corpus build | show | synth`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lexmax_corpus::{
    BuildOptions, Corpus, SynthOptions, TextInput, Tokenizer, build_observed, describe, synthesize_observed,
};
use lexmax_lab::{CorpusDisplay, catch_interrupts};

use crate::out;

/// Commands on corpora.
#[derive(Debug, Subcommand)]
pub enum CorpusCommand {
    /// Make a corpus from text files: plain, .gz or .zst.
    Build(BuildArgs),
    /// Print sizes, coverage by rank, Zipf exponent and unigram perplexity.
    Show(ShowArgs),
    /// Make a synthetic language whose true log-probabilities are known.
    Synth(SynthArgs),
}

/// Arguments of `lexmax corpus build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Text is UTF-8. Other encodings, archives and files packed by other programs are refused by name. A zst file packed with a
long window needs that much memory, at most 2 GiB.

A folder that holds a corpus made with the same options from the same files is opened as it is, and a build waits for one
at work on the same folder. Ctrl-C and SIGTERM leave nothing of a corpus in the making; the exit
status is 130 or 143 then.

Examples:
  lexmax corpus build --train train.txt.gz --valid valid.txt.gz --test test.txt.gz \\
      --unk '<unk>' --eos '<eos>' --out data/mine
  lexmax corpus build --train a.txt b.txt.zst --ratio 0.05,0.05 --unk '<unk>' --min-count 3 --out data/mine")]
pub struct BuildArgs {
    /// Files of the training split, or of all splits with --ratio.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    train: Vec<PathBuf>,
    /// Files of the validation split.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    valid: Vec<PathBuf>,
    /// Files of the test split.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    test: Vec<PathBuf>,
    /// Deal the files out: the shares of the validation and the test split, each above 0. Blocks of
    /// lines are spread over the text; of a text with too few lines, such as text8, the last tokens
    /// are taken.
    #[arg(long, value_name = "VALID,TEST", conflicts_with_all = ["valid", "test"], value_parser = parse_ratio)]
    ratio: Option<(f64, f64)>,
    /// With --ratio, lines that stay together when files are dealt out; 100 where not given.
    #[arg(long)]
    block_lines: Option<u64>,
    /// `words` (by white space) or `characters`.
    #[arg(long, default_value_t = Tokenizer::Words)]
    tokenizer: Tokenizer,
    /// Training words seen less often become the unknown word.
    #[arg(long, default_value_t = 1)]
    min_count: u64,
    /// Most entries of the vocabulary; rarer words become the unknown word.
    #[arg(long)]
    max_vocab: Option<usize>,
    /// Word that stands for words outside the vocabulary.
    #[arg(long, value_name = "WORD")]
    unk: Option<String>,
    /// Word put at the end of each line.
    #[arg(long, value_name = "WORD")]
    eos: Option<String>,
    /// Name of the corpus; that of its folder where not given.
    #[arg(long)]
    name: Option<String>,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Arguments of `lexmax corpus show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lexmax corpus show data/mine")]
pub struct ShowArgs {
    /// A corpus folder.
    corpus: PathBuf,
}

/// Arguments of `lexmax corpus synth`. The defaults are those of experiment files.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lexmax corpus synth --vocab-size 100000 --train-tokens 5000000 --seed 7 --out data/synth-100k")]
pub struct SynthArgs {
    /// Root seed; the same seed and options give the same bytes.
    #[arg(long, default_value_t = SynthOptions::default().seed)]
    seed: u64,
    /// Words, V.
    #[arg(long, default_value_t = SynthOptions::default().vocab_size)]
    vocab_size: usize,
    /// Hidden word classes.
    #[arg(long, default_value_t = SynthOptions::default().classes)]
    classes: usize,
    /// How many words back the hidden context looks, 1 or 2.
    #[arg(long, default_value_t = SynthOptions::default().order)]
    order: usize,
    /// Rank of what the context adds to the logits.
    #[arg(long, default_value_t = SynthOptions::default().rank)]
    rank: usize,
    /// Share of a context's variance that belongs to the pair of classes, 0 to 1; 0.25 where not
    /// given, order 1 has none.
    #[arg(long)]
    interaction: Option<f64>,
    /// How much the context changes the distribution.
    #[arg(long, default_value_t = SynthOptions::default().strength)]
    strength: f64,
    /// Zipf exponent.
    #[arg(long, default_value_t = SynthOptions::default().exponent)]
    exponent: f64,
    /// Zipf-Mandelbrot shift.
    #[arg(long, default_value_t = SynthOptions::default().shift)]
    shift: f64,
    /// Training tokens.
    #[arg(long, default_value_t = SynthOptions::default().train_tokens)]
    train_tokens: u64,
    /// Validation tokens.
    #[arg(long, default_value_t = SynthOptions::default().valid_tokens)]
    valid_tokens: u64,
    /// Test tokens.
    #[arg(long, default_value_t = SynthOptions::default().test_tokens)]
    test_tokens: u64,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn parse_ratio(text: &str) -> Result<(f64, f64), String> {
    let pair = text.split_once(',').and_then(|(valid, test)| {
        Some((valid.trim().parse::<f64>().ok()?, test.trim().parse::<f64>().ok()?))
    });
    pair.ok_or_else(|| "expected two numbers, as in 0.05,0.05".to_owned())
}

/// Does a command on corpora; prints what the corpus is.
pub fn corpus(command: CorpusCommand) -> Result<ExitCode> {
    let corpus = match command {
        CorpusCommand::Build(arguments) => {
            catch_interrupts();
            build_corpus(arguments)?
        }
        CorpusCommand::Show(arguments) => Corpus::open(&arguments.corpus)?,
        CorpusCommand::Synth(arguments) => {
            catch_interrupts();
            synthesize_observed(&synth_options(&arguments), &arguments.out, &mut CorpusDisplay::new())?
        }
    };
    out::print(&describe(&corpus).to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn build_corpus(arguments: BuildArgs) -> Result<Corpus> {
    // clap does not ask for a required option that conflicts with one that is there, as --ratio
    // with --valid.
    if arguments.block_lines.is_some() && arguments.ratio.is_none() {
        bail!(
            "--block-lines without --ratio; expected --ratio VALID,TEST, or no --block-lines for given splits"
        )
    }
    let input = match arguments.ratio {
        Some((valid, test)) => {
            let block_lines = arguments.block_lines.unwrap_or(TextInput::BLOCK_LINES);
            TextInput::Ratio { files: arguments.train, valid, test, block_lines }
        }
        None if arguments.valid.is_empty() || arguments.test.is_empty() => {
            bail!(
                "--train without --valid and --test; expected files for all three splits, or --ratio VALID,TEST"
            )
        }
        None => TextInput::Splits { train: arguments.train, valid: arguments.valid, test: arguments.test },
    };
    let options = BuildOptions {
        name: arguments.name,
        input,
        tokenizer: arguments.tokenizer,
        min_count: arguments.min_count,
        max_vocab: arguments.max_vocab,
        unk: arguments.unk,
        eos: arguments.eos,
    };
    Ok(build_observed(&options, &arguments.out, &mut CorpusDisplay::new())?)
}

fn synth_options(arguments: &SynthArgs) -> SynthOptions {
    SynthOptions {
        seed: arguments.seed,
        vocab_size: arguments.vocab_size,
        classes: arguments.classes,
        order: arguments.order,
        rank: arguments.rank,
        interaction: arguments.interaction,
        strength: arguments.strength,
        exponent: arguments.exponent,
        shift: arguments.shift,
        train_tokens: arguments.train_tokens,
        valid_tokens: arguments.valid_tokens,
        test_tokens: arguments.test_tokens,
    }
}
