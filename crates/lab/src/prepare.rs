//! The corpus of an experiment: opened where it exists, made where it does not.

use std::path::{Path, PathBuf};

use lexmax_corpus::{Corpus, Origin, build_observed, synthesize_observed};
use lexmax_records::RunId;

use crate::config::{CorpusSpec, Experiment, TextSpec};
use crate::{CorpusDisplay, LabError, Result};

/// The directory of an experiment's corpus: the given one, or `data/NAME-HASH` in the project,
/// where the hash is that of the options it is made with.
pub fn corpus_folder(experiment: &Experiment) -> PathBuf {
    let name = match &experiment.corpus {
        CorpusSpec::Path(path) => return experiment.project.join(path),
        CorpusSpec::Synthetic(_) => &experiment.name,
        CorpusSpec::Text(text) => text.name.as_ref().unwrap_or(&experiment.name),
    };
    let spec = serde_json::to_value(&experiment.corpus).unwrap_or_default();
    let hash: String = RunId::of_config(&spec).as_str().chars().take(8).collect();
    experiment.project.join("data").join(format!("{name}-{hash}"))
}

/// Opens the corpus of an experiment; makes it first where it is not given by path and absent, with
/// its progress on standard error. Of processes that do so at once the first makes it, and the
/// others wait.
///
/// # Errors
/// A file that is missing or damaged, text that cannot be read, sources that changed since the
/// corpus was made, an interrupt while it is made (see [`crate::catch_interrupts`]).
pub fn prepare_corpus(experiment: &Experiment) -> Result<(PathBuf, Corpus)> {
    let folder = corpus_folder(experiment);
    let mut display = CorpusDisplay::new();
    let corpus = match &experiment.corpus {
        CorpusSpec::Synthetic(options) if !folder.exists() => {
            synthesize_observed(options, &folder, &mut display)?
        }
        CorpusSpec::Text(text) if !folder.exists() => {
            let name = text.name.as_ref().unwrap_or(&experiment.name);
            build_observed(&text.options(&experiment.project, name), &folder, &mut display)?
        }
        _ => Corpus::open(&folder)?,
    };
    if let CorpusSpec::Text(text) = &experiment.corpus {
        check_sources(&corpus, text, &experiment.project, &folder)?;
    }
    Ok((folder, corpus))
}

/// A corpus made from other files than those that are there now would give results under a wrong
/// name. Files that are gone are no reason to refuse: the corpus stands for itself. Sources are
/// read whole, as the corpus is when it is opened: sizes and times do not tell of every change.
fn check_sources(corpus: &Corpus, text: &TextSpec, project: &Path, folder: &Path) -> Result<()> {
    let Origin::Text { files, .. } = &corpus.info().origin else { return Ok(()) };
    for (path, source) in text.sources(project).iter().zip(files) {
        if !path.exists() || source.is_still(path)? {
            continue;
        }
        let (path, folder) = (path.display(), folder.display());
        let message = format!(
            "{path} is not what it was when {folder} was made (then {} bytes of SHA-256 {}...); remove that folder to \
             make it anew",
            source.bytes,
            source.sha256.get(..16).unwrap_or(&source.sha256)
        );
        return Err(LabError::CorpusUse { name: corpus.name().to_owned(), message });
    }
    Ok(())
}
