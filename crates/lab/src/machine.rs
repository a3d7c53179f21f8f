//! The machine and the software of a run.

use std::path::Path;
use std::time::{Duration, Instant};

use lexmax_records::Environment;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
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
    let facts = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(facts);
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim()).filter(|brand| !brand.is_empty());
    Environment {
        cpu: processor(brand.unwrap_or(std::env::consts::ARCH)),
        cores: cores(),
        threads,
        memory_bytes: Some(system.total_memory()).filter(|bytes| *bytes > 0),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device.to_owned(),
        dtype: dtype.to_owned(),
        libtorch: libtorch_version().unwrap_or_else(|| "unknown".to_owned()),
        products: lexmax_products::chosen().ok().map(|choice| choice.library.name().to_owned()),
        lexmax: env!("CARGO_PKG_VERSION").to_owned(),
        commit,
    }
}

/// Name of a processor; where it is the maker's alone, as on some rented machines, with the numbers
/// that tell its generation.
fn processor(brand: &str) -> String {
    match family_and_model() {
        Some((family, model)) if !brand.contains(|c: char| c.is_ascii_digit()) => {
            format!("{brand} (family {family}, model {model})")
        }
        _ => brand.to_owned(),
    }
}

/// Family and model of an x86 processor, from its first word about itself: "Intel 64 and IA-32
/// Architectures Software Developer's Manual", volume 2, CPUID; AMD counts alike.
fn family_and_model() -> Option<(u32, u32)> {
    #[cfg(target_arch = "x86_64")]
    {
        let word = std::arch::x86_64::__cpuid(1).eax;
        let bits = |low: u32, count: u32| (word >> low) & ((1 << count) - 1);
        let family = bits(8, 4) + if bits(8, 4) == 15 { bits(20, 8) } else { 0 };
        Some((family, bits(4, 4) + (bits(16, 4) << 4)))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Peak resident memory of this process in bytes, mapped files and the pages of libraries included;
/// `None` where the system does not tell.
pub fn peak_resident_memory() -> Option<u64> {
    status_bytes(&["VmHWM"])
}

/// Resident memory of this process in bytes, mapped files and the pages of libraries included;
/// `None` where the system does not tell.
pub fn resident_memory() -> Option<u64> {
    status_bytes(&["VmRSS"])
}

/// Lets [`peak_resident_memory`] count from now on. Returns whether the system can do that.
pub fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Largest memory of the process's own, without the pages of mapped files, among the moments it was
/// asked for.
///
/// The pages of a corpus are the system's cache of a file: how many are resident tells of the
/// length of the text, not of a layer. Linux keeps a peak of all resident pages only, so the
/// process's own are looked at from time to time. A run's process keeps what it frees
/// (`allocator`), so that little rises and falls between two looks.
#[derive(Debug, Default)]
pub struct OwnMemory {
    peak: Option<u64>,
    looked: Option<Instant>,
}

/// Least time between two looks that nobody asked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl OwnMemory {
    /// Looks, where the last look is some time ago.
    pub fn look(&mut self) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.look_now();
        }
    }

    /// Looks.
    pub fn look_now(&mut self) {
        self.looked = Some(Instant::now());
        // `None` is less than any number.
        self.peak = self.peak.max(own_memory());
    }

    /// Bytes of the largest memory seen; `None` where the system does not tell.
    pub fn peak(&self) -> Option<u64> {
        self.peak
    }
}

/// Memory of the process's own now: anonymous and shared pages, in memory or swapped out.
fn own_memory() -> Option<u64> {
    status_bytes(&["RssAnon", "RssShmem", "VmSwap"])
}

/// Sum of some lines of the process's status, which only Linux has.
fn status_bytes(names: &[&str]) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = |name: &&str| {
        let pair = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key == name);
        pair?.1.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    names.iter().map(kibibytes).sum::<Option<u64>>().map(|kibibytes| 1024 * kibibytes)
}

/// From the file `build-version` beside the library that is loaded: the version that runs, not the
/// one built against.
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
    fn processor_of_no_number_is_told_by_its_family() {
        assert_eq!(processor("Some CPU 9000"), "Some CPU 9000");
        let told = processor("Some EPYC");
        match family_and_model() {
            Some((family, _)) => assert!(family >= 6 && told.starts_with("Some EPYC (family "), "{told}"),
            None => assert_eq!(told, "Some EPYC"),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_environment_is_that_of_this_machine() {
        let environment = environment(None, 2, "cpu", "f32");
        assert!(environment.memory_bytes.unwrap() > 1 << 28, "{environment:?}");
        assert!(environment.libtorch.starts_with(|c: char| c.is_ascii_digit()), "{environment:?}");
        assert!(!environment.cpu.is_empty() && environment.cores >= 1, "{environment:?}");
    }
}
