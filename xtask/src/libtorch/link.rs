//! `libtorch.so`, which the wheel has for CUDA only, and a proof that the libraries load here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// Makes `lib/libtorch.so`: an empty shared object that names libtorch_cpu and libc10, in the place
/// of the wheel's own, which names all of CUDA. Then loads it into a program that does nothing, so
/// that a library that this system lacks (or has too old) is told at once, and not after a build of
/// minutes.
pub fn make_libtorch(lib: &Path) -> Result<()> {
    let mut cc = Command::new("cc");
    cc.current_dir(lib).args(["-shared", "-o", "libtorch.so", "-Wl,--no-as-needed", "-L."]);
    output(cc.args(["-Wl,-rpath,$ORIGIN", "-ltorch_cpu", "-lc10"]))?;
    output(Command::new("true").env("LD_PRELOAD", lib.join("libtorch.so")))
        .context("libtorch was unpacked but does not load here")
}

/// Runs a command in silence; its complaint is the error.
fn output(command: &mut Command) -> Result<()> {
    let line = step::command_line(command);
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no C compiler `cc`, which Rust and torch-sys need too; install one (on Debian and Ubuntu the \
             package build-essential)"
        ),
        output => output.with_context(|| format!("cannot start `{line}`"))?,
    };
    // The loader of glibc tells some of its refusals and goes on.
    let refused = output.stderr.starts_with(b"ERROR: ld.so");
    if refused || !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
pub mod tests {
    //! Small shared objects made up for the tests of this and the neighbouring files.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A small shared object with the name, which needs `needs` of the same folder.
    pub fn library(folder: &Path, name: &str, needs: &[&str]) -> PathBuf {
        let source = folder.join("empty.c");
        fs::write(&source, "int lexmax_test_symbol = 1;\n").unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(folder).args(["-shared", "-fPIC", "-o", name, "empty.c", "-L.", "-Wl,--no-as-needed"]);
        cc.arg(format!("-Wl,-soname,{name}")).args(needs.iter().map(|name| format!("-l{name}")));
        cc.arg("-Wl,-rpath,$ORIGIN");
        output(&mut cc).unwrap();
        folder.join(name)
    }

    #[test]
    fn library_that_the_system_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path();
        let error = make_libtorch(lib).unwrap_err().to_string();
        assert!(error.starts_with("`cc -shared") && error.contains("torch_cpu"), "{error}");
        library(lib, "libc10.so", &[]);
        library(lib, "libgone.so", &[]);
        library(lib, "libtorch_cpu.so", &["gone"]);
        make_libtorch(lib).unwrap();
        fs::remove_file(lib.join("libgone.so")).unwrap();
        let error = format!("{:#}", make_libtorch(lib).unwrap_err());
        assert!(error.contains("does not load here") && error.contains("libgone.so"), "{error}");
    }
}
