//! The runs of an experiment: outputs times seeds, interleaved, each with the hash of its resolved
//! configuration.

use std::path::{Path, PathBuf};

use lexmax::OutputConfig;
use lexmax_corpus::{Corpus, Split};
use lexmax_records::{CorpusFacts, RunId, expected_names};
use serde::{Deserialize, Serialize};

use crate::check::{check_corpus, refusal_of};
use crate::config::{BackboneConfig, Budget, Experiment, OutputEntry, TrainingConfig};
use crate::machine;
use crate::{LabError, Result};

/// Everything that decides the result of a run; its hash is the run's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Hash of the corpus.
    pub corpus: String,
    /// The model below the output layer.
    pub backbone: BackboneConfig,
    /// The output layer.
    pub output: OutputConfig,
    /// Training and evaluation of the run. The seeds are those of the run alone.
    pub training: TrainingConfig,
    /// Root seed.
    pub seed: u64,
    /// Device, `cpu` or `cuda:0`.
    pub device: String,
}

/// One run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSpec {
    /// Hash of `config`.
    pub id: RunId,
    /// Name of the output.
    pub name: String,
    /// The resolved configuration.
    pub config: RunConfig,
    /// Resolved configuration as JSON, as it is recorded.
    pub json: serde_json::Value,
    /// Reason why the run is certain to fail, where that follows from file and corpus.
    pub refusal: Option<String>,
}

/// All runs of an experiment on a corpus.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the experiment.
    pub experiment: String,
    /// The experiment file.
    pub file: PathBuf,
    /// The corpus directory.
    pub corpus_dir: PathBuf,
    /// Facts about the corpus.
    pub corpus: CorpusFacts,
    /// The runs, the first seed of every output before the second one of any.
    pub runs: Vec<RunSpec>,
    outputs: Vec<OutputEntry>,
}

impl Plan {
    /// Makes the runs of an experiment on an opened corpus and a device. A run that is certain to
    /// fail is one with a `refusal`.
    ///
    /// # Errors
    /// A device that is not there; a corpus with too short a split for validation or test; a
    /// backbone that no machine could hold; two outputs that are the same but for their names.
    pub fn new(experiment: &Experiment, corpus_dir: &Path, corpus: &Corpus, device: &str) -> Result<Self> {
        let device = machine::parse_device(device)?;
        let error = |place: &str, message: String| LabError::Config {
            file: experiment.file.clone(),
            place: place.to_owned(),
            message,
        };
        check_corpus(corpus)?;
        let vocab_size = corpus.vocab().len() as i64;
        experiment.backbone.check_parameters(vocab_size).map_err(|why| error("[backbone]", why))?;
        let seeds = experiment.outputs.iter().map(|output| output.training.seeds.len());
        let mut runs: Vec<RunSpec> = Vec::new();
        for turn in 0..seeds.max().unwrap_or(0) {
            for output in &experiment.outputs {
                let Some(&seed) = output.training.seeds.get(turn) else { continue };
                let training = TrainingConfig { seeds: vec![seed], ..output.training.clone() };
                let config = RunConfig {
                    corpus: corpus.hash().to_owned(),
                    backbone: experiment.backbone.clone(),
                    output: output.layer.clone(),
                    training,
                    seed,
                    device: machine::device_name(device),
                };
                let refusal = refusal_of(&config, corpus, device);
                let json = serde_json::to_value(&config)
                    .map_err(|why| LabError::Protocol { what: "configuration", message: why.to_string() })?;
                let id = RunId::of_config(&json);
                // Two that are refused may be alike in JSON, which has no word for NaN.
                let twin = runs.iter().find(|run| run.id == id && run.refusal.is_none());
                if let Some(twin) = twin.filter(|_| refusal.is_none()) {
                    let message = format!(
                        "it is the same as `{}` in all but its name, expected different configurations",
                        twin.name
                    );
                    return Err(error(&format!("output `{}`", output.name), message));
                }
                runs.push(RunSpec { id, name: output.name.clone(), config, json, refusal });
            }
        }
        let tokens = |split| corpus.tokens(split).len() as u64;
        let facts = CorpusFacts {
            name: corpus.name().to_owned(),
            hash: corpus.hash().to_owned(),
            vocab_size: corpus.vocab().len(),
            train_tokens: tokens(Split::Train),
            valid_tokens: tokens(Split::Valid),
            test_tokens: tokens(Split::Test),
        };
        Ok(Self {
            experiment: experiment.name.clone(),
            file: experiment.file.clone(),
            corpus_dir: corpus_dir.to_owned(),
            corpus: facts,
            runs,
            outputs: experiment.outputs.clone(),
        })
    }

    /// The runs of the outputs named, of all where none is; a name without its grid values means
    /// all of the grid.
    ///
    /// # Errors
    /// A name that no output has, with the nearest one.
    pub fn only(&self, names: &[String]) -> Result<Vec<&RunSpec>> {
        if let Some(name) =
            names.iter().find(|name| !self.outputs.iter().any(|output| output.answers_to(name)))
        {
            let mut known: Vec<&str> = Vec::new();
            for output in &self.outputs {
                // Who types no grid values means an output of the file, not a point of its grid.
                let shown = if name.contains('=') { &output.name } else { &output.base };
                if !known.contains(&shown.as_str()) {
                    known.push(shown);
                }
            }
            return Err(LabError::Config {
                file: self.file.clone(),
                place: "--only".to_owned(),
                message: format!("unknown output `{name}`{}", expected_names(name, &known)),
            });
        }
        let meant =
            |output: &&OutputEntry| names.is_empty() || names.iter().any(|name| output.answers_to(name));
        let chosen: Vec<&str> =
            self.outputs.iter().filter(meant).map(|output| output.name.as_str()).collect();
        Ok(self.runs.iter().filter(|run| chosen.contains(&run.name.as_str())).collect())
    }
}

impl RunSpec {
    /// Training tokens of the budget; `None` where it counts seconds.
    pub fn budget_tokens(&self, corpus: &CorpusFacts) -> Option<u64> {
        match self.config.training.budget {
            Budget::Seconds(_) => None,
            Budget::Tokens(tokens) => Some(tokens),
            Budget::Epochs(epochs) => Some(epochs.saturating_mul(corpus.train_tokens)),
        }
    }
}
