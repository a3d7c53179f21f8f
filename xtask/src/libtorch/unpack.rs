//! Taking the few files that a CPU program needs out of the wheels (zip archives).

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use zip::ZipArchive;

use super::VERSION;
use super::state::Sizes;

/// Files that must be there in the end, each with its package.
const NEEDED: [(&str, &str); 6] = [
    ("include/torch/csrc/api/include/torch/torch.h", "torch"),
    ("lib/libtorch_cpu.so", "torch"),
    ("lib/libc10.so", "torch"),
    ("lib/libgomp.so.1", "torch"),
    ("lib/libcudart.so.13", "nvidia-cuda-runtime"),
    ("lib/libcupti.so.13", "nvidia-cuda-cupti"),
];

/// The place of an archive's file in the libtorch folder; `None` for one that is not needed.
fn destination(name: &str) -> Option<String> {
    let path = if let Some(header) = name.strip_prefix("torch/include/") {
        format!("include/{header}")
    } else {
        let library = format!("lib/{}", name.rsplit('/').next()?);
        NEEDED.iter().any(|(path, _)| *path == library).then_some(library)?
    };
    // A name that climbs out of the folder, or ends in no file, is none of a wheel's.
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (plain && !path.contains('\\')).then_some(path)
}

/// Unpacks the needed files of the `wheels` into `folder` and tells their sizes. The archive's
/// checksums are compared on the way, so a broken wheel is an error that names the wheel and the
/// file.
pub fn unpack(wheels: &[impl AsRef<Path>], folder: &Path) -> Result<Sizes> {
    let mut sizes = Sizes::new();
    for wheel in wheels {
        let name = wheel.as_ref().file_name().unwrap_or_default().to_string_lossy();
        unpack_one(wheel.as_ref(), folder, &mut sizes)
            .with_context(|| format!("cannot unpack `{name}` (a broken download? run the command again)"))?;
    }
    for (path, package) in NEEDED {
        ensure!(
            sizes.contains_key(path),
            "the wheel of {package} holds no file for `{path}`; expected one that fits libtorch {VERSION}"
        );
    }
    Ok(sizes)
}

fn unpack_one(wheel: &Path, folder: &Path, sizes: &mut Sizes) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("cannot open `{}`", wheel.display()))?;
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let mut chosen = Vec::new();
    let mut total = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        if let Some(path) = destination(&entry.name()?) {
            total += entry.size();
            chosen.push((index, path));
        }
    }
    let style = ProgressStyle::with_template("    {bytes} of {total_bytes} [{wide_bar}] {eta}")?;
    let progress = ProgressBar::new(total).with_style(style);
    for (index, path) in chosen {
        let mut source = archive.by_index(index).with_context(|| path.clone())?;
        let target = folder.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        }
        let sink = File::create(&target).with_context(|| format!("cannot create `{}`", target.display()))?;
        let written = io::copy(&mut source, &mut progress.wrap_write(&sink)).with_context(|| path.clone())?;
        if path.starts_with("lib/") {
            // On the disk before the folder gets its name: a size that fits is then no torn write.
            sink.sync_all().with_context(|| path.clone())?;
        }
        sizes.insert(path, written);
    }
    progress.finish_and_clear();
    Ok(())
}

#[cfg(test)]
pub mod tests {
    //! Small wheels made up for the tests of this and the neighbouring files.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
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

    const FILES: [(&str, &[u8]); 8] = [
        ("torch/include/torch/csrc/api/include/torch/torch.h", b"#pragma once"),
        ("torch/lib/libtorch_cpu.so", b"cpu cpu cpu cpu cpu cpu cpu cpu"),
        ("torch/lib/libc10.so", b"c10"),
        ("torch/lib/libgomp.so.1", b"gomp"),
        ("torch/lib/libtorch_cuda.so", b"not needed"),
        ("torch/nn/functional.py", b"not needed"),
        ("nvidia/cu13/lib/libcudart.so.13", b"cudart"),
        ("nvidia/cu13/lib/libcupti.so.13", b"cupti"),
    ];

    #[test]
    fn wheels_are_unpacked_without_needless_files() {
        let folder = tempfile::tempdir().unwrap();
        let (torch, cuda) = FILES.split_at(6);
        let wheels = [wheel(folder.path().join("a.whl"), torch), wheel(folder.path().join("b.whl"), cuda)];
        let into = folder.path().join("out");
        let sizes = unpack(&wheels, &into).unwrap();
        assert_eq!((sizes.len(), sizes["lib/libcudart.so.13"]), (NEEDED.len(), 6));
        assert_eq!(fs::read(into.join("lib/libcudart.so.13")).unwrap(), b"cudart");
        assert!(!into.join("lib/libtorch_cuda.so").exists());
        let error = unpack(&wheels[..1], &into).unwrap_err().to_string();
        assert!(error.contains("nvidia-cuda-runtime") && error.contains("lib/libcudart.so.13"), "{error}");
    }

    #[test]
    fn broken_wheel_is_noticed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = wheel(folder.path().join("a.whl"), &FILES);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.windows(6).position(|window| window == b"pragma").unwrap()] ^= 1;
        for (bytes, part) in [(&whole[..whole.len() - 30], "a.whl"), (&flipped, "torch.h")] {
            fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", unpack(&[&path], &folder.path().join("out")).unwrap_err());
            assert!(error.contains("cannot unpack `a.whl`") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn archive_names_that_climb_out_are_left() {
        assert_eq!(destination("torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        for name in ["torch/include/../../x.h", "torch/include//x.h", "torch/include/a/", "torch/lib/libx.so"]
        {
            assert_eq!(destination(name), None, "{name}");
        }
    }
}
