//! The runs of an experiment: outputs times seeds, interleaved, each with the hash of its resolved configuration.

use lexmax::OutputConfig;
use lexmax_corpus::{Corpus, Split};
use lexmax_records::{CorpusFacts, RunId};
use serde::{Deserialize, Serialize};

use crate::config::outputs::base_name;
use crate::config::suggest::nearest_and_all;
use crate::config::{BackboneConfig, Budget, Experiment, TrainingConfig};
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
    /// How it is trained and scored. The seeds are those of the run alone, the threads are filled in.
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
    pub output: String,
    /// The resolved configuration.
    pub config: RunConfig,
    /// The same as JSON, as it is recorded.
    pub json: serde_json::Value,
}

/// All runs of an experiment on a corpus.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the experiment.
    pub experiment: String,
    /// The corpus directory.
    pub corpus_dir: std::path::PathBuf,
    /// What is known about the corpus.
    pub corpus: CorpusFacts,
    /// The runs, the first seed of every output before the second one of any.
    pub runs: Vec<RunSpec>,
}

impl Plan {
    /// Makes the runs of an experiment on an opened corpus and a device.
    ///
    /// # Errors
    /// A device that is not there; a corpus whose splits are too short for the batches; two outputs that are the same but for their
    /// names.
    pub fn new(
        experiment: &Experiment,
        corpus_dir: &std::path::Path,
        corpus: &Corpus,
        device: &str,
    ) -> Result<Self> {
        let device = machine::device_name(machine::parse_device(device)?);
        let most_seeds =
            experiment.outputs.iter().map(|output| output.training.seeds.len()).max().unwrap_or(0);
        let mut runs: Vec<RunSpec> = Vec::new();
        for turn in 0..most_seeds {
            for output in &experiment.outputs {
                check_lengths(corpus, &output.training)?;
                let Some(&seed) = output.training.seeds.get(turn) else { continue };
                let mut training = output.training.clone();
                training.seeds = vec![seed];
                training.threads = Some(training.threads.unwrap_or_else(machine::cores));
                let config = RunConfig {
                    corpus: corpus.hash().to_owned(),
                    backbone: experiment.backbone.clone(),
                    output: output.config.clone(),
                    training,
                    seed,
                    device: device.clone(),
                };
                let json = serde_json::to_value(&config).map_err(|error| LabError::Protocol {
                    what: "configuration",
                    message: error.to_string(),
                })?;
                let id = RunId::of_config(&json);
                if let Some(twin) = runs.iter().find(|run| run.id == id) {
                    return Err(LabError::Config {
                        file: experiment.file.clone(),
                        place: format!("output `{}`", output.name),
                        message: format!(
                            "it is the same as `{}` in all but its name, expected different configurations",
                            twin.output
                        ),
                    });
                }
                runs.push(RunSpec { id, output: output.name.clone(), config, json });
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
        let (experiment, corpus_dir) = (experiment.name.clone(), corpus_dir.to_owned());
        Ok(Self { experiment, corpus_dir, corpus: facts, runs })
    }

    /// The runs of the outputs named, of all where none is; a name without its grid values means all of the grid.
    ///
    /// # Errors
    /// A name that no output has, with the nearest one.
    pub fn only(&self, names: &[String]) -> Result<Vec<&RunSpec>> {
        let fits = |run: &RunSpec, name: &str| {
            run.output == name
                || run
                    .output
                    .strip_prefix(name)
                    .is_some_and(|grid| grid.starts_with(' ') && grid.contains('='))
        };
        if let Some(name) = names.iter().find(|name| !self.runs.iter().any(|run| fits(run, name))) {
            // Who types no grid values means an output of the file, not a point of its grid.
            let shown = |run: &'_ RunSpec| match name.contains('=') {
                true => run.output.clone(),
                false => base_name(&run.output).to_owned(),
            };
            let mut known: Vec<String> = Vec::new();
            for run in self.runs.iter().map(shown) {
                if !known.contains(&run) {
                    known.push(run);
                }
            }
            let message = format!("unknown output `{name}`{}", nearest_and_all(name, &known));
            return Err(LabError::Config {
                file: (&self.experiment).into(),
                place: "--only".to_owned(),
                message,
            });
        }
        let chosen = |run: &&RunSpec| names.is_empty() || names.iter().any(|name| fits(run, name));
        Ok(self.runs.iter().filter(chosen).collect())
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

/// Every split must hold at least one stream pair.
fn check_lengths(corpus: &Corpus, training: &TrainingConfig) -> Result<()> {
    let need = [(Split::Train, 2 * training.batch), (Split::Valid, 2), (Split::Test, 2)];
    for (split, need) in need {
        let found = corpus.tokens(split).len();
        if found < need {
            let message = match split {
                Split::Train => {
                    format!("{found} training tokens, expected at least {need} for `batch` streams of 2")
                }
                _ => format!("{found} tokens in the {split} split, expected at least {need}"),
            };
            return Err(LabError::CorpusUse { name: corpus.name().to_owned(), message });
        }
    }
    Ok(())
}
