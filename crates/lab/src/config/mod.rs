//! Experiment files: read, overridden from the command line, checked.

mod corpus;
mod edit;
mod mistake;
mod model;
mod outputs;
mod reader;
mod section;
mod set;
mod training;

use std::path::{Path, PathBuf};

use lexmax_records::expected_names;
use toml::{Table, Value};

pub use corpus::{CorpusSpec, Files, Ratio, TextSpec};
pub use model::{BackboneConfig, LstmConfig, NgramConfig};
pub use outputs::OutputEntry;
pub(crate) use training::number;
pub use training::{Budget, Dtype, TrainingConfig};

use crate::{LabError, Result};
use edit::insert;
use section::{decode, decode_table, error};
use set::set;

/// An experiment file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The file name without extension.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The folder that relative paths start from, and that `data` and `results` lie in: the one
    /// above `experiments` where the file lies in a folder of that name, the current one elsewhere.
    pub project: PathBuf,
    /// Source of the tokens.
    pub corpus: CorpusSpec,
    /// The model below the output layer.
    pub backbone: BackboneConfig,
    /// The output layers, grids expanded.
    pub outputs: Vec<OutputEntry>,
}

/// Values set over an experiment file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `key=value` pairs: a dotted key, as in `training.batch` or `outputs.NAME.samples`, and a
    /// TOML value; without a value the key is taken away.
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
    /// A missing file, TOML that does not parse, an unknown key or name (with the nearest known
    /// one), a value of another type or out of its range, two outputs of one name.
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
            let message = format!("unknown key `{key}`{}", expected_names(key, &SECTIONS));
            return Err(error(file, "top level", message));
        }
        let mut take = |name: &str| {
            table
                .remove(name)
                .ok_or_else(|| error(file, "top level", format!("the section `{name}` is missing")))
        };
        let corpus: CorpusSpec = decode(file, "corpus", take("corpus")?)?;
        corpus.validate().map_err(|message| error(file, "corpus", message))?;
        let backbone = decode_table(file, "[backbone]", take("backbone")?, section::backbone)?;
        backbone.validate().map_err(|message| error(file, "[backbone]", message))?;
        let training = take("training")?;
        // Read once by itself, so that its errors name the section and not the first output.
        let checked = decode_table(file, "[training]", training.clone(), section::training)?;
        checked.validate().map_err(|message| error(file, "[training]", message))?;
        let training: Table = decode(file, "[training]", training)?;
        let sections: Vec<Table> = decode(file, "[[outputs]]", take("outputs")?)?;
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

#[cfg(test)]
mod tests;
