//! A run's state on disk: one file, replaced whole.

use std::path::{Path, PathBuf};

use lexmax_optim::Plateau;
use lexmax_records::{CurvePoint, RunId};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

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

/// Everything that is saved.
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

const PROGRESS: &str = "progress";

impl Checkpoint {
    /// Writes the file under a temporary name and renames it.
    ///
    /// # Errors
    /// The file system refused; the earlier checkpoint is then still whole.
    pub fn save(&self, path: &Path) -> Result<()> {
        let progress = serde_json::to_vec(&self.progress).map_err(|error| bad(path, error))?;
        let mut tensors = vec![(PROGRESS.to_owned(), Tensor::f_from_slice(&progress)?)];
        let named = |prefix: &str, list: &[(String, Tensor)]| -> Result<Vec<(String, Tensor)>> {
            list.iter().map(|(name, tensor)| Ok((format!("{prefix}{name}"), plain(tensor)?))).collect()
        };
        tensors.extend(named("parameter/", &self.parameters)?);
        tensors.extend(named("optimizer/", &self.optimizer)?);
        for (index, tensor) in self.state.iter().flatten().enumerate() {
            tensors.push((format!("state/{index:04}"), plain(tensor)?));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(LabError::io("make the folder", folder))?;
        let temporary = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder);
        let temporary = temporary.map_err(LabError::io("write into", folder))?.into_temp_path();
        Tensor::write_safetensors(&tensors, &temporary)?;
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
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(LabError::io("read the checkpoint", path))?,
        };
        let saved = Self::from_bytes(&bytes, device).map_err(|why| bad(path, why))?;
        if saved.progress.id != *id {
            return Err(bad(path, format!("it belongs to run {}, expected {id}", saved.progress.id)));
        }
        Ok(Some(saved))
    }

    /// Reads a checkpoint from the bytes of its file, which may be anything: what is no checkpoint
    /// is an error, and needs no more memory than the bytes themselves. Whether it fits a model is
    /// checked when the model takes it.
    ///
    /// # Errors
    /// No safetensors file, a tensor of a kind or a name that no checkpoint has, or no sound
    /// account of the progress.
    pub fn from_bytes(bytes: &[u8], device: Device) -> std::result::Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut progress = None;
        let (mut parameters, mut optimizer, mut state) = (Vec::new(), Vec::new(), Vec::new());
        for (name, view) in file.tensors() {
            if name == PROGRESS {
                let read = serde_json::from_slice::<Progress>(view.data());
                progress = Some(read.map_err(|error| format!("{PROGRESS}: {error}"))?);
                continue;
            }
            let tensor = tensor(&view, device).map_err(|why| format!("tensor {name:?}: {why}"))?;
            if let Some(name) = name.strip_prefix("parameter/") {
                parameters.push((name.to_owned(), tensor));
            } else if let Some(name) = name.strip_prefix("optimizer/") {
                optimizer.push((name.to_owned(), tensor));
            } else if name.starts_with("state/") {
                state.push((name, tensor));
            } else {
                return Err(format!("tensor {name:?}, expected a parameter, optimizer or carried state"));
            }
        }
        let progress = progress.ok_or("no progress inside")?;
        state.sort_by(|a, b| a.0.cmp(&b.0));
        let state: Vec<Tensor> = state.into_iter().map(|(_, tensor)| tensor).collect();
        let state = if state.is_empty() { None } else { Some(state) };
        Ok(Self { progress, parameters, optimizer, state })
    }
}

/// A tensor of a file, on a device.
fn tensor(view: &TensorView<'_>, device: Device) -> std::result::Result<Tensor, String> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        other => return Err(format!("kind {other:?}, expected F32, F64 or I64")),
    };
    let shape = view.shape().iter().map(|&size| i64::try_from(size));
    let shape = shape.collect::<std::result::Result<Vec<i64>, _>>().map_err(|error| error.to_string())?;
    // A size of zero hides what the others are: libtorch multiplies them for the strides.
    shape
        .iter()
        .try_fold(1_i64, |all, &size| all.checked_mul(size.max(1)))
        .ok_or("a shape beyond all numbers")?;
    let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|error| error.to_string())?;
    tensor.f_to(device).map_err(|error| error.to_string())
}

/// Copies saved parameters into those of a model.
pub(crate) fn restore(path: &Path, saved: &[(String, Tensor)], model: &[(String, Tensor)]) -> Result<()> {
    let _guard = tch::no_grad_guard();
    if saved.len() != model.len() {
        return Err(bad(path, format!("{} parameters, expected {}", saved.len(), model.len())));
    }
    for (name, parameter) in model {
        let value = saved.iter().find(|(saved, _)| saved == name).map(|(_, value)| value);
        let value =
            value.filter(|value| value.size() == parameter.size() && value.kind() == parameter.kind());
        let value =
            value.ok_or_else(|| bad(path, format!("no parameter {name} of shape {:?}", parameter.size())))?;
        parameter.shallow_clone().f_copy_(value)?;
    }
    Ok(())
}

fn plain(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_to(Device::Cpu)?.f_contiguous()?)
}

fn bad(path: &Path, message: impl std::fmt::Display) -> LabError {
    LabError::Checkpoint { path: path.to_owned(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checkpoint() -> Checkpoint {
        let progress = Progress {
            id: RunId::of_config(&serde_json::json!(1)),
            step: 3,
            tokens: 60,
            row: 9,
            train_seconds: 0.1 + 0.2,
            setup_seconds: 0.0,
            loss: MeanLoss { sum: 1.0 / 3.0, weight: 20.0 },
            learning_rate: 0.5,
            plateau: None,
            points: 1,
            curve: Vec::new(),
            products: Some("gemm".to_owned()),
        };
        let tensor = |values: &[f64]| Tensor::from_slice(values);
        Checkpoint {
            progress,
            parameters: vec![("a".to_owned(), tensor(&[1.0, 2.0]))],
            optimizer: vec![("m.a".to_owned(), tensor(&[0.25, 0.5]))],
            state: Some(vec![tensor(&[7.0]).view([1, 1]), tensor(&[8.0])]),
        }
    }

    #[test]
    fn saved_checkpoint_loads_unchanged_and_for_its_run_only() {
        let folder = tempfile::tempdir().unwrap();
        let saved = checkpoint();
        let file = path(folder.path(), &saved.progress.id);
        assert!(Checkpoint::load(&file, &saved.progress.id, Device::Cpu).unwrap().is_none());
        saved.save(&file).unwrap();
        let loaded = Checkpoint::load(&file, &saved.progress.id, Device::Cpu).unwrap().unwrap();
        assert_eq!(loaded.progress, saved.progress);
        assert_eq!(loaded.parameters, saved.parameters);
        assert_eq!(loaded.optimizer, saved.optimizer);
        assert_eq!(loaded.state, saved.state);

        let other = RunId::of_config(&serde_json::json!(2));
        let error = Checkpoint::load(&file, &other, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(&format!("expected {other}")), "{error}");
        std::fs::write(&file, b"damaged").unwrap();
        assert!(Checkpoint::load(&file, &saved.progress.id, Device::Cpu).is_err());
    }

    #[test]
    fn foreign_bytes_are_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let saved = checkpoint();
        let file = path(folder.path(), &saved.progress.id);
        saved.save(&file).unwrap();
        let sound = std::fs::read(&file).unwrap();
        assert!(Checkpoint::from_bytes(&sound, Device::Cpu).is_ok());
        for length in 0..sound.len() {
            assert!(Checkpoint::from_bytes(&sound[..length], Device::Cpu).is_err(), "cut to {length}");
        }
        for at in 0..sound.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] ^= flip;
                // A change within a number is another number; anything else is an error. Neither is
                // a panic.
                let _ = Checkpoint::from_bytes(&bytes, Device::Cpu);
            }
        }
        let header = |json: &str| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
        for json in [
            "{}",
            r#"{"parameter/a":{"dtype":"F32","shape":[0,9223372036854775807,3],"data_offsets":[0,0]}}"#,
            r#"{"parameter/a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}}"#,
            r#"{"parameter/a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
            r#"{"parameter/a":{"dtype":"U16","shape":[0],"data_offsets":[0,0]}}"#,
            r#"{"progress":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            r#"{"other":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#,
        ] {
            assert!(Checkpoint::from_bytes(&header(json), Device::Cpu).is_err(), "{json}");
        }
        assert!(Checkpoint::from_bytes(&u64::MAX.to_le_bytes(), Device::Cpu).is_err());
    }

    #[test]
    fn parameters_are_restored_by_name_and_shape() {
        let saved =
            [("a".to_owned(), Tensor::from_slice(&[1.0, 2.0])), ("b".to_owned(), Tensor::from_slice(&[3.0]))];
        let zeros = |name: &str, n| (name.to_owned(), Tensor::zeros([n], (Kind::Double, Device::Cpu)));
        let model = [zeros("b", 1), zeros("a", 2)];
        restore(Path::new("x"), &saved, &model).unwrap();
        assert_eq!((&model[0].1, &model[1].1), (&saved[1].1, &saved[0].1));
        let error = restore(Path::new("x"), &saved, &[zeros("b", 1), zeros("a", 3)]).unwrap_err();
        assert!(error.to_string().contains("no parameter a of shape [3]"), "{error}");
    }
}
