//! In what state a libtorch folder is.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::VERSION;
use super::manifest::{self, Manifest};

/// In what state a libtorch folder is.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// There is nothing.
    Missing,
    /// As installed.
    Whole {
        /// Number of files in the manifest.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A usable libtorch of the right version that somebody else put there.
    Foreign,
    /// Not usable as it is; the text says what is wrong.
    Damaged(String),
}

/// Looks at the folder: sizes only (milliseconds), or with `verify` the checksum of every file.
pub fn state(folder: &Path, verify: bool) -> State {
    if !folder.join(manifest::NAME).is_file() {
        return without_manifest(folder);
    }
    let checked = Manifest::read(folder).and_then(|manifest| {
        let version = version_of(folder).unwrap_or_else(|| "unknown".to_owned());
        if version != VERSION {
            anyhow::bail!("it is version {version}, expected {VERSION}");
        }
        if verify { manifest.check_contents(folder) } else { manifest.check_sizes(folder) }?;
        Ok(State::Whole { files: manifest.files.len(), bytes: manifest.bytes() })
    });
    checked.unwrap_or_else(|error| State::Damaged(format!("{error:#}")))
}

/// The version in `build-version`, without its local part (`2.13.0+cpu` is 2.13.0).
pub fn version_of(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("build-version")).ok()?;
    text.trim().split('+').next().map(str::to_owned)
}

/// A folder from elsewhere, for example the archive of the PyTorch site, unpacked by hand.
fn without_manifest(folder: &Path) -> State {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(_) if folder.symlink_metadata().is_ok() => {
            return State::Damaged("it is not a folder that can be read".to_owned());
        }
        Err(_) => return State::Missing,
    };
    if entries.next().is_none() {
        return State::Missing;
    }
    match version_of(folder) {
        Some(version) if version == VERSION => {}
        Some(version) => return State::Damaged(format!("it is version {version}, expected {VERSION}")),
        None => return State::Damaged("it has no readable file build-version".to_owned()),
    }
    let header = "include/torch/csrc/api/include/torch/torch.h";
    if !folder.join(header).is_file() {
        return State::Damaged(format!("it has no {header}"));
    }
    for name in ["libtorch", "libtorch_cpu", "libc10"] {
        let library = folder.join("lib").join(name);
        if library.with_extension("dylib").is_file() {
            continue;
        }
        if let Err(why) = whole_elf(&library.with_extension("so")) {
            return State::Damaged(format!("lib/{name}.so {why}"));
        }
    }
    State::Foreign
}

/// Whether a shared object reaches as far as its header says (the table of sections lies at its end, so a broken
/// copy is noticed without reading it).
fn whole_elf(path: &Path) -> Result<(), String> {
    let mut header = [0_u8; 64];
    let mut file = File::open(path).map_err(|error| format!("cannot be opened ({error})"))?;
    let size = file.metadata().map_err(|error| format!("cannot be read ({error})"))?.len();
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF\x02") {
        return Err("is not a 64-bit shared object".to_owned());
    }
    let number = |at: usize, len: usize| {
        header[at..at + len].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let expected = number(0x28, 8).saturating_add(number(0x3a, 2) * number(0x3c, 2));
    if size < expected {
        return Err(format!("is cut off: {size} bytes, expected at least {expected}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// An ELF header that promises a section table of 64 bytes at byte 100.
    fn elf(size: usize) -> Vec<u8> {
        let mut bytes = vec![0_u8; size];
        bytes[..5].copy_from_slice(b"\x7fELF\x02");
        bytes[0x28] = 100;
        bytes[0x3a] = 64;
        bytes[0x3c] = 1;
        bytes
    }

    fn damage(folder: &Path) -> String {
        match state(folder, false) {
            State::Damaged(what) => what,
            other => panic!("expected damage, got {other:?}"),
        }
    }

    #[test]
    fn a_folder_from_elsewhere_is_accepted_when_it_is_usable() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(state(&dir.join("nothing"), false), State::Missing);
        assert_eq!(state(dir, false), State::Missing);
        fs::create_dir_all(dir.join("lib")).unwrap();
        assert!(damage(dir).contains("build-version"));
        fs::write(dir.join("build-version"), "2.11.0").unwrap();
        assert!(damage(dir).contains("2.11.0, expected 2.13.0"));
        fs::write(dir.join("build-version"), "2.13.0+cpu\n").unwrap();
        assert!(damage(dir).contains("torch.h"));
        let header = dir.join("include/torch/csrc/api/include/torch");
        fs::create_dir_all(&header).unwrap();
        fs::write(header.join("torch.h"), "").unwrap();
        assert!(damage(dir).contains("lib/libtorch.so cannot be opened"));
        for name in ["libtorch.so", "libtorch_cpu.so", "libc10.so"] {
            fs::write(dir.join("lib").join(name), elf(164)).unwrap();
        }
        assert_eq!(state(dir, false), State::Foreign);
        fs::write(dir.join("lib/libtorch_cpu.so"), elf(163)).unwrap();
        assert!(damage(dir).contains("libtorch_cpu.so is cut off: 163 bytes, expected at least 164"));
        fs::write(dir.join("lib/libtorch_cpu.so"), "<html>not found</html>").unwrap();
        assert!(damage(dir).contains("not a 64-bit shared object"));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(damage(&file).contains("not a folder"));
    }
}
