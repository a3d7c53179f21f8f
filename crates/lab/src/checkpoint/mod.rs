//! A run's state on disk: one file, replaced whole. Tensors go to it and come from it one by one,
//! without a copy of the state in memory.

mod layout;
mod saved;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use lexmax_optim::Plateau;
use lexmax_records::{CurvePoint, RunId};
use safetensors::SafeTensorError;
use safetensors::tensor::serialize_to_file;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use layout::{Contents, Dense, PROGRESS};
pub use saved::SavedRun;

use crate::train::MeanLoss;
use crate::{LabError, Result};

/// Progress of a training. Together with parameters, optimizer state and carried state it decides
/// the rest of the run: generators are keyed by the step, so they have no state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub id: RunId,
    /// Steps taken.
    pub step: u64,
    /// Training tokens seen.
    pub tokens: u64,
    /// Rows of the current pass that were read.
    pub row: usize,
    /// Seconds of training, set-up included.
    pub train_seconds: f64,
    /// Seconds of the layer's set-up.
    pub setup_seconds: f64,
    /// The training loss since the last curve point.
    pub loss: MeanLoss,
    /// Learning rate in force.
    pub learning_rate: f64,
    /// State of the learning-rate decay.
    pub plateau: Option<Plateau>,
    /// Curve points that the schedule has passed.
    pub points: u64,
    /// The curve so far.
    pub curve: Vec<CurvePoint>,
    /// Library of the fused path's matrix products that the run began with; libraries round
    /// differently.
    #[serde(default)]
    pub products: Option<String>,
}

/// Everything that is saved: handles of tensors, which may be those of a model at work.
#[derive(Debug)]
pub struct Checkpoint {
    /// Progress of the training.
    pub progress: Progress,
    /// Parameters by name.
    pub parameters: Vec<(String, Tensor)>,
    /// Optimizer state by name.
    pub optimizer: Vec<(String, Tensor)>,
    /// State carried between windows; `None` at the start of a pass.
    pub state: Option<Vec<Tensor>>,
}

/// The checkpoint file of a run below an experiment's results.
pub fn path(results: &Path, id: &RunId) -> PathBuf {
    results.join("checkpoints").join(format!("{id}.safetensors"))
}

impl Checkpoint {
    /// Writes the file under a temporary name and renames it. Contiguous tensors on the CPU are
    /// written from where they are; of the others there is a copy meanwhile.
    ///
    /// # Errors
    /// The file system refused; the earlier checkpoint is then still whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        let progress = serde_json::to_vec(&self.progress).map_err(|error| bad(path, error))?;
        let mut tensors = vec![(PROGRESS.to_owned(), dense(path, &Tensor::f_from_slice(&progress)?)?)];
        for (prefix, list) in [("parameter/", &self.parameters), ("optimizer/", &self.optimizer)] {
            for (name, tensor) in list {
                tensors.push((format!("{prefix}{name}"), dense(path, tensor)?));
            }
        }
        for (index, tensor) in self.state.iter().flatten().enumerate() {
            tensors.push((format!("state/{index:04}"), dense(path, tensor)?));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(LabError::io("make the folder", folder))?;
        let temporary = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder);
        let temporary = temporary.map_err(LabError::io("write into", folder))?.into_temp_path();
        // An error of the file system and not of the checkpoint, of which the earlier one is sound.
        let unwritten = |error| match error {
            SafeTensorError::IoError(source) => LabError::io("write", path)(source),
            other => LabError::io("write", path)(std::io::Error::other(other)),
        };
        serialize_to_file(tensors, None, &temporary).map_err(unwritten)?;
        // Else the new name may be on disk before the numbers are.
        std::fs::File::open(&temporary)
            .and_then(|file| file.sync_all())
            .map_err(LabError::io("write", &temporary))?;
        temporary.persist(path).map_err(|error| LabError::io("write", path)(error.error))
    }

    /// Reads the checkpoint of a run; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, as in [`Checkpoint::from_bytes`], or a checkpoint of another
    /// run.
    pub fn load(path: &Path, id: &RunId, device: Device) -> Result<Option<Self>> {
        let Some(saved) = SavedRun::open(path, id)? else { return Ok(None) };
        Self::from_bytes(saved.bytes(), device).map(Some).map_err(|why| bad(path, why))
    }

    /// Reads a checkpoint from the bytes of its file, which may be anything: what is no checkpoint
    /// is an error, and needs no more memory than the bytes themselves. Whether it fits a model is
    /// checked when the model takes it.
    ///
    /// # Errors
    /// No safetensors file, a tensor of a kind or a name that no checkpoint has, or no sound
    /// account of the progress.
    pub fn from_bytes(bytes: &[u8], device: Device) -> std::result::Result<Self, String> {
        let contents = Contents::read(bytes)?;
        let on_device = |(name, entry): (String, layout::Entry<'_>)| match entry.tensor(device) {
            Ok(tensor) => Ok((name, tensor)),
            Err(why) => Err(format!("tensor {name:?}: {why}")),
        };
        let tensors =
            |list: Vec<_>| list.into_iter().map(on_device).collect::<std::result::Result<Vec<_>, _>>();
        let state = tensors(contents.state)?.into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>();
        Ok(Self {
            progress: contents.progress,
            parameters: tensors(contents.parameters)?,
            optimizer: tensors(contents.optimizer)?,
            state: if state.is_empty() { None } else { Some(state) },
        })
    }
}

fn dense(path: &Path, tensor: &Tensor) -> Result<Dense> {
    Dense::new(tensor)?.ok_or_else(|| {
        let kind = tensor.kind();
        let message = format!("a tensor of kind {kind:?}, expected Float, Double, Int64 or Uint8, dense");
        LabError::io("write", path)(std::io::Error::other(message))
    })
}

fn bad(path: &Path, message: impl std::fmt::Display) -> LabError {
    LabError::Checkpoint { path: path.to_owned(), message: message.to_string() }
}
