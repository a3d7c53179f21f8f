//! Search for libtorch: the answer of torch-sys where a build script has it, and the search that
//! torch-sys makes where not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;

/// Prints the library folders as torch-sys asks for them; the last one counts there.
const PRINT_FOLDERS: &str = "\
from torch.utils import cpp_extension
for path in cpp_extension.library_paths():
    print('LIBTORCH_LIB:', path)
";

/// A libtorch on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder of its shared libraries.
    pub lib: PathBuf,
    /// The folder of its headers, which has `torch/csrc`.
    pub include: PathBuf,
}

impl Libtorch {
    /// Finds the libtorch that tch links in the same build, in the order of torch-sys:
    /// LIBTORCH_USE_PYTORCH, LIBTORCH (with LIBTORCH_LIB and LIBTORCH_INCLUDE for its parts), the
    /// system's.
    ///
    /// A package that depends on torch-sys itself gets the folder that torch-sys names. Call it
    /// from a build script: it tells cargo which variables the answer depends on.
    ///
    /// # Errors
    /// No libtorch is there, or LIBTORCH_USE_PYTORCH is set and the active Python has no PyTorch.
    pub fn find() -> Result<Self, BuildError> {
        Self::named_by(|name| {
            println!("cargo::rerun-if-env-changed={name}");
            std::env::var_os(name)
        })
    }

    /// Finds the libtorch that the variables name, read through `variable`: the search of
    /// [`Libtorch::find`] for programs that are no build script.
    ///
    /// # Errors
    /// As [`Libtorch::find`].
    pub fn named_by(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, BuildError> {
        Self::search(&variable, &ask_python, Path::new("/usr"))
    }

    /// The search itself, over given variables, answers of a Python and a root of system libraries.
    fn search(
        variable: &dyn Fn(&str) -> Option<OsString>,
        python: &dyn Fn(&str) -> Result<String, String>,
        system: &Path,
    ) -> Result<Self, BuildError> {
        let root = variable("LIBTORCH").map(PathBuf::from);
        let named = |name: &str| variable(name).map(PathBuf::from).or_else(|| root.clone());
        let lib = if let Some(lib) = variable("DEP_TCH_LIBTORCH_LIB") {
            PathBuf::from(lib)
        } else if variable("LIBTORCH_USE_PYTORCH").is_some() {
            let interpreter = if variable("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
            last_folder(interpreter, python(interpreter))?
        } else if let Some(root) = named("LIBTORCH_LIB") {
            root.join("lib")
        } else if system.join("lib/libtorch.so").exists() {
            system.join("lib")
        } else {
            return Err(BuildError::NotFound);
        };
        // LIBTORCH_INCLUDE names the folder above, as for torch-sys; the headers stand beside the
        // libraries otherwise.
        let include = match variable("LIBTORCH_INCLUDE") {
            Some(root) => PathBuf::from(root).join("include"),
            None => lib.join("../include"),
        };
        Ok(Self { lib, include })
    }
}

/// The last folder in the answer of a Python.
fn last_folder(interpreter: &str, answer: Result<String, String>) -> Result<PathBuf, BuildError> {
    let refuse = |answer: String| BuildError::Python { interpreter: interpreter.to_owned(), answer };
    let answer = answer.map_err(refuse)?;
    let mut folders = answer.lines().filter_map(|line| line.strip_prefix("LIBTORCH_LIB: "));
    match folders.next_back() {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Err(refuse(answer)),
    }
}

/// Output of a Python for [`PRINT_FOLDERS`], or the reason that there is none.
fn ask_python(interpreter: &str) -> Result<String, String> {
    let output = Command::new(interpreter).arg("-c").arg(PRINT_FOLDERS).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.trim().lines().last().unwrap_or("it failed without a message").to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn search(variables: &[(&str, &str)], python: Result<&str, &str>) -> Result<Libtorch, String> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let asked = |interpreter: &str| match python {
            Ok(text) => Ok(text.replace("{python}", interpreter)),
            Err(text) => Err(text.to_owned()),
        };
        Libtorch::search(&variable, &asked, Path::new("/nowhere")).map_err(|error| error.to_string())
    }

    fn at(lib: &str, include: &str) -> Result<Libtorch, String> {
        Ok(Libtorch { lib: lib.into(), include: include.into() })
    }

    const NO_PYTHON: Result<&str, &str> = Err("not asked");

    #[test]
    fn search_follows_the_order_of_torch_sys() {
        let root = ("LIBTORCH", "/opt/torch");
        assert_eq!(search(&[root], NO_PYTHON), at("/opt/torch/lib", "/opt/torch/lib/../include"));
        let parts = [root, ("LIBTORCH_LIB", "/a"), ("LIBTORCH_INCLUDE", "/b")];
        assert_eq!(search(&parts, NO_PYTHON), at("/a/lib", "/b/include"));
        let answer = Ok("LIBTORCH_LIB: /first\nLIBTORCH_LIB: /{python}/torch/lib\n");
        let python = [root, ("LIBTORCH_USE_PYTORCH", "1")];
        assert_eq!(search(&python, answer), at("/python3/torch/lib", "/python3/torch/lib/../include"));
        let environment = [("LIBTORCH_USE_PYTORCH", "1"), ("VIRTUAL_ENV", "/env")];
        assert_eq!(search(&environment, answer), at("/python/torch/lib", "/python/torch/lib/../include"));
        let told = [root, ("LIBTORCH_USE_PYTORCH", "1"), ("DEP_TCH_LIBTORCH_LIB", "/told")];
        assert_eq!(search(&told, NO_PYTHON), at("/told", "/told/../include"));
    }

    #[test]
    fn search_without_libtorch_says_the_ways_to_one() {
        let error = search(&[], NO_PYTHON).unwrap_err();
        for way in ["LIBTORCH", "config.toml", "LIBTORCH_USE_PYTORCH=1", "/usr/lib/libtorch.so"] {
            assert!(error.contains(way), "{error}");
        }
        let python = [("LIBTORCH_USE_PYTORCH", "1")];
        let error = search(&python, Err("No module named 'torch'")).unwrap_err();
        assert!(error.contains("`python3`") && error.contains("No module named 'torch'"), "{error}");
        assert!(search(&python, Ok("something else")).unwrap_err().contains("something else"));
    }

    #[test]
    fn system_library_is_found_last() {
        let system = tempfile::tempdir().unwrap();
        std::fs::create_dir(system.path().join("lib")).unwrap();
        std::fs::write(system.path().join("lib/libtorch.so"), "").unwrap();
        let find = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            Libtorch::search(&variable, &|_| Err(String::new()), system.path()).unwrap().lib
        };
        assert_eq!(find(&[]), system.path().join("lib"));
        assert_eq!(find(&[("LIBTORCH", "/opt/torch")]), Path::new("/opt/torch/lib"));
    }
}
