//! Rules of the crates' dependencies, by what `cargo metadata` says.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::violation;
use crate::step;

/// A package, the packages of this workspace that it may name, and whether it may name libtorch.
type Rule = (&'static str, &'static [&'static str], bool);

const TORCH: bool = true;
const NO_TORCH: bool = false;
const FAMILY: &[&str] = &["lexmax-autograd", "lexmax-kernels", "lexmax-output"];

/// The rules, from the ground up. A new crate gets a line here, and in ARCHITECTURE.md.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    ("xtask", &["lexmax-build"], NO_TORCH),
    ("lexmax-build", &[], NO_TORCH),
    ("lexmax-kernels", &[], NO_TORCH),
    ("lexmax-products", &["lexmax-kernels"], NO_TORCH),
    ("lexmax-metrics", &[], NO_TORCH),
    ("lexmax-records", &[], NO_TORCH),
    ("lexmax-corpus", &["lexmax-kernels"], NO_TORCH),
    ("lexmax-dataset", &["lexmax-corpus", "lexmax-kernels"], NO_TORCH),
    ("lexmax-report", &["lexmax-records"], NO_TORCH),
    ("lexmax-autograd", &[], TORCH),
    ("lexmax-second-device", &[], TORCH),
    ("lexmax-output", &["lexmax-autograd", "lexmax-kernels", "lexmax-products"], TORCH),
    ("lexmax-optim", &["lexmax-autograd", "lexmax-kernels"], TORCH),
    ("lexmax-conformance", &["lexmax-kernels", "lexmax-output"], TORCH),
    ("lexmax-full", FAMILY, TORCH),
    ("lexmax-sampled", FAMILY, TORCH),
    ("lexmax-hierarchical", FAMILY, TORCH),
    ("lexmax-adaptive", FAMILY, TORCH),
    ("lexmax-mixture", FAMILY, TORCH),
    ("lexmax", &["lexmax-kernels", "lexmax-optim", "lexmax-output", "lexmax-full", "lexmax-sampled", "lexmax-hierarchical",
        "lexmax-adaptive", "lexmax-mixture"], TORCH),
    ("lexmax-lab", &["lexmax", "lexmax-autograd", "lexmax-kernels", "lexmax-output", "lexmax-optim",
        "lexmax-products", "lexmax-corpus", "lexmax-records"], TORCH),
    ("lexmax-cli", &["lexmax-corpus", "lexmax-dataset", "lexmax-lab", "lexmax-metrics", "lexmax-products", "lexmax-records", "lexmax-report"], TORCH),
    ("lexmax-benches", &["lexmax", "lexmax-autograd", "lexmax-kernels", "lexmax-output", "lexmax-optim", "lexmax-corpus",
        "lexmax-build", "lexmax-lab", "lexmax-products", "lexmax-records", "lexmax-report"], TORCH),
];

/// Packages that only tests may use: anyone's dev-dependencies.
const FOR_TESTS: &[&str] = &["lexmax-conformance", "lexmax-second-device"];

/// Helper of the build scripts of packages on libtorch: their build-dependency.
const FOR_BUILD_SCRIPTS: &str = "lexmax-build";

/// Heavy libraries and the packages that may name them: a name that begins so (polars-core too)
/// counts.
const ONLY_IN: [(&str, &[&str]); 2] =
    [("polars", &["lexmax-report", "lexmax-benches"]), ("plotters", &["lexmax-report"])];

/// The part of `cargo metadata --no-deps` that the rules are about.
#[derive(Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Kind of the dependency: `dev`, `build`, or `None` for a normal one.
    kind: Option<String>,
}

/// Asks cargo for the packages of the workspace.
pub fn metadata(root: &Path) -> Result<Metadata> {
    let mut command = step::cargo(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.output().context("cannot start `cargo metadata`")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo metadata` failed: {}", complaint.trim());
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something unexpected")
}

/// Compares the workspace with the rules.
pub fn check(metadata: &Metadata) -> Vec<String> {
    metadata.packages.iter().flat_map(|package| check_package(metadata, package)).collect()
}

fn check_package(metadata: &Metadata, package: &Package) -> Vec<String> {
    let Some((_, ours, torch)) = RULES.iter().find(|(name, ..)| *name == package.name) else {
        let expected = "a line in RULES of xtask/src/invariants/dependencies.rs";
        return vec![violation(&package.name, "no rule on the dependencies of this package", expected)];
    };
    let mut found = Vec::new();
    for Dependency { name, kind } in &package.dependencies {
        let mut forbid = |expected: String| {
            found.push(violation(&package.name, format!("depends on {name}"), expected));
        };
        if FOR_TESTS.contains(&name.as_str()) {
            if kind.as_deref() != Some("dev") {
                forbid("it as a dev-dependency only".to_owned());
            }
        } else if name == FOR_BUILD_SCRIPTS && *torch && kind.as_deref() == Some("build") {
            continue;
        } else if metadata.packages.iter().any(|other| other.name == *name) && !ours.contains(&name.as_str())
        {
            forbid(format!("of this workspace only [{}]", ours.join(", ")));
        }
        // Other crates of the workspace cannot lead there: a test below holds the rules to that.
        if !torch && matches!(name.as_str(), "tch" | "torch-sys") {
            forbid("no libtorch here".to_owned());
        }
        for (library, owners) in ONLY_IN {
            if name.starts_with(library) && !owners.contains(&package.name.as_str()) {
                forbid(format!("{library} in {} only", owners.join(" and ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Violations of packages written as `name: dependency, dependency/kind`.
    fn violations(workspace: &[&str]) -> Vec<String> {
        let package = |line: &&str| {
            let (name, dependencies) = line.split_once(':').unwrap();
            let dependency = |word: &str| {
                let (name, kind) =
                    word.split_once('/').map_or((word, None), |(name, kind)| (name, Some(kind)));
                Dependency { name: name.to_owned(), kind: kind.map(str::to_owned) }
            };
            let dependencies = dependencies.split(',').map(str::trim).filter(|word| !word.is_empty());
            Package { name: name.to_owned(), dependencies: dependencies.map(dependency).collect() }
        };
        let metadata = Metadata { packages: workspace.iter().map(package).collect() };
        check(&metadata)
    }

    #[test]
    fn dependencies_of_the_rules_are_allowed() {
        let found = violations(&[
            "lexmax-kernels: rand",
            "lexmax-output: lexmax-kernels, tch, lexmax-second-device/dev, lexmax-build/build",
            "lexmax-build:",
            "lexmax-report: lexmax-records, polars, plotters",
            "lexmax-records:",
            "lexmax-second-device: torch-sys",
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn dependencies_outside_the_rules_are_violations() {
        let others =
            ["lexmax-kernels:", "lexmax-lab:", "lexmax-sampled:", "lexmax-second-device:", "lexmax-build:"];
        for (package, expected) in [
            ("lexmax-full: lexmax-lab/dev", "lexmax-full: depends on lexmax-lab; expected of this workspace"),
            ("lexmax-full: lexmax-sampled", "only [lexmax-autograd, lexmax-kernels, lexmax-output]"),
            ("lexmax-records: tch/dev", "lexmax-records: depends on tch; expected no libtorch here"),
            ("lexmax-corpus: torch-sys/build", "depends on torch-sys; expected no libtorch here"),
            ("lexmax-cli: polars-core", "polars in lexmax-report and lexmax-benches only"),
            ("lexmax-cli: plotters/dev", "plotters in lexmax-report only"),
            ("lexmax-cli: lexmax-second-device", "as a dev-dependency only"),
            ("lexmax-output: lexmax-build", "lexmax-output: depends on lexmax-build"),
            ("lexmax-records: lexmax-build/build", "lexmax-records: depends on lexmax-build"),
            ("lexmax-novel:", "lexmax-novel: no rule on the dependencies"),
        ] {
            let found = violations(&[&[package], others.as_slice()].concat());
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }

    #[test]
    fn rules_without_libtorch_lead_to_none() {
        let torch = |name: &str| RULES.iter().find(|rule| rule.0 == name).unwrap().2;
        for (package, ours, _) in RULES.iter().filter(|rule| !rule.2) {
            assert!(!ours.iter().any(|name| torch(name)), "{package}");
        }
    }
}
