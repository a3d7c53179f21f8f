//! The text files of the project, for the invariants to look at.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ignore::WalkBuilder;

/// A text file of the tree.
pub struct SourceFile {
    /// Path from the root, with `/` between names.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// Whether this is a source file of Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// A text beyond this is data.
const MAX_BYTES: u64 = 8 << 20;

/// Every text file that git would not ignore, in order of path.
pub fn text_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false).parents(false).git_global(false).require_git(false);
    walk.max_filesize(Some(MAX_BYTES)).sort_by_file_path(Ord::cmp);
    walk.filter_entry(|entry| entry.file_name() != ".git");
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry.with_context(|| format!("cannot read the tree below `{}`", root.display()))?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        // A file that is no UTF-8, or that another program removes meanwhile, is no text of ours.
        if let (Ok(text), Ok(path)) = (fs::read_to_string(entry.path()), entry.path().strip_prefix(root)) {
            let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
            files.push(SourceFile { path: names.join("/"), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_files_leave_out_ignored_and_binary_ones() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write(".gitignore", b"/target\n");
        for path in ["crates/a/src/data/mod.rs", "target/x.rs", ".git/x.md", ".ci/run", "README.md"] {
            write(path, b"text");
        }
        write("picture.png", b"\xff\xfe");
        let files = text_files(root.path()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, [".ci/run", ".gitignore", "README.md", "crates/a/src/data/mod.rs"]);
        assert!(files[3].is_rust() && !files[2].is_rust());
    }
}
