//! Free space: asked for before a large download, and named when it runs out all the same.

use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Error, Result, ensure};

use super::megabytes;

/// Wheels (542 MB) and what is unpacked from them (490 MB) lie side by side for a moment.
pub const NEEDED: u64 = 1_150_000_000;

/// Refuses to begin where the file system of `folder` has too little room. Where `df` cannot say, it passes.
pub fn require(folder: &Path, needed: u64) -> Result<()> {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let free = output.ok().and_then(|output| parse_df(&String::from_utf8_lossy(&output.stdout)));
    if let Some(free) = free {
        ensure!(
            free >= needed,
            "the installation needs {:.0} MB in `{}` (half of it while it runs only), but {:.0} MB are free; make \
             room, or install elsewhere with `cargo xtask libtorch --into FOLDER` and set LIBTORCH to that folder",
            megabytes(needed),
            folder.display(),
            megabytes(free)
        );
    }
    Ok(())
}

/// The bytes available by the second line of `df -Pk`.
fn parse_df(text: &str) -> Option<u64> {
    let line = text.lines().nth(1)?;
    // The name of the file system may hold spaces; the numbers are counted from the column with the per cent sign.
    let words: Vec<&str> = line.split_whitespace().collect();
    let capacity = words.iter().position(|word| word.ends_with('%'))?;
    words.get(capacity.checked_sub(1)?)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Adds what to do to an error that says the disk is full.
pub fn explain(error: Error, folder: &Path) -> Error {
    let full = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| {
            matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        })
    });
    if full || error.chain().any(|cause| cause.to_string().contains("No space left on device")) {
        let needed = megabytes(NEEDED);
        return error.context(format!(
            "the disk of `{}` is full; make room ({needed:.0} MB while the installation runs) and run it again",
            folder.display()
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn df_is_read() {
        let head = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n";
        assert_eq!(parse_df(&format!("{head}/dev/a 100 60 40 60% /")), Some(40 * 1024));
        assert_eq!(parse_df(&format!("{head}my disk 100 60 40 60% /a b")), Some(40 * 1024));
        assert_eq!(parse_df(head), None);
        assert_eq!(parse_df(""), None);
    }

    #[test]
    fn too_little_room_is_refused_with_both_numbers() {
        let folder = std::env::temp_dir();
        require(&folder, 1).unwrap();
        let error = require(&folder, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("MB are free"), "{error}");
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("cannot write `x`");
        let text = format!("{:#}", explain(full, Path::new("/data")));
        assert!(
            text.starts_with("the disk of `/data` is full") && text.contains("cannot write `x`"),
            "{text}"
        );
        let other = Error::from(io::Error::from(io::ErrorKind::NotFound));
        assert!(!format!("{:#}", explain(other, Path::new("/data"))).contains("full"));
    }
}
