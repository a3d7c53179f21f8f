//! The machine and the software of a run.

use std::path::Path;

use lexmax_records::Environment;
use tch::{Cuda, Device};

use crate::{LabError, Result};

/// Logical cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// Another word, or a CUDA device that this machine or this libtorch does not have.
pub fn parse_device(given: &str) -> Result<Device> {
    let refuse = |expected: String| LabError::Device { given: given.to_owned(), expected };
    let index = match given {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => Some(0),
        other => other.strip_prefix("cuda:").and_then(|index| index.parse::<usize>().ok()),
    };
    let Some(index) = index else { return Err(refuse("expected `cpu`, `cuda` or `cuda:N`".to_owned())) };
    let devices = Cuda::device_count().max(0) as usize;
    if index < devices {
        Ok(Device::Cuda(index))
    } else {
        Err(refuse(format!("libtorch sees {devices} CUDA devices here; expected one of them, or `cpu`")))
    }
}

/// `cpu` or `cuda:N`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Waits until the device has done what it was given.
pub(crate) fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// The machine and the software of a run, whose sources are of a commit where that is known.
pub fn environment(commit: Option<String>, threads: usize, device: &str, dtype: &str) -> Environment {
    Environment {
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: cores(),
        threads,
        memory_bytes: kibibytes("/proc/meminfo", "MemTotal").unwrap_or(0),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device.to_owned(),
        dtype: dtype.to_owned(),
        libtorch: libtorch_version().unwrap_or_else(|| "unknown".to_owned()),
        lexmax: env!("CARGO_PKG_VERSION").to_owned(),
        commit,
    }
}

/// Peak resident memory of this process in bytes; 0 where the system does not tell.
pub fn peak_memory() -> u64 {
    kibibytes("/proc/self/status", "VmHWM").unwrap_or(0)
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub fn resident_memory() -> u64 {
    kibibytes("/proc/self/status", "VmRSS").unwrap_or(0)
}

/// Lets [`peak_memory`] count from now on. Returns whether the system can do that.
pub fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The value of the first `name : value` line of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let pair = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    pair.map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let value = field(file, name)?;
    Some(1024 * value.strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// From the file `build-version` beside the library that is loaded: the version that runs, not the one built against.
fn libtorch_version() -> Option<String> {
    // One call into libtorch, so that it is loaded whatever was called before.
    tch::get_num_threads();
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let library = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = Path::new(&library[library.find('/')?..]);
    let version = std::fs::read_to_string(path.parent()?.parent()?.join("build-version")).ok()?;
    Some(version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn devices_are_read_and_refused_by_name() {
        assert_eq!(parse_device("cpu").unwrap(), Device::Cpu);
        for bad in ["gpu", "cuda:", "cuda:99"] {
            let error = parse_device(bad).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_environment_is_that_of_this_machine() {
        let environment = environment(2, "cpu", "f32");
        assert!(environment.memory_bytes > 1 << 28, "{environment:?}");
        assert!(environment.libtorch.starts_with(|c: char| c.is_ascii_digit()), "{environment:?}");
        let before = peak_memory();
        let filled = vec![1_u8; 64 << 20];
        assert!(peak_memory() >= (64 << 20) && peak_memory() >= before, "{}", filled.len());
    }
}
