//! Which crate may depend on which, by what `cargo metadata` says.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Violation;
use crate::step;

/// What one package may depend on.
struct Rule {
    package: &'static str,
    /// Packages of this workspace.
    ours: &'static [&'static str],
    /// Whether it may name libtorch (tch or torch-sys).
    libtorch: bool,
}

/// The rules, from the ground up. A new crate gets a line here, and in ARCHITECTURE.md.
const RULES: &[Rule] = &[
    Rule { package: "lexmax-kernels", ours: &[], libtorch: false },
    Rule { package: "lexmax-records", ours: &[], libtorch: false },
    Rule { package: "lexmax-corpus", ours: &["lexmax-kernels"], libtorch: false },
    Rule { package: "lexmax-report", ours: &["lexmax-records"], libtorch: false },
    Rule { package: "lexmax-output", ours: &["lexmax-autograd", "lexmax-kernels"], libtorch: true },
    Rule { package: "lexmax-autograd", ours: &[], libtorch: true },
    Rule { package: "lexmax-optim", ours: &["lexmax-autograd", "lexmax-kernels"], libtorch: true },
    Rule { package: "lexmax-full", ours: FAMILY, libtorch: true },
    Rule { package: "lexmax-sampled", ours: FAMILY, libtorch: true },
    Rule { package: "lexmax-hierarchical", ours: FAMILY, libtorch: true },
    Rule { package: "lexmax-adaptive", ours: FAMILY, libtorch: true },
    Rule { package: "lexmax-mixture", ours: FAMILY, libtorch: true },
    Rule {
        package: "lexmax",
        ours: &[
            "lexmax-kernels",
            "lexmax-output",
            "lexmax-full",
            "lexmax-sampled",
            "lexmax-hierarchical",
            "lexmax-adaptive",
            "lexmax-mixture",
        ],
        libtorch: true,
    },
    Rule {
        package: "lexmax-lab",
        ours: &[
            "lexmax",
            "lexmax-autograd",
            "lexmax-kernels",
            "lexmax-output",
            "lexmax-optim",
            "lexmax-corpus",
            "lexmax-records",
        ],
        libtorch: true,
    },
    Rule {
        package: "lexmax-cli",
        ours: &["lexmax-corpus", "lexmax-lab", "lexmax-records", "lexmax-report"],
        libtorch: true,
    },
    Rule {
        package: "lexmax-benches",
        ours: &[
            "lexmax",
            "lexmax-build",
            "lexmax-kernels",
            "lexmax-output",
            "lexmax-optim",
            "lexmax-corpus",
            "lexmax-lab",
            "lexmax-report",
        ],
        libtorch: true,
    },
    Rule { package: "lexmax-build", ours: &[], libtorch: false },
    Rule { package: "lexmax-conformance", ours: &["lexmax-kernels", "lexmax-output"], libtorch: true },
    Rule { package: "lexmax-second-device", ours: &[], libtorch: true },
    Rule { package: "xtask", ours: &[], libtorch: false },
];

/// Packages that only tests may use: anyone's dev-dependencies.
const FOR_TESTS: &[&str] = &["lexmax-conformance", "lexmax-second-device"];

/// Packages that any build script of a package on libtorch may use.
const FOR_BUILD_SCRIPTS: &[&str] = &["lexmax-build"];

const FAMILY: &[&str] = &["lexmax-autograd", "lexmax-kernels", "lexmax-output"];

/// Heavy libraries that exactly one package may name: what begins with the name (polars-core too) belongs there.
const ONLY_IN: [(&str, &str); 2] = [("polars", "lexmax-report"), ("plotters", "lexmax-report")];

/// What `cargo metadata --no-deps` says of the workspace.
pub fn metadata(root: &Path) -> Result<Value> {
    let output = step::cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")
}

/// One package with its direct dependencies of all kinds (normal, build, dev).
struct Package<'a> {
    name: &'a str,
    dependencies: Vec<Dependency<'a>>,
}

struct Dependency<'a> {
    name: &'a str,
    dev: bool,
    build: bool,
}

/// Compares the workspace with the rules.
pub fn check(metadata: &Value) -> Result<Vec<Violation>> {
    let packages = packages(metadata)?;
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut found = Vec::new();
    for package in &packages {
        let Some(rule) = RULES.iter().find(|rule| rule.package == package.name) else {
            found.push(Violation::new(
                package.name,
                "this package has no rule on its dependencies",
                "a line in RULES of xtask/src/invariants/dependencies.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name;
            if FOR_TESTS.contains(&name) {
                if !dependency.dev {
                    let expected = "as a dev-dependency only";
                    found.push(Violation::new(package.name, format!("depends on {name}"), expected));
                }
                continue;
            }
            let for_build = rule.libtorch && dependency.build && FOR_BUILD_SCRIPTS.contains(&name);
            if is_ours(name) && !for_build && !rule.ours.contains(&name) {
                let expected = match rule.ours {
                    [] => "no package of this workspace".to_owned(),
                    ours => format!("of this workspace only {}", ours.join(", ")),
                };
                found.push(Violation::new(package.name, format!("depends on {name}"), expected));
            }
            for (library, owner) in ONLY_IN {
                if name.starts_with(library) && package.name != owner {
                    let expected = format!("{library} in {owner} only");
                    found.push(Violation::new(package.name, format!("depends on {name}"), expected));
                }
            }
        }
        if !rule.libtorch
            && let Some(chain) = way_to_libtorch(&packages, package)
        {
            let found_chain = format!("reaches libtorch ({})", chain.join(" -> "));
            found.push(Violation::new(package.name, found_chain, "no dependency that leads to libtorch"));
        }
    }
    Ok(found)
}

/// A chain of dependencies from the package to libtorch. Its own dev-dependencies count (its tests would link
/// libtorch), those of others do not (cargo does not build them).
fn way_to_libtorch<'a>(packages: &'a [Package<'a>], from: &'a Package<'a>) -> Option<Vec<&'a str>> {
    let mut chains = vec![vec![from]];
    let mut seen = vec![from.name];
    while let Some(chain) = chains.pop() {
        let last = *chain.last()?;
        for dependency in last.dependencies.iter().filter(|dependency| !dependency.dev || chain.len() == 1) {
            if matches!(dependency.name, "tch" | "torch-sys") {
                let names = chain.iter().map(|package| package.name);
                return Some(names.chain([dependency.name]).collect());
            }
            let next = packages.iter().find(|package| package.name == dependency.name);
            if let Some(next) = next.filter(|next| !seen.contains(&next.name)) {
                seen.push(next.name);
                chains.push(chain.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

fn packages(metadata: &Value) -> Result<Vec<Package<'_>>> {
    let list = metadata["packages"].as_array().context("`cargo metadata` has no list of packages")?;
    let mut packages = Vec::new();
    for package in list {
        let mut dependencies = Vec::new();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let kind = dependency["kind"].as_str();
            let (dev, build) = (kind == Some("dev"), kind == Some("build"));
            dependencies.push(Dependency { name: name(dependency)?, dev, build });
        }
        packages.push(Package { name: name(package)?, dependencies });
    }
    Ok(packages)
}

fn name(item: &Value) -> Result<&str> {
    item["name"].as_str().context("`cargo metadata` has a package or dependency without name")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// A package with (dependency, kind).
    type MadeUp<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    fn violations(workspace: &[MadeUp<'_>]) -> Vec<String> {
        let package = |(name, dependencies): &MadeUp<'_>| {
            let dependencies: Vec<Value> =
                dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
            json!({"name": name, "dependencies": dependencies})
        };
        let metadata = json!({"packages": workspace.iter().map(package).collect::<Vec<_>>()});
        check(&metadata).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn allowed_dependencies_are_silent() {
        let found = violations(&[
            ("lexmax-kernels", &[("rand", None)]),
            ("lexmax-output", &[("lexmax-kernels", None), ("tch", None)]),
            ("lexmax-full", &[("lexmax-output", None), ("tch", None), ("tempfile", Some("dev"))]),
            ("lexmax-records", &[]),
            ("lexmax-report", &[("lexmax-records", None), ("polars", None), ("plotters", None)]),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_family_that_knows_another_or_the_lab_is_seen() {
        let found = violations(&[
            ("lexmax-full", &[("lexmax-lab", Some("dev")), ("lexmax-sampled", None)]),
            ("lexmax-sampled", &[]),
            ("lexmax-lab", &[]),
        ]);
        let expected = format!("of this workspace only {}", FAMILY.join(", "));
        assert_eq!(
            found,
            [
                format!("lexmax-full: depends on lexmax-lab; expected {expected}"),
                format!("lexmax-full: depends on lexmax-sampled; expected {expected}"),
            ]
        );
    }

    #[test]
    fn libtorch_is_seen_through_others_and_in_tests() {
        let found = violations(&[
            ("lexmax-records", &[("tch", Some("dev"))]),
            ("lexmax-corpus", &[("lexmax-kernels", None)]),
            ("lexmax-kernels", &[("torch-sys", Some("build"))]),
            ("lexmax-report", &[("lexmax-records", None)]),
        ]);
        assert!(found.iter().any(|line| line.contains("lexmax-records -> tch")), "{found:?}");
        assert!(
            found.iter().any(|line| line.contains("lexmax-corpus -> lexmax-kernels -> torch-sys")),
            "{found:?}"
        );
        assert!(!found.iter().any(|line| line.starts_with("lexmax-report")), "{found:?}");
    }

    #[test]
    fn heavy_libraries_stay_where_they_belong() {
        let found = violations(&[("lexmax-lab", &[("polars-core", None), ("plotters", Some("dev"))])]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("polars in lexmax-report only"), "{found:?}");
    }

    #[test]
    fn what_is_for_tests_stays_with_tests() {
        let found = violations(&[
            ("lexmax-second-device", &[("torch-sys", None)]),
            ("lexmax", &[("lexmax-second-device", Some("dev"))]),
            ("lexmax-lab", &[("lexmax-second-device", None)]),
        ]);
        assert_eq!(
            found,
            ["lexmax-lab: depends on lexmax-second-device; expected as a dev-dependency only".to_owned()]
        );
    }

    #[test]
    fn helper_of_build_scripts_outside_a_build_script_is_seen() {
        let found = violations(&[
            ("lexmax-build", &[]),
            ("lexmax-full", &[("lexmax-build", Some("build"))]),
            ("lexmax-output", &[("lexmax-build", None)]),
            ("lexmax-kernels", &[("lexmax-build", Some("build"))]),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("lexmax-output: depends on lexmax-build"), "{found:?}");
        assert!(found[1].starts_with("lexmax-kernels: depends on lexmax-build"), "{found:?}");
    }

    #[test]
    fn a_package_without_rule_is_seen() {
        let found = violations(&[("lexmax-novel", &[])]);
        assert!(found[0].starts_with("lexmax-novel: this package has no rule"), "{found:?}");
    }

    #[test]
    fn the_rules_themselves_lead_nowhere_they_forbid() {
        for rule in RULES.iter().filter(|rule| !rule.libtorch) {
            for name in rule.ours {
                let lower = RULES.iter().find(|rule| rule.package == *name).unwrap();
                assert!(!lower.libtorch, "{} may use {name}, which may use libtorch", rule.package);
            }
        }
    }
}
