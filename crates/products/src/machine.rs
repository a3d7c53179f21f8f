//! Machine that a measured choice holds for: processor, library, version.

use std::time::UNIX_EPOCH;

use lexmax_kernels::Level;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::blas;

/// Processor, BLAS and version, as one line of text. A choice is measured again where any of them
/// is another.
pub(crate) fn key() -> String {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let cpu = system.cpus().first();
    let brand = cpu.map_or(std::env::consts::ARCH, |cpu| cpu.brand().trim());
    // A processor of one name may be a virtual machine with fewer instructions, or another
    // stepping.
    let features = Level::ALL.into_iter().rfind(|level| level.is_available());
    let blas = blas::file().map_or_else(|| "no BLAS".to_owned(), |file| dated(&file));
    // Without optimisation the crate `gemm` is slower than it is, and a BLAS is not.
    let build = if cfg!(debug_assertions) { "for tests" } else { "optimised" };
    format!("{brand}; {features:?}; {blas}; {build}; lexmax {}", env!("CARGO_PKG_VERSION"))
}

/// A file with its length and time, by which a new version is told from the old one.
fn dated(file: &str) -> String {
    let facts = std::fs::metadata(file).ok();
    let length = facts.as_ref().map_or(0, std::fs::Metadata::len);
    let changed = facts.and_then(|facts| facts.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    format!("{file} of {length} bytes, {}", changed.map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn key_names_the_version_and_stays_the_same() {
        let key = super::key();
        assert!(key.ends_with(concat!("lexmax ", env!("CARGO_PKG_VERSION"))), "{key}");
        assert_eq!(key, super::key());
    }
}
