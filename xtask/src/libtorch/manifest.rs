//! What an installation consists of: size and CRC-32 of every file, one line each, in the folder itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Name of the manifest within the libtorch folder.
pub const NAME: &str = "lexmax-manifest";
const FIRST_LINE: &str = "lexmax libtorch manifest 1: bytes, CRC-32, file";

/// Size and CRC-32 of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Bytes.
    pub size: u64,
    /// CRC-32 (ISO-HDLC, as in zip archives).
    pub crc32: u32,
}

/// The files of an installation, by path relative to its folder, with `/` between names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Size and checksum by path.
    pub files: BTreeMap<String, Entry>,
}

impl Manifest {
    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.size).sum()
    }

    /// Adds a file of `folder` as it is now.
    pub fn add(&mut self, folder: &Path, path: &str) -> Result<()> {
        self.files.insert(path.to_owned(), measure(&folder.join(path))?);
        Ok(())
    }

    /// Writes the manifest into `folder`. Its last line tells a whole manifest from one that is cut off.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut text = format!("{FIRST_LINE}\n");
        for (path, entry) in &self.files {
            text.push_str(&format!("{} {:08x} {path}\n", entry.size, entry.crc32));
        }
        text.push_str(&format!("end {}\n", self.files.len()));
        let path = folder.join(NAME);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Reads the manifest of `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let (body, last) = text.trim_end().rsplit_once('\n').unwrap_or((text.as_str(), ""));
        let mut lines = body.lines();
        ensure!(lines.next() == Some(FIRST_LINE), "{NAME} does not begin with `{FIRST_LINE}`");
        let mut files = BTreeMap::new();
        for line in lines {
            let entry = parse(line).with_context(|| format!("{NAME} has the line `{line}`"))?;
            files.insert(entry.0.to_owned(), entry.1);
        }
        let end = format!("end {}", files.len());
        ensure!(last == end, "{NAME} ends with `{last}`, expected `{end}`");
        Ok(Self { files })
    }

    /// Sees whether every file is there with its size (milliseconds for ten thousand files).
    pub fn check_sizes(&self, folder: &Path) -> Result<()> {
        self.check(folder, |path, entry| {
            let size = fs::metadata(path)?.len();
            ensure!(size == entry.size, "{size} bytes, expected {}", entry.size);
            Ok(())
        })
    }

    /// Reads every file and compares size and checksum.
    pub fn check_contents(&self, folder: &Path) -> Result<()> {
        self.check(folder, |path, entry| {
            let found = measure(path)?;
            ensure!(found.size == entry.size, "{} bytes, expected {}", found.size, entry.size);
            ensure!(found.crc32 == entry.crc32, "CRC-32 {:08x}, expected {:08x}", found.crc32, entry.crc32);
            Ok(())
        })
    }

    fn check(&self, folder: &Path, fits: impl Fn(&Path, &Entry) -> Result<()>) -> Result<()> {
        let mut wrong = self.files.iter().filter_map(|(path, entry)| {
            fits(&folder.join(path), entry).err().map(|error| format!("{path}: {error:#}"))
        });
        let Some(first) = wrong.next() else { return Ok(()) };
        match wrong.count() {
            0 => bail!("{first}"),
            more => bail!("{first} (and {more} more files)"),
        }
    }
}

fn parse(line: &str) -> Result<(&str, Entry)> {
    let mut words = line.splitn(3, ' ');
    let (size, crc32, path) = (words.next(), words.next(), words.next());
    match (size, crc32, path) {
        (Some(size), Some(crc32), Some(path)) => {
            Ok((path, Entry { size: size.parse()?, crc32: u32::from_str_radix(crc32, 16)? }))
        }
        _ => bail!("expected `bytes CRC-32 file`"),
    }
}

/// Size and checksum of a file by reading it.
fn measure(path: &Path) -> Result<Entry> {
    let mut file = File::open(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read `{}`", path.display()))?;
        if read == 0 {
            return Ok(Entry { size, crc32: hasher.finalize() });
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn installed() -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        fs::write(folder.path().join("lib/a b.so"), "123456789").unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        let mut manifest = Manifest::default();
        manifest.add(folder.path(), "lib/a b.so").unwrap();
        manifest.add(folder.path(), "empty").unwrap();
        (folder, manifest)
    }

    #[test]
    fn what_is_written_is_read() {
        let (folder, manifest) = installed();
        assert_eq!(manifest.files["lib/a b.so"], Entry { size: 9, crc32: 0xcbf4_3926 });
        assert_eq!(manifest.bytes(), 9);
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        manifest.check_sizes(folder.path()).unwrap();
        manifest.check_contents(folder.path()).unwrap();
    }

    #[test]
    fn every_kind_of_damage_is_named() {
        let (folder, manifest) = installed();
        let library = folder.path().join("lib/a b.so");
        fs::write(&library, "12345678x").unwrap();
        manifest.check_sizes(folder.path()).unwrap();
        let error = manifest.check_contents(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("lib/a b.so: CRC-32") && error.ends_with("expected cbf43926"), "{error}");
        fs::write(&library, "1234").unwrap();
        let error = manifest.check_sizes(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "lib/a b.so: 4 bytes, expected 9");
        fs::remove_file(&library).unwrap();
        fs::remove_file(folder.path().join("empty")).unwrap();
        let error = manifest.check_sizes(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("empty: ") && error.ends_with("(and 1 more files)"), "{error}");
    }

    #[test]
    fn a_manifest_that_is_cut_off_is_refused() {
        let (folder, manifest) = installed();
        manifest.write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for keep in 0..lines.len() {
            fs::write(folder.path().join(NAME), lines[..keep].join("\n")).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "{keep} lines");
        }
        fs::write(folder.path().join(NAME), text.replace("cbf43926", "cbf4392g")).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cbf4392g lib/a b.so"), "{error}");
    }
}
