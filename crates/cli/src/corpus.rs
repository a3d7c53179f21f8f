//! `lexmax corpus build | show | synth`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lexmax_corpus::{BuildOptions, Corpus, SynthOptions, TextInput, Tokenizer, build, describe, synthesize};

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
    /// Deal the files out: the shares of the validation and the test split.
    #[arg(long, value_name = "VALID,TEST", conflicts_with_all = ["valid", "test"], value_parser = parse_ratio)]
    ratio: Option<(f64, f64)>,
    /// Lines that stay together when files are dealt out.
    #[arg(long, default_value_t = TextInput::BLOCK_LINES, requires = "ratio")]
    block_lines: u64,
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

/// Arguments of `lexmax corpus synth`. What is not given has the value that experiment files use.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lexmax corpus synth --vocab-size 100000 --train-tokens 5000000 --seed 7 --out data/synth-100k")]
pub struct SynthArgs {
    /// Root seed; the same seed and options give the same bytes.
    #[arg(long)]
    seed: Option<u64>,
    /// Words, V.
    #[arg(long)]
    vocab_size: Option<usize>,
    /// Hidden word classes.
    #[arg(long)]
    classes: Option<usize>,
    /// How many words back the hidden context looks, 1 or 2.
    #[arg(long)]
    order: Option<usize>,
    /// Rank of what the context adds to the logits.
    #[arg(long)]
    rank: Option<usize>,
    /// Share of a context's variance that belongs to the pair of classes, 0 to 1.
    #[arg(long)]
    interaction: Option<f64>,
    /// How much the context changes the distribution.
    #[arg(long)]
    strength: Option<f64>,
    /// Zipf exponent.
    #[arg(long)]
    exponent: Option<f64>,
    /// Zipf-Mandelbrot shift.
    #[arg(long)]
    shift: Option<f64>,
    /// Training tokens.
    #[arg(long)]
    train_tokens: Option<u64>,
    /// Validation tokens.
    #[arg(long)]
    valid_tokens: Option<u64>,
    /// Test tokens.
    #[arg(long)]
    test_tokens: Option<u64>,
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
        CorpusCommand::Build(arguments) => build_corpus(arguments)?,
        CorpusCommand::Show(arguments) => Corpus::open(&arguments.corpus)?,
        CorpusCommand::Synth(arguments) => synthesize(&synth_options(&arguments), &arguments.out)?,
    };
    write!(std::io::stdout().lock(), "{}", describe(&corpus))?;
    Ok(ExitCode::SUCCESS)
}

fn build_corpus(arguments: BuildArgs) -> Result<Corpus> {
    let input = match arguments.ratio {
        Some((valid, test)) => {
            TextInput::Ratio { files: arguments.train, valid, test, block_lines: arguments.block_lines }
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
    Ok(build(&options, &arguments.out)?)
}

fn synth_options(arguments: &SynthArgs) -> SynthOptions {
    let usual = SynthOptions::default();
    SynthOptions {
        seed: arguments.seed.unwrap_or(usual.seed),
        vocab_size: arguments.vocab_size.unwrap_or(usual.vocab_size),
        classes: arguments.classes.unwrap_or(usual.classes),
        order: arguments.order.unwrap_or(usual.order),
        rank: arguments.rank.unwrap_or(usual.rank),
        interaction: arguments.interaction.or(usual.interaction),
        strength: arguments.strength.unwrap_or(usual.strength),
        exponent: arguments.exponent.unwrap_or(usual.exponent),
        shift: arguments.shift.unwrap_or(usual.shift),
        train_tokens: arguments.train_tokens.unwrap_or(usual.train_tokens),
        valid_tokens: arguments.valid_tokens.unwrap_or(usual.valid_tokens),
        test_tokens: arguments.test_tokens.unwrap_or(usual.test_tokens),
    }
}
