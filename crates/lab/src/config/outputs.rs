//! The `[[outputs]]` sections: one output layer each, or several where fields are listed in a
//! `grid`.

use std::path::Path;

use lexmax::OutputConfig;
use lexmax_records::nearest;
use toml::{Table, Value};

use super::edit::{insert, overlay};
use super::section::{decode_table, error, layer, training};
use super::training::TrainingConfig;
use crate::Result;

/// One output layer of an experiment, with its training.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputEntry {
    /// Name, unique in the experiment: that in the file and the values of the grid, as in
    /// `sampled samples=256`.
    pub name: String,
    /// Name in the file.
    pub base: String,
    /// Keys and values of this point of the grid; empty where there is none.
    pub grid: Vec<(String, Value)>,
    /// The layer.
    pub layer: OutputConfig,
    /// The experiment's training with this output's overrides.
    pub training: TrainingConfig,
}

/// Keys of an `[[outputs]]` section that are not the layer's own.
const OWN_KEYS: [&str; 3] = ["name", "grid", "training"];
/// Points of a grid beyond which it is a slip of the pen.
const MOST_POINTS: usize = 10_000;

/// Reads one section into as many outputs as its grid has points.
pub(crate) fn read(file: &Path, section: &Table, training: &Table) -> Result<Vec<OutputEntry>> {
    let name = match section.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name.clone(),
        Some(other) => {
            return Err(error(file, "[[outputs]]", format!("`name` is {other}, expected a word or more")));
        }
        None => {
            let keys: Vec<&String> = section.keys().collect();
            let why = match nearest("name", &keys) {
                Some(typo) => format!("unknown key `{typo}`; did you mean `name`? It is missing"),
                None => "the key `name` is missing".to_owned(),
            };
            return Err(error(file, "[[outputs]]", format!("an output without a name: {why}")));
        }
    };
    let place = format!("output `{name}`");
    let grid = match section.get("grid") {
        None => Table::new(),
        Some(Value::Table(grid)) => grid.clone(),
        Some(other) => {
            let message =
                format!("`grid` is {other}, expected a table of lists, as in {{ samples = [256, 1024] }}");
            return Err(error(file, place, message));
        }
    };
    let points = expand(&grid).map_err(|message| error(file, place, message))?;
    points.into_iter().map(|point| entry(file, &name, section, training, point)).collect()
}

/// One point of a grid: dotted keys with their values.
type Point = Vec<(String, Value)>;

/// Every combination of the grid's values, the last key changing fastest.
fn expand(grid: &Table) -> std::result::Result<Vec<Point>, String> {
    let mut points: Vec<Point> = vec![Vec::new()];
    for (key, values) in grid {
        let values = match values {
            Value::Array(values) if !values.is_empty() => values,
            other => return Err(format!("`grid.{key}` is {other}, expected a list of at least one value")),
        };
        if points.len().saturating_mul(values.len()) > MOST_POINTS {
            return Err(format!("`grid` has more than {MOST_POINTS} points, expected at most that many"));
        }
        let with = |point: &Point, value: &Value| {
            let mut longer = point.clone();
            longer.push((key.clone(), value.clone()));
            longer
        };
        points = points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect();
    }
    Ok(points)
}

fn entry(file: &Path, base: &str, section: &Table, shared: &Table, grid: Point) -> Result<OutputEntry> {
    let mut section = section.clone();
    for (key, value) in &grid {
        let path: Vec<&str> = key.split('.').collect();
        insert(&mut section, &path, value.clone())
            .map_err(|why| error(file, format!("output `{base}`"), format!("`grid.{key}`: {why}")))?;
    }
    let name = format!("{base}{}", shown(&grid).concat());
    let place = format!("output `{name}`");
    let mut merged = shared.clone();
    match section.get("training") {
        None => {}
        Some(Value::Table(own)) => overlay(&mut merged, own),
        Some(other) => {
            let message = format!("`training` is {other}, expected a table, as in {{ learning_rate = 1.0 }}");
            return Err(error(file, place, message));
        }
    }
    let with_shared = format!("{place} with [training]");
    let training = decode_table(file, &with_shared, Value::Table(merged), training)?;
    training.validate().map_err(|message| error(file, with_shared, message))?;
    for key in OWN_KEYS {
        section.remove(key);
    }
    let layer = decode_table(file, &place, Value::Table(section), |section| layer(section, &OWN_KEYS))?;
    Ok(OutputEntry { name, base: base.to_owned(), grid, layer, training })
}

/// The part of a name that each value of a grid adds, as in ` samples=256`.
fn shown(grid: &[(String, Value)]) -> Vec<String> {
    let part = |(key, value): &(String, Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(" {}={value}", key.rsplit('.').next().unwrap_or(key))
    };
    grid.iter().map(part).collect()
}

impl OutputEntry {
    /// Whether a name given on the command line means this output: the one in the file, which
    /// stands for the whole grid, or that with some or all of the grid's values.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        let mut written = self.base.clone();
        let longer = shown(&self.grid).into_iter().any(|part| {
            written.push_str(&part);
            written == name
        });
        longer || self.base == name
    }
}
