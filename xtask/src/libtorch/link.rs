//! `libtorch.so`, which the wheel has for CUDA only, and a proof that the libraries load on this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// Makes `lib/libtorch.so`: an empty shared object that names libtorch_cpu and libc10, in the place of the wheel's
/// own, which names all of CUDA.
pub fn make_libtorch(lib: &Path) -> Result<()> {
    let mut cc = Command::new("cc");
    cc.current_dir(lib).args(["-shared", "-o", "libtorch.so", "-Wl,--no-as-needed", "-L."]);
    cc.args(["-ltorch_cpu", "-lc10", "-Wl,-rpath,$ORIGIN"]);
    compile(&mut cc)
}

/// Links a program with libtorch.so and starts it, so that a library that this system lacks (or has too old) is
/// told at once, and not after a build of minutes.
pub fn prove_it_loads(lib: &Path, scratch: &Path) -> Result<()> {
    let source = scratch.join("probe.c");
    let probe = scratch.join("probe");
    fs::write(&source, "int main(void) { return 0; }\n")
        .with_context(|| format!("cannot write `{}`", source.display()))?;
    let mut cc = Command::new("cc");
    cc.arg("-o").arg(&probe).arg(&source).arg("-L").arg(lib);
    cc.args(["-Wl,--no-as-needed", "-ltorch", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]);
    cc.arg(format!("-Wl,-rpath,{}", lib.display()));
    compile(&mut cc)?;
    let output =
        Command::new(&probe).output().with_context(|| format!("cannot start `{}`", probe.display()))?;
    if !output.status.success() {
        bail!(
            "libtorch was unpacked but does not load here ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn compile(cc: &mut Command) -> Result<()> {
    let line = step::command_line(cc);
    let output = match cc.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no C compiler `cc`, which Rust and torch-sys need too; install one (on Debian and Ubuntu the \
             package build-essential)"
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot start `{line}`")),
    };
    if !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
pub mod tests {
    //! Small shared objects made up for the tests of this and the neighbouring files.
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    /// A small shared object with the name, which needs `needs` of the same folder.
    pub fn library(folder: &Path, name: &str, needs: &[&str]) -> PathBuf {
        let source = folder.join("empty.c");
        fs::write(&source, "int lexmax_test_symbol = 1;\n").unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(folder).args(["-shared", "-fPIC", "-o", name, "empty.c", "-L.", "-Wl,--no-as-needed"]);
        cc.arg(format!("-Wl,-soname,{name}")).args(needs.iter().map(|name| format!("-l{name}")));
        cc.arg("-Wl,-rpath,$ORIGIN");
        compile(&mut cc).unwrap();
        folder.join(name)
    }

    #[test]
    fn libtorch_names_the_cpu_part_and_a_missing_library_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("lib");
        fs::create_dir(&lib).unwrap();
        library(&lib, "libc10.so", &[]);
        library(&lib, "libgone.so", &[]);
        library(&lib, "libtorch_cpu.so", &["gone"]);
        make_libtorch(&lib).unwrap();
        prove_it_loads(&lib, folder.path()).unwrap();
        fs::remove_file(lib.join("libgone.so")).unwrap();
        let error = prove_it_loads(&lib, folder.path()).unwrap_err().to_string();
        assert!(error.contains("libgone.so"), "{error}");
    }

    #[test]
    fn what_the_linker_says_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let error = make_libtorch(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("`cc -shared") && error.contains("torch_cpu"), "{error}");
    }
}
