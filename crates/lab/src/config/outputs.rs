//! The `[[outputs]]` sections: one output layer each, or several where fields are listed in a `grid`.

use std::path::Path;

use lexmax::OutputConfig;
use toml::{Table, Value};

use super::table::{decode, decode_tagged, error, insert, missing, overlay};
use super::training::TrainingConfig;
use crate::Result;

/// One output layer of an experiment, with its training.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputEntry {
    /// Name, unique in the experiment; a grid adds its values, as in `sampled samples=256`.
    pub name: String,
    /// The layer.
    pub config: OutputConfig,
    /// The experiment's training with this output's overrides.
    pub training: TrainingConfig,
}

/// The name in the file of an output: without the values that a grid added, as in `sampled samples=256`.
pub(crate) fn base_name(name: &str) -> &str {
    let mut end = 0;
    for word in name.split_inclusive(' ') {
        if word.contains('=') {
            break;
        }
        end += word.len();
    }
    match name[..end].trim_end() {
        "" => name,
        base => base,
    }
}

/// Keys of an `[[outputs]]` section that are not the layer's own.
const OWN_KEYS: [&str; 3] = ["name", "grid", "training"];

/// Reads one section into as many outputs as its grid has points.
pub(crate) fn read(file: &Path, section: &Table, training: &Table) -> Result<Vec<OutputEntry>> {
    let name = match section.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name.clone(),
        Some(other) => {
            return Err(error(file, "[[outputs]]", format!("`name` is {other}, expected a word or more")));
        }
        None => {
            let message = format!("an output without a name: {}", missing("name", section.keys()));
            return Err(error(file, "[[outputs]]", message));
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
    expand(file, &place, &grid)?
        .into_iter()
        .map(|point| entry(file, &name, section, training, &point))
        .collect()
}

/// One point of a grid: dotted keys with their values.
type Point = Vec<(String, Value)>;

/// Every combination of the grid's values, the last key changing fastest.
fn expand(file: &Path, place: &str, grid: &Table) -> Result<Vec<Point>> {
    let mut points: Vec<Point> = vec![Vec::new()];
    for (key, values) in grid {
        let values = match values {
            Value::Array(values) if !values.is_empty() => values,
            other => {
                let message = format!("`grid.{key}` is {other}, expected a list of at least one value");
                return Err(error(file, place, message));
            }
        };
        let with = |point: &Point, value: &Value| {
            let mut longer = point.clone();
            longer.push((key.clone(), value.clone()));
            longer
        };
        points = points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect();
    }
    Ok(points)
}

fn entry(file: &Path, base: &str, section: &Table, training: &Table, point: &Point) -> Result<OutputEntry> {
    let mut section = section.clone();
    let mut name = base.to_owned();
    for (key, value) in point {
        let path: Vec<&str> = key.split('.').collect();
        let place = format!("output `{base}`");
        insert(&mut section, &path, value.clone())
            .map_err(|why| error(file, place, format!("`grid.{key}`: {why}")))?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        name = format!("{name} {}={value}", path.last().unwrap_or(&""));
    }
    let place = format!("output `{name}`");
    let mut merged = training.clone();
    match section.get("training") {
        None => {}
        Some(Value::Table(own)) => overlay(&mut merged, own),
        Some(other) => {
            let message = format!("`training` is {other}, expected a table, as in {{ learning_rate = 1.0 }}");
            return Err(error(file, place, message));
        }
    }
    let training: TrainingConfig = decode(file, &format!("{place} with [training]"), Value::Table(merged))?;
    training.validate().map_err(|message| error(file, format!("{place} with [training]"), message))?;
    for key in OWN_KEYS {
        section.remove(key);
    }
    let config = decode_tagged(file, &place, &section, "layer", &OWN_KEYS)?;
    Ok(OutputEntry { name, config, training })
}
