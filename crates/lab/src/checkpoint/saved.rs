//! A checkpoint on disk, mapped: its numbers go straight into the model that goes on from it.

use std::fs::File;
use std::path::{Path, PathBuf};

use lexmax_optim::Optimizer;
use lexmax_records::RunId;
use memmap2::Mmap;
use tch::{Device, Kind, Tensor};

use super::layout::{Contents, Entry};
use super::{Progress, bad};
use crate::{LabError, Result};

/// The checkpoint of a run, checked, whose tensors stay in the file until they are restored.
///
/// Memory: the progress and the carried state. The pages of the file are the system's.
#[derive(Debug)]
pub struct SavedRun {
    /// Progress of the training.
    pub progress: Progress,
    /// State carried between windows, on the CPU; `None` at the start of a pass.
    pub state: Option<Vec<Tensor>>,
    path: PathBuf,
    /// `None` for an empty file, which cannot be mapped everywhere.
    map: Option<Mmap>,
}

impl SavedRun {
    /// Opens the checkpoint of a run; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, that is no checkpoint, or a checkpoint of another run.
    pub fn open(path: &Path, id: &RunId) -> Result<Option<Self>> {
        let read = || LabError::io("read the checkpoint", path);
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(read())?,
        };
        let map = match file.metadata().map_err(read())?.len() {
            0 => None,
            // SAFETY: the map is read-only, and a checkpoint is written under another name and
            // renamed, so the file below a map never changes; a user who edits one in place while
            // its run starts breaks this.
            _ => Some(unsafe { Mmap::map(&file) }.map_err(read())?),
        };
        let bytes = map.as_deref().unwrap_or_default();
        let contents = Contents::read(bytes).map_err(|why| bad(path, why))?;
        let progress = contents.progress;
        if progress.id != *id {
            return Err(bad(path, format!("it belongs to run {}, expected {id}", progress.id)));
        }
        let state = contents.state.iter().map(|(_, entry)| entry.tensor(Device::Cpu));
        let state = state.collect::<std::result::Result<Vec<_>, _>>()?;
        let state = if state.is_empty() { None } else { Some(state) };
        Ok(Some(Self { progress, state, path: path.to_owned(), map }))
    }

    /// The file's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// Copies the saved parameters and the optimizer's state into those of a model, in parts of at
    /// most 512 KiB. Nothing changes where they do not fit.
    ///
    /// # Errors
    /// A parameter or an entry of the optimizer's state that is missing, unknown, or of another
    /// shape or kind, by its name.
    pub fn restore(&self, parameters: &[(String, Tensor)], optimizer: &mut Optimizer) -> Result<()> {
        let contents = Contents::read(self.bytes()).map_err(|why| bad(&self.path, why))?;
        let (saved, model) = (&contents.parameters, parameters);
        if saved.len() != model.len() {
            let message = format!("{} parameters, expected {}", saved.len(), model.len());
            return Err(bad(&self.path, message));
        }
        let mut pairs = Vec::with_capacity(model.len());
        for (name, parameter) in model {
            let entry = saved.iter().find(|(saved, _)| saved == name).map(|(_, entry)| entry);
            let fits = |entry: &&Entry<'_>| entry.shape == parameter.size() && entry.kind == parameter.kind();
            pairs.push((
                entry.filter(fits).ok_or_else(|| {
                    bad(&self.path, format!("no parameter {name} of shape {:?}", parameter.size()))
                })?,
                parameter.shallow_clone(),
            ));
        }
        let described: Vec<(&str, &[i64], Kind)> = contents
            .optimizer
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.shape.as_slice(), entry.kind))
            .collect();
        let tables = optimizer.state_places(&described)?;
        pairs.extend(contents.optimizer.iter().map(|(_, entry)| entry).zip(tables));
        for (entry, tensor) in pairs {
            entry.copy_into(&tensor)?;
        }
        Ok(())
    }
}
