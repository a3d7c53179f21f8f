//! `lexmax data build | show | baseline`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use lexmax_dataset::{
    Balance, Dataset, DatasetOptions, NaiveBayes, Popular, Prior, RepeatCounts, Split, build_observed,
};
use lexmax_lab::{CorpusDisplay, catch_interrupts};
use lexmax_metrics::{ClassOptions, ClassReport, ClassScores, Place, Row};

use crate::out;

/// Commands on data sets of labelled texts.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Make a data set from TSV, CSV or JSON Lines, as a file of options says.
    Build(BuildArgs),
    /// Print sizes, balance of the classes, and repeats.
    Show(ShowArgs),
    /// Score the counted baselines: the most popular class, and naive Bayes.
    Baseline(BaselineArgs),
}

/// Arguments of `lexmax data build`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file holds the options, paths relative to the current folder:

  train = \"train.tsv.gz\"                     # rows `label TAB text`
  valid = { share = 0.1 }                    # or files, or { each_class = 20 }
  test = \"test.tsv.gz\"
  words = { lower = true, punctuation = \"drop\", min_count = 2 }
  exclude = [\"oos\"]
  tail = { shape = \"exponential\", ratio = 50.0, order_seed = 1 }

Example:
  lexmax data build intents.toml --out data/intents")]
pub struct BuildArgs {
    /// File of options.
    options: PathBuf,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Arguments of `lexmax data show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lexmax data show data/intents")]
pub struct ShowArgs {
    /// A folder that `lexmax data build` made.
    data: PathBuf,
}

/// Arguments of `lexmax data baseline`.
#[derive(Debug, Args)]
#[command(after_help = "\
Baselines are counted on train. Ties count against the target; recall of many, medium and few is that of the classes
with more than the second edge, from the first to the second, and fewer than the first training examples.

Examples:
  lexmax data baseline data/intents
  lexmax data baseline data/intents --split valid --bands 10,50")]
pub struct BaselineArgs {
    /// A folder that `lexmax data build` made.
    data: PathBuf,
    /// Part to score: `valid` or `test`.
    #[arg(long, default_value_t = Split::Test, value_parser = parse_split)]
    split: Split,
    /// Training counts between few, medium and many.
    #[arg(long, value_name = "COUNT,COUNT", value_delimiter = ',', default_values_t = [20, 100])]
    bands: Vec<u64>,
    /// Additive smoothing of naive Bayes, above 0.
    #[arg(long, default_value_t = 0.1)]
    smoothing: f64,
}

/// Runs a command on data sets.
pub fn data(command: DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::Build(arguments) => build(&arguments),
        DataCommand::Show(arguments) => show(&Dataset::open(&arguments.data)?),
        DataCommand::Baseline(arguments) => baseline(&arguments),
    }
}

fn parse_split(text: &str) -> Result<Split, String> {
    match text {
        "valid" => Ok(Split::Valid),
        "test" => Ok(Split::Test),
        _ => Err("expected `valid` or `test`".to_owned()),
    }
}

fn build(arguments: &BuildArgs) -> Result<ExitCode> {
    let shown = arguments.options.display();
    let text = std::fs::read_to_string(&arguments.options).with_context(|| format!("cannot read {shown}"))?;
    let options: DatasetOptions =
        toml::from_str(&text).with_context(|| format!("{shown} is no file of options"))?;
    catch_interrupts();
    show(&build_observed(&options, &arguments.out, &mut CorpusDisplay::new())?)
}

fn show(data: &Dataset) -> Result<ExitCode> {
    let info = data.info();
    let mut text = format!("{}, hash {}\n", info.name, info.hash);
    text += &format!("{} classes, {} words in the vocabulary\n", info.classes, info.words);
    for split in Split::ALL {
        let part = info.parts.of(split);
        let mean = part.words as f64 / part.examples.max(1) as f64;
        text += &format!("{split:6} {:9} examples, {mean:.1} words each\n", part.examples);
    }
    let Balance { most, median, least, gini, tail } = Balance::of(data.classes().counts());
    text += &format!(
        "training examples of a class: {most} at most, median {median}, {least} at least; Gini {gini:.4}; {:.0} % of the classes have \
         at most 5\n",
        100.0 * tail
    );
    let changes = info.changes;
    for (count, what) in [
        (changes.excluded, "rows left out for their label"),
        (changes.dropped, "training rows dropped as repeats"),
        (changes.cut, "training rows cut to make the tail"),
        (changes.flipped, "training labels flipped"),
        (changes.emptied, "rows without a word after cleaning"),
        (changes.cold_classes, "classes of valid and test without a training row"),
    ] {
        if count > 0 {
            text += &format!("{count} {what}\n");
        }
    }
    for split in Split::ALL {
        let RepeatCounts { same_label, other_label } = *info.repeats.of(split);
        if same_label + other_label > 0 {
            let of = if split == Split::Train { "an earlier row" } else { "a training row" };
            text +=
                &format!("{split}: {same_label} rows repeat {of}, {other_label} more with another label\n");
        }
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn baseline(arguments: &BaselineArgs) -> Result<ExitCode> {
    let data = Dataset::open(&arguments.data)?;
    let (train, classes) = (data.examples(Split::Train), data.classes().len());
    if data.examples(arguments.split).is_empty() {
        bail!("the {} part of {} has no examples", arguments.split, arguments.data.display());
    }
    let popular = Popular::fit(train, classes);
    let score = |prior| {
        let bayes = NaiveBayes::fit(train, classes, prior, arguments.smoothing)?;
        scores(&data, arguments, |words| bayes.log_probs(words))
    };
    let rows = [
        ("popular", scores(&data, arguments, |_| popular.log_probs().to_vec())?),
        ("naive Bayes", score(Prior::Counted)?),
        ("naive Bayes, flat prior", score(Prior::Flat)?),
    ];
    let bands = rows[0].1.bands.iter().filter(|band| band.classes > 0);
    let bands: Vec<String> = bands.map(|band| format!("{} {}", band.classes, band.band.name)).collect();
    let mut text = format!("classes with test rows: {}\n", bands.join(", "));
    for (name, report) in &rows {
        text += &format!("{name}, {} rows of {}\n", report.rows, arguments.split);
        for (measure, value) in report.measures() {
            text += &format!("  {measure:20} {value:.4}\n");
        }
    }
    out::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures of log-probabilities of all classes, for each text of the part to score.
fn scores(
    data: &Dataset,
    arguments: &BaselineArgs,
    log_probs: impl Fn(&[u32]) -> Vec<f64>,
) -> Result<ClassReport> {
    let counts = data.classes().counts().to_vec();
    let options = ClassOptions { edges: arguments.bands.clone(), ..ClassOptions::new(counts) };
    let mut scores = ClassScores::new(options)?;
    for (words, class) in data.examples(arguments.split).iter() {
        let log_probs = log_probs(words);
        let greatest = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp();
        let place = Place::in_scores(&log_probs, class)?;
        scores.add(&Row::with_probability(class, place, log_probs[class as usize], greatest))?;
    }
    Ok(scores.finish()?)
}
