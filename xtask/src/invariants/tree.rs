//! The files that invariants look at.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A text file of the tree.
pub struct SourceFile {
    /// Path from the root, with `/` between names.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Folders with Rust sources of ours.
const RUST: [&str; 4] = ["benches", "build", "crates", "xtask"];
/// Folders that are looked at although their names begin with a dot.
const HIDDEN: [&str; 3] = [".cargo", ".ci", ".github"];
/// Folders of what is built, fetched or brought by the user.
const SKIPPED: [&str; 4] = ["target", "data", "checkpoints", "__pycache__"];
/// Endings of the texts that are looked at.
const TEXT: [&str; 16] = [
    "c", "cpp", "csv", "h", "html", "json", "jsonl", "md", "py", "rs", "sh", "svg", "toml", "txt", "yaml",
    "yml",
];
/// A text beyond this is data.
const MAX_BYTES: u64 = 8 << 20;

/// Every Rust file of the workspace, in order of path.
pub fn rust_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in RUST {
        if root.join(folder).is_dir() {
            walk(root, folder, &|path| path.ends_with(".rs"), &mut files)?;
        }
    }
    Ok(files)
}

/// Every text file of the project, in order of path.
pub fn text_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let is_text = |path: &str| {
        let (name, ending) = path.rsplit_once('.').unwrap_or((path, ""));
        TEXT.contains(&ending) || name.starts_with(".ci/") || path.starts_with(".ci/")
    };
    walk(root, "", &is_text, &mut files)?;
    Ok(files)
}

fn walk(root: &Path, folder: &str, wanted: &dyn Fn(&str) -> bool, files: &mut Vec<SourceFile>) -> Result<()> {
    let absolute = root.join(folder);
    let read = || format!("cannot read `{}`", absolute.display());
    let mut entries =
        fs::read_dir(&absolute).with_context(read)?.collect::<Result<Vec<_>, _>>().with_context(read)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type().with_context(read)?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_str());
            // Only at the root does `data` mean the user's data; a crate may have a module of that name.
            let skipped = SKIPPED.contains(&name.as_str()) && (folder.is_empty() || name != "data");
            if !hidden && !skipped {
                walk(root, &path, wanted, files)?;
            }
        } else if kind.is_file() && wanted(&path) {
            // A file that another program removes meanwhile, or that is no UTF-8, is no text of ours.
            let small = entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES);
            if let Some(text) = small.then(|| fs::read_to_string(entry.path()).ok()).flatten() {
                files.push(SourceFile { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sources_are_found_and_what_is_built_is_not() {
        let root = tempfile::tempdir().unwrap();
        let paths = [
            "crates/a/src/lib.rs",
            "crates/a/src/data/mod.rs",
            "crates/a/target/x.rs",
            "data/x.md",
            ".git/x.md",
            ".ci/run",
            "README.md",
            "picture.png",
        ];
        for path in paths {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let names = |files: Vec<SourceFile>| files.into_iter().map(|file| file.path).collect::<Vec<_>>();
        let rust = ["crates/a/src/data/mod.rs", "crates/a/src/lib.rs"];
        assert_eq!(names(rust_files(root.path()).unwrap()), rust);
        let text = [".ci/run", "README.md", rust[0], rust[1]];
        assert_eq!(names(text_files(root.path()).unwrap()), text);
    }
}
