//! Taking the few files that a CPU program needs out of the wheels (zip archives).

use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use zip::ZipArchive;

use super::manifest::{Entry, Manifest};
use super::megabytes;

/// What must be there in the end, each with the package that has it.
const NEEDED: [(&str, &str); 6] = [
    ("include/torch/csrc/api/include/torch/torch.h", "torch"),
    ("lib/libtorch_cpu.so", "torch"),
    ("lib/libc10.so", "torch"),
    ("lib/libgomp.so.1", "torch"),
    ("lib/libcudart.so.13", "nvidia-cuda-runtime"),
    ("lib/libcupti.so.13", "nvidia-cuda-cupti"),
];

/// Where an archive's file goes in the libtorch folder; `None` for what is not needed.
fn destination(name: &str) -> Option<String> {
    let path = if let Some(header) = name.strip_prefix("torch/include/") {
        format!("include/{header}")
    } else {
        let file = name.rsplit('/').next()?;
        let known = NEEDED.iter().any(|(path, _)| path.strip_prefix("lib/") == Some(file));
        if !known {
            return None;
        }
        format!("lib/{file}")
    };
    // A name that climbs out of the folder, or ends in no file, is none of a wheel's.
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (plain && !path.contains('\\')).then_some(path)
}

/// Unpacks what is needed of the `wheels` into `folder` and enters it in `manifest`. The archive's checksums are
/// compared on the way, so a broken wheel is an error that names the wheel and the file.
pub fn unpack(wheels: &[impl AsRef<Path>], folder: &Path, manifest: &mut Manifest) -> Result<()> {
    for wheel in wheels {
        let wheel = wheel.as_ref();
        let name = wheel.file_name().unwrap_or_default().to_string_lossy();
        unpack_one(wheel, folder, manifest)
            .with_context(|| format!("cannot unpack `{name}` (a broken download? run the command again)"))?;
    }
    for (path, package) in NEEDED {
        ensure!(
            manifest.files.contains_key(path),
            "the wheel of {package} holds no file for `{path}`; expected one that fits libtorch {}",
            super::VERSION
        );
    }
    Ok(())
}

fn unpack_one(wheel: &Path, folder: &Path, manifest: &mut Manifest) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("cannot open `{}`", wheel.display()))?;
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let mut chosen = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        if let Some(path) = destination(&entry.name()?) {
            chosen.push((index, path, Entry { size: entry.size(), crc32: entry.crc32() }));
        }
    }
    let total = chosen.iter().map(|(_, _, entry)| entry.size).sum();
    let mut progress = Progress::new(total);
    for (index, path, entry) in chosen {
        let mut source = archive.by_index(index).with_context(|| path.clone())?;
        let target = folder.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        }
        let sink = File::create(&target).with_context(|| format!("cannot create `{}`", target.display()))?;
        let mut sink = Counted { sink, progress: &mut progress };
        let written = io::copy(&mut source, &mut sink).with_context(|| format!("copying {path}"))?;
        ensure!(written == entry.size, "{path} has {written} bytes, expected {}", entry.size);
        if path.starts_with("lib/") {
            // On the disk before the folder gets its name: a size that fits is then no torn write.
            sink.sink.sync_all().with_context(|| format!("writing {path}"))?;
        }
        manifest.files.insert(path, entry);
    }
    Ok(())
}

/// A per cent display on a terminal, silent elsewhere.
struct Progress {
    total: u64,
    done: u64,
    shown: Option<u64>,
}

impl Progress {
    fn new(total: u64) -> Self {
        let worth_it = total > 50_000_000 && io::stderr().is_terminal();
        Self { total, done: 0, shown: worth_it.then_some(u64::MAX) }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let percent = self.done * 100 / self.total.max(1);
        if self.shown.is_some_and(|shown| shown != percent) {
            self.shown = Some(percent);
            let (done, total) = (megabytes(self.done), megabytes(self.total));
            eprint!("\r    unpacking {done:.0} of {total:.0} MB ({percent} %) ");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprintln!();
        }
    }
}

/// A file that tells the progress what was written to it.
struct Counted<'a> {
    sink: File,
    progress: &'a mut Progress,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.progress.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
pub mod tests {
    //! Small wheels made up for the tests of this and the neighbouring files.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;
    use zip::CompressionMethod;
    use zip::write::SimpleFileOptions;

    /// A wheel with these files.
    pub fn wheel(path: PathBuf, files: &[(&str, &[u8])]) -> PathBuf {
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in files {
            // Short texts are stored as they are, so that a test can find and damage them.
            let method =
                if bytes.len() < 20 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    const TORCH: [(&str, &[u8]); 6] = [
        ("torch/include/torch/csrc/api/include/torch/torch.h", b"#pragma once"),
        ("torch/lib/libtorch_cpu.so", b"cpu cpu cpu cpu cpu cpu cpu cpu"),
        ("torch/lib/libc10.so", b"c10"),
        ("torch/lib/libgomp.so.1", b"gomp"),
        ("torch/lib/libtorch_cuda.so", b"not needed"),
        ("torch/nn/functional.py", b"not needed"),
    ];
    const CUDA: [(&str, &[u8]); 2] =
        [("nvidia/cu13/lib/libcudart.so.13", b"cudart"), ("nvidia/cu13/lib/libcupti.so.13", b"cupti")];

    #[test]
    fn only_what_is_needed_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let wheels = [wheel(folder.path().join("a.whl"), &TORCH), wheel(folder.path().join("b.whl"), &CUDA)];
        let into = folder.path().join("out");
        let mut manifest = Manifest::default();
        unpack(&wheels, &into, &mut manifest).unwrap();
        assert_eq!(manifest.files.len(), NEEDED.len());
        manifest.check_contents(&into).unwrap();
        assert_eq!(fs::read(into.join("lib/libcudart.so.13")).unwrap(), b"cudart");
        assert!(!into.join("lib/libtorch_cuda.so").exists());
    }

    #[test]
    fn a_missing_file_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let wheels =
            [wheel(folder.path().join("a.whl"), &TORCH), wheel(folder.path().join("b.whl"), &CUDA[..1])];
        let error = unpack(&wheels, &folder.path().join("out"), &mut Manifest::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("nvidia-cuda-cupti") && text.contains("lib/libcupti.so.13"), "{text}");
    }

    #[test]
    fn a_broken_wheel_is_noticed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = wheel(folder.path().join("a.whl"), &TORCH);
        let whole = fs::read(&path).unwrap();
        let unpacks = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            unpack(&[&path], &folder.path().join("out"), &mut Manifest::default())
                .map_err(|e| format!("{e:#}"))
        };
        let cut = unpacks(&whole[..whole.len() - 30]).unwrap_err();
        assert!(cut.contains("cannot unpack `a.whl`"), "{cut}");
        let mut flipped = whole.clone();
        let at = whole.windows(6).position(|window| window == b"pragma").unwrap();
        flipped[at] ^= 1;
        let wrong = unpacks(&flipped).unwrap_err();
        assert!(wrong.contains("cannot unpack `a.whl`") && wrong.contains("torch.h"), "{wrong}");
    }

    #[test]
    fn names_that_climb_out_are_left() {
        assert_eq!(destination("torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        assert_eq!(destination("torch/include/../../evil.h"), None);
        assert_eq!(destination("torch/include//etc/evil.h"), None);
        assert_eq!(destination("torch/include/a/"), None);
        assert_eq!(destination("torch/lib/libtorch_python.so"), None);
    }
}
