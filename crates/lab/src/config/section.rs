//! Sections of an experiment file as types, with errors that name the file, the section and the
//! key.

use std::path::Path;

use lexmax::{LAYERS, OutputConfig};
use lexmax_optim::OptimizerConfig;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::mistake::{LocatedMistake, take_tag, unknown_tag};
use super::model::BackboneConfig;
use super::reader::{read, read_by};
use super::training::TrainingConfig;
use crate::{LabError, Result};

/// Result with a mistake and its place.
type Read<T> = std::result::Result<T, LocatedMistake>;

/// The error of a place in the file.
pub(crate) fn error(file: &Path, place: impl Into<String>, message: impl Into<String>) -> LabError {
    LabError::Config { file: file.to_owned(), place: place.into(), message: message.into() }
}

/// Reads a section as `T`.
pub(crate) fn decode<T: DeserializeOwned>(file: &Path, place: &str, value: Value) -> Result<T> {
    read(value).map_err(|misplaced| error(file, place, misplaced.message(&[])))
}

/// Reads a table by a function that finds its type: [`backbone`], [`layer`] or [`training`].
pub(crate) fn decode_table<T>(
    file: &Path,
    place: &str,
    value: Value,
    read: impl FnOnce(&Table) -> Read<T>,
) -> Result<T> {
    let Value::Table(table) = value else {
        return Err(error(file, place, format!("found {value}, expected a table")));
    };
    let keys: Vec<String> = table.keys().cloned().collect();
    read(&table).map_err(|misplaced| error(file, place, misplaced.message(&keys)))
}

/// Reads a `[backbone]` by its `kind`.
pub(crate) fn backbone(table: &Table) -> Read<BackboneConfig> {
    let (kind, options) = take_tag(table, "kind")?;
    let backbone = match kind.as_str() {
        "lstm" => read(options).map(BackboneConfig::Lstm),
        "ngram" => read(options).map(BackboneConfig::Ngram),
        other => return Err(unknown_tag("kind", other, &["lstm", "ngram"])),
    };
    backbone.map_err(|misplaced| misplaced.with_own_keys(&["kind"]))
}

/// Reads an output layer by the word under `layer`; `own` are the keys of its section that are not
/// the layer's.
pub(crate) fn layer(table: &Table, own: &[&str]) -> Read<OutputConfig> {
    let (layer, options) = take_tag(table, "layer")?;
    if !LAYERS.iter().any(|entry| entry.layer == layer) {
        let known: Vec<&str> = LAYERS.iter().map(|entry| entry.layer).collect();
        return Err(unknown_tag("layer", &layer, &known));
    }
    read_by(options, |options| OutputConfig::with_options(&layer, options))
        .map_err(|misplaced| misplaced.with_own_keys(&["layer"]).with_own_keys(own))
}

/// Reads a `[training]`.
pub(crate) fn training(table: &Table) -> Read<TrainingConfig> {
    if let Some(Value::Table(optimizer)) = table.get("optimizer") {
        // By itself first: serde forgets the places within a table whose type one of its keys
        // names.
        self::optimizer(optimizer).map_err(|misplaced| misplaced.below("optimizer"))?;
    }
    read(Value::Table(table.clone()))
}

/// Reads an optimizer by its `kind`.
fn optimizer(table: &Table) -> Read<OptimizerConfig> {
    let (kind, options) = take_tag(table, "kind")?;
    let optimizer = match kind.as_str() {
        "sgd" => read(options).map(OptimizerConfig::Sgd),
        "adagrad" => read(options).map(OptimizerConfig::Adagrad),
        "adam" => read(options).map(OptimizerConfig::Adam),
        other => return Err(unknown_tag("kind", other, &["sgd", "adagrad", "adam"])),
    };
    optimizer.map_err(|misplaced| misplaced.with_own_keys(&["kind"]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refusal(text: &str) -> String {
        let table: Table = toml::from_str(text).unwrap();
        decode_table(Path::new("x.toml"), "output `a`", Value::Table(table), |table| layer(table, &["name"]))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn options_of_a_layer_are_named_with_their_place() {
        for (text, expected) in [
            (
                "layer = \"full\"\nsoft_cap = \"high\"",
                "`soft_cap`: invalid type: string \"high\", expected f64",
            ),
            (
                "layer = \"full\"\nloss = { label_smoothing = true }",
                "`loss.label_smoothing`: invalid type: boolean `true`, expected f64",
            ),
            (
                "layer = \"full\"\nloss = { redction = \"sum\" }",
                "unknown key `redction` in `loss`; did you mean `reduction`?",
            ),
            (
                "layer = \"full\"\nloss = { reduction = \"summ\" }",
                "unknown name `summ` in `loss.reduction`; did you mean `sum`?",
            ),
            ("layer = \"full\"\nnam = 1", "unknown key `nam`; did you mean `name`?"),
            ("layer = 3", "`layer`: found 3, expected a word"),
            ("layer = \"moss\"", "unknown name `moss` in `layer`; did you mean `mos`?"),
            (
                "layer = \"adaptive\"\ncutoffs = [1, \"b\"]",
                "`cutoffs.1`: invalid type: string \"b\", expected i64",
            ),
        ] {
            let text = refusal(text);
            assert!(text.starts_with("x.toml: output `a`: ") && text.contains(expected), "{text}");
        }
    }
}
