//! Experiment files: read, overridden from the command line, checked.

mod corpus;
mod model;
pub(crate) mod outputs;
pub(crate) mod suggest;
mod table;
mod training;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub use corpus::{CorpusSpec, Files, Ratio, TextSpec};
pub use model::{BackboneConfig, LstmConfig, NgramConfig};
pub use outputs::OutputEntry;
pub use training::{Budget, Dtype, TrainingConfig};

use crate::{LabError, Result};
use suggest::nearest_and_all;
use table::{decode, decode_tagged, error, insert, remove};

/// An experiment file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The file name without extension.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The folder that relative paths start from, and that `data` and `results` lie in: the one above `experiments`
    /// where the file lies in a folder of that name, the current one elsewhere.
    pub project: PathBuf,
    /// Where the tokens come from.
    pub corpus: CorpusSpec,
    /// The model below the output layer.
    pub backbone: BackboneConfig,
    /// The output layers, grids expanded.
    pub outputs: Vec<OutputEntry>,
}

/// Values set over an experiment file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `key=value` pairs: a dotted key, as in `training.batch` or `outputs.NAME.samples`, and a TOML value; without a value the key is
    /// taken away.
    pub set: Vec<String>,
    /// Threads, instead of the file's.
    pub threads: Option<usize>,
}

/// Sections of an experiment file.
const SECTIONS: [&str; 4] = ["corpus", "backbone", "training", "outputs"];

impl Experiment {
    /// Reads and checks an experiment file.
    ///
    /// # Errors
    /// A missing file, TOML that does not parse, an unknown key or name (with the nearest known one), a value of
    /// another type or out of its range, two outputs of one name.
    pub fn load(file: &Path, overrides: &Overrides) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(LabError::io("read the experiment", file))?;
        let mut table: Table = toml::from_str(&text)
            .map_err(|source| error(file, "TOML", format!("\n{}", source.to_string().trim_end())))?;
        for pair in &overrides.set {
            set(&mut table, pair).map_err(|message| error(file, format!("--set {pair}"), message))?;
        }
        if let Some(threads) = overrides.threads {
            let threads = Value::Integer(i64::try_from(threads).unwrap_or(i64::MAX));
            insert(&mut table, &["training", "threads"], threads)
                .map_err(|why| error(file, "--threads", why))?;
        }
        Self::from_table(file, table)
    }

    fn from_table(file: &Path, mut table: Table) -> Result<Self> {
        if let Some(key) = table.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            let message = format!("unknown key `{key}`{}", nearest_and_all(key, &SECTIONS));
            return Err(error(file, "top level", message));
        }
        let mut section = |name: &str| {
            table
                .remove(name)
                .ok_or_else(|| error(file, "top level", format!("the section `{name}` is missing")))
        };
        let corpus: CorpusSpec = decode(file, "corpus", section("corpus")?)?;
        corpus.validate().map_err(|message| error(file, "corpus", message))?;
        let backbone: BackboneConfig = match section("backbone")? {
            Value::Table(backbone) => decode_tagged(file, "[backbone]", &backbone, "kind", &[])?,
            other => return Err(error(file, "[backbone]", format!("found {other}, expected a table"))),
        };
        backbone.validate().map_err(|message| error(file, "[backbone]", message))?;
        let training = section("training")?;
        // Read once by itself, so that its errors name the section and not the first output.
        let checked: TrainingConfig = decode(file, "[training]", training.clone())?;
        checked.validate().map_err(|message| error(file, "[training]", message))?;
        let training: Table = decode(file, "[training]", training)?;
        let sections: Vec<Table> = decode(file, "[[outputs]]", section("outputs")?)?;
        let mut outputs: Vec<OutputEntry> = Vec::new();
        for section in &sections {
            outputs.extend(outputs::read(file, section, &training)?);
        }
        if outputs.is_empty() {
            return Err(error(file, "[[outputs]]", "no outputs, expected at least one"));
        }
        if let Some(twice) =
            (1..outputs.len()).find(|&i| outputs[..i].iter().any(|o| o.name == outputs[i].name))
        {
            let message =
                format!("two outputs are named `{}`, expected different names", outputs[twice].name);
            return Err(error(file, "[[outputs]]", message));
        }
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, file: file.to_owned(), project: project_of(file), corpus, backbone, outputs })
    }
}

/// The folder above `experiments`, or the current one.
fn project_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "experiments"));
    match folder.and_then(Path::parent) {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Applies one `key=value`.
fn set(table: &mut Table, pair: &str) -> std::result::Result<(), String> {
    let (key, value) = pair.split_once('=').ok_or("expected key=value")?;
    let (key, given) = (key.trim(), value.trim());
    // Nothing after the sign takes the key away: then the default holds.
    let put = |table: &mut Table, path: &[&str]| match given {
        "" => remove(table, path),
        given => insert(table, path, parse_value(given)),
    };
    let Some(rest) = key.strip_prefix("outputs.") else {
        let path: Vec<&str> = key.split('.').collect();
        if !SECTIONS.contains(&path[0]) {
            return Err(format!("unknown key `{}`{}", path[0], nearest_and_all(path[0], &SECTIONS)));
        }
        return put(table, &path);
    };
    let outputs =
        table.get_mut("outputs").and_then(Value::as_array_mut).ok_or("the file has no [[outputs]]")?;
    let sections = outputs.iter_mut().filter_map(Value::as_table_mut);
    let named: Vec<(String, &mut Table)> =
        sections.filter_map(|section| Some((section.get("name")?.as_str()?.to_owned(), section))).collect();
    let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    // Names may hold dots: the longest one that fits is meant.
    let fits = |name: &str| rest.strip_prefix(name).is_some_and(|tail| tail.starts_with('.'));
    let best = named.into_iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len());
    match best {
        Some((name, section)) => {
            let path: Vec<&str> = rest[name.len() + 1..].split('.').collect();
            put(section, &path)
        }
        None => {
            let given = rest.split('.').next().unwrap_or(rest);
            Err(format!("unknown output `{given}`{}", nearest_and_all(given, &names)))
        }
    }
}

/// A TOML value, or a bare word as a string.
fn parse_value(text: &str) -> Value {
    let parsed =
        toml::from_str::<Table>(&format!("value = {text}")).ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests;
