//! The registry of figures: every column of every table, once.
//!
//! Markdown, page, CSV, Parquet and the titles of the charts' axes are made from [`COLUMNS`], in
//! its order. A new figure is one entry here; a table in which a column is misplaced or misnamed
//! cannot be written.

use lexmax_records::{RunRecord, RunResult, RunStatus};

use crate::format::{self, NONE, significant, whole};
use crate::stats::Estimate;
use crate::summary::OutputSummary;

/// One column of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in data frames, CSV and Parquet.
    pub key: &'static str,
    /// Name in tables for reading and on axes; empty where a column is for programs only.
    pub head: &'static str,
    /// Unit of the shown value; empty for none.
    pub unit: &'static str,
    /// Recorded units in one shown unit: 1024 * 1024 where bytes are shown as MiB.
    pub scale: f64,
    /// Direction that is an improvement.
    pub better: Direction,
    /// Value, and which tables it stands in.
    pub get: ColumnValue,
}

/// Direction of a figure that is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Less of it.
    Less,
    /// More of it.
    More,
    /// Neither: it describes the run.
    Neither,
}

/// Value of a column.
#[derive(Debug, Clone, Copy)]
pub enum ColumnValue {
    /// Fact of a run, finished or not.
    Run(fn(&RunRecord) -> Value),
    /// Name by which runs are grouped into outputs, and its like: of a run and of an output.
    Both(fn(&RunRecord) -> Value, fn(&OutputSummary) -> &str),
    /// Figure of a finished run, of which an output has the mean and its interval; and how the mean
    /// is shown.
    Figure(fn(&RunResult) -> Value, MeanFormat),
    /// Statement about an output among the others, as data and in words.
    Output(fn(&OutputSummary) -> Value, fn(&OutputSummary) -> String),
}

/// One cell of a data frame; all cells of a column are of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word or sentence.
    Text(Option<String>),
    /// A measured number.
    Real(Option<f64>),
    /// A counted number.
    Count(Option<u64>),
    /// Yes or no.
    Flag(Option<bool>),
}

/// Format of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeanFormat {
    /// Mean with half the width of its interval, to this many digits.
    Interval(u32),
    /// Mean alone, to this many digits.
    Digits(u32),
    /// Rounded to a whole number.
    Whole,
}

/// Exact test perplexity, which ranks the outputs.
pub const PERPLEXITY: Column = Column {
    better: Direction::Less,
    ..figure("test_perplexity", "Test perplexity", "", MeanFormat::Interval(4), |r| real(r.test.perplexity()))
};
/// Training throughput, the other side of the trade.
pub const SPEED: Column = Column {
    better: Direction::More,
    ..figure("train_tokens_per_second", "Training speed", "tokens/s", MeanFormat::Whole, |r| {
        real(r.train_tokens_per_second)
    })
};
/// Time in the output layer.
pub const LAYER_MS: Column = Column {
    better: Direction::Less,
    ..figure("layer_ms", "Output layer", "ms / step", MeanFormat::Digits(3), |r| real(r.layer_ms))
};
/// Parameters of the output layer.
pub const LAYER_PARAMETERS: Column = Column {
    better: Direction::Less,
    scale: 1e6,
    ..figure("layer_parameters", "Layer parameters", "M", MeanFormat::Digits(3), |r| {
        count(r.layer_parameters)
    })
};
/// Peak resident memory.
pub const MEMORY: Column = Column {
    better: Direction::Less,
    scale: 1024.0 * 1024.0,
    ..figure("peak_memory_bytes", "Peak memory", "MiB", MeanFormat::Whole, |r| {
        Value::Count(r.peak_memory_bytes)
    })
};

/// All columns, in the order of the tables.
pub const COLUMNS: &[Column] = &[
    run("id", |r| text(&r.run.id)),
    run("experiment", |r| text(&r.run.experiment)),
    Column { head: "Output", ..fact("output", ColumnValue::Both(|r| text(&r.run.name), |o| &o.name)) },
    Column { head: "Family", ..fact("family", ColumnValue::Both(|r| text(&r.run.family), |o| &o.family)) },
    run("seed", |r| count(r.run.seed)),
    run("started_unix", |r| count(r.run.started_unix)),
    run("state", |r| text(if r.result().is_some() { "finished" } else { "failed" })),
    run("error", |r| Value::Text(failure(r).map(|(error, _)| error.to_owned()))),
    run("failed_step", |r| Value::Count(failure(r).and_then(|(_, step)| step))),
    output(
        "runs_finished",
        "Runs finished",
        |o| count(o.finished.len() as u64),
        |o| o.finished.len().to_string(),
    ),
    output("runs_failed", "Runs failed", |o| count(o.failed.len() as u64), |o| o.failed.len().to_string()),
    Column {
        better: Direction::Less,
        ..figure("test_nll", "", "nats / token", MeanFormat::Digits(4), |r| real(r.test.nll()))
    },
    PERPLEXITY,
    figure("test_tokens_scored", "Test tokens scored", "", MeanFormat::Whole, |r| count(r.test.tokens())),
    figure("ignored_test_tokens", "", "", MeanFormat::Whole, |r| count(r.ignored_test_tokens)),
    output(
        "perplexity_change_percent",
        "Change from the reference",
        |o| Value::Real(o.change_percent()),
        |o| o.change_percent().map_or(NONE.into(), format::percent),
    ),
    output(
        "verdict",
        "Against the reference, paired seeds",
        |o| Value::Text(o.standing.is_comparison().then(|| format::standing(&o.standing))),
        |o| format::standing(&o.standing),
    ),
    Column {
        better: Direction::Less,
        ..figure("valid_nll", "", "nats / token", MeanFormat::Digits(4), |r| real(r.valid_nll))
    },
    figure("true_test_nll", "", "nats / token", MeanFormat::Digits(4), |r| Value::Real(r.true_test_nll)),
    Column {
        better: Direction::Less,
        ..figure("excess_nats", "Excess", "nats / token", MeanFormat::Interval(3), |r| {
            Value::Real(r.excess_nats())
        })
    },
    Column {
        better: Direction::Less,
        ..figure("train_seconds", "Training time", "s", MeanFormat::Digits(3), |r| real(r.train_seconds))
    },
    Column {
        better: Direction::Less,
        ..figure("setup_seconds", "", "s", MeanFormat::Digits(3), |r| real(r.setup_seconds))
    },
    figure("steps", "Steps", "", MeanFormat::Whole, |r| count(r.steps)),
    figure("tokens", "Training tokens", "", MeanFormat::Whole, |r| count(r.tokens)),
    SPEED,
    Column {
        better: Direction::More,
        ..figure("eval_tokens_per_second", "Evaluation speed", "tokens/s", MeanFormat::Whole, |r| {
            real(r.eval_tokens_per_second)
        })
    },
    LAYER_MS,
    Column {
        better: Direction::Less,
        ..figure("gflop_per_step", "Output layer counted", "GFLOP / step", MeanFormat::Digits(3), |r| {
            Value::Real(r.gflop_per_step)
        })
    },
    Column {
        better: Direction::Less,
        ..figure("dropped_mass", "Mass dropped by the filter", "", MeanFormat::Digits(3), |r| {
            Value::Real(r.dropped_mass)
        })
    },
    Column {
        better: Direction::Less,
        ..figure("top_k_ms", "Exact top 10", "ms", MeanFormat::Digits(3), |r| real(r.top_k_ms))
    },
    figure("top_k_rows", "Top 10 batch", "rows", MeanFormat::Whole, |r| count(r.top_k_rows)),
    LAYER_PARAMETERS,
    Column {
        better: Direction::Less,
        scale: 1e6,
        ..figure("parameters", "All parameters", "M", MeanFormat::Digits(3), |r| count(r.parameters))
    },
    MEMORY,
    output(
        "on_front",
        "On the front",
        |o| Value::Flag(Some(o.on_front)),
        |o| if o.on_front { "yes" } else { "no" }.into(),
    ),
    run("cpu", |r| text(&r.run.environment.cpu)),
    run("threads", |r| count(r.run.environment.threads as u64)),
    run("device", |r| text(&r.run.environment.device)),
    run("products", |r| Value::Text(r.run.environment.products.clone())),
    run("commit", |r| Value::Text(r.run.environment.commit.clone())),
    run("compute_path", |r| {
        let path = r.result().and_then(|result| result.compute_path);
        Value::Text(path.map(|path| path.name().to_owned()))
    }),
];

impl Column {
    /// Head of the column in a table for reading: name, unit, and an arrow in the direction that is
    /// better.
    pub fn title(&self) -> String {
        let arrow = match self.better {
            Direction::Less => "↓",
            Direction::More => "↑",
            Direction::Neither => "",
        };
        let words: Vec<&str> =
            [self.head, self.unit, arrow].into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    /// Title of an axis: name and unit, in small letters.
    pub fn axis(&self) -> String {
        let mut letters = self.head.chars();
        let head: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        if self.unit.is_empty() { head } else { format!("{head}, {}", self.unit) }
    }

    /// Whether the cells are set as numbers.
    pub fn is_numeric(&self) -> bool {
        matches!(self.get, ColumnValue::Figure(..))
            || matches!(self.key, "runs_finished" | "runs_failed" | "perplexity_change_percent")
    }

    /// An estimate in the unit that is shown.
    pub fn shown(&self, estimate: Estimate) -> Estimate {
        let Estimate { mean, half_width, count } = estimate;
        Estimate { mean: mean / self.scale, half_width: half_width.map(|half| half / self.scale), count }
    }

    /// An estimate in words.
    pub fn words(&self, estimate: Option<Estimate>, show: MeanFormat) -> String {
        let Some(estimate) = estimate.map(|estimate| self.shown(estimate)) else { return NONE.into() };
        match show {
            MeanFormat::Interval(digits) => format::estimate(&estimate, digits),
            MeanFormat::Digits(digits) => significant(estimate.mean, digits),
            MeanFormat::Whole => whole(estimate.mean),
        }
    }
}

/// Key of the column beside a figure's mean: half the width of its 95 % interval.
pub fn interval_key(key: &str) -> String {
    format!("{key}_ci95")
}

const fn fact(key: &'static str, get: ColumnValue) -> Column {
    Column { key, head: "", unit: "", scale: 1.0, better: Direction::Neither, get }
}

const fn run(key: &'static str, get: fn(&RunRecord) -> Value) -> Column {
    fact(key, ColumnValue::Run(get))
}

const fn output(
    key: &'static str,
    head: &'static str,
    get: fn(&OutputSummary) -> Value,
    words: fn(&OutputSummary) -> String,
) -> Column {
    Column { head, ..fact(key, ColumnValue::Output(get, words)) }
}

const fn figure(
    key: &'static str,
    head: &'static str,
    unit: &'static str,
    show: MeanFormat,
    get: fn(&RunResult) -> Value,
) -> Column {
    Column { head, unit, ..fact(key, ColumnValue::Figure(get, show)) }
}

fn text(value: &(impl ToString + ?Sized)) -> Value {
    Value::Text(Some(value.to_string()))
}

fn real(value: f64) -> Value {
    Value::Real(Some(value))
}

fn count(value: u64) -> Value {
    Value::Count(Some(value))
}

fn failure(record: &RunRecord) -> Option<(&str, Option<u64>)> {
    match &record.status {
        RunStatus::Finished(_) => None,
        RunStatus::Failed { error, step } => Some((error, *step)),
    }
}
