//! Standard output.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes to standard output. A reader that has gone away, as `head -1` does, has had enough: that
/// is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("write to standard output"),
    }
}
