//! Habits of the sources that no compiler holds anybody to: a head that says what a module owns, files that stay
//! small, lints that every crate inherits, nothing in a committed file that only this machine has.

use crate::tree::Tree;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Lines a source file may have.
const LINES: usize = 400;
/// Lines a file of tests may have.
const TEST_LINES: usize = 800;
/// The one registry that `Cargo.lock` may name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What breaks a habit.
pub fn findings(tree: &Tree) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let machine = machine_paths(tree);
    for name in tree.files() {
        let Some(text) = tree.text(name)? else { continue };
        let ours = name.starts_with("crates/") || tests_of_stack(name);
        if ours && name.ends_with(".rs") {
            findings.extend(source(name, &text));
        }
        if ours && name.ends_with("/Cargo.toml") {
            findings.extend(lints(name, &text)?);
        }
        if name == "Cargo.lock" {
            findings.extend(registries(&text));
        }
        if let Some(path) = machine.iter().find(|path| text.contains(path.as_str())) {
            findings.push(format!("{name}: holds {path}, a path of this machine"));
        }
    }
    Ok(findings)
}

/// The end-to-end tests of a reference stack are a crate in its folder: `stacks/NAME/e2e`.
fn tests_of_stack(name: &str) -> bool {
    matches!(name.split('/').collect::<Vec<_>>().as_slice(), ["stacks", _, "e2e", ..])
}

fn source(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let head = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    if !head.is_some_and(|line| line.starts_with("//!")) {
        findings.push(format!("{name}: opens without `//!`; say what the module owns"));
    }
    let test = name.contains("/tests/") || name.ends_with("tests.rs");
    let allowed = if test { TEST_LINES } else { LINES };
    let lines = text.lines().count();
    if lines > allowed {
        findings.push(format!("{name}: {lines} lines, at most {allowed}; split it"));
    }
    findings
}

/// `unsafe_code = "forbid"` and its like come from the workspace; only `sys` has lints of its own.
fn lints(name: &str, text: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = text.parse().with_context(|| format!("reading {name}"))?;
    let lints = manifest.get("lints");
    let inherited =
        lints.and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) == Some(true);
    if inherited || (name == "crates/sys/Cargo.toml" && lints.is_some()) {
        return Ok(Vec::new());
    }
    Ok(vec![format!("{name}: does not inherit the workspace's lints; add `[lints]` `workspace = true`")])
}

fn registries(lock: &str) -> Vec<String> {
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let foreign = sources.filter(|source| source.trim_matches('"') != REGISTRY);
    foreign.map(|source| format!("Cargo.lock: a package comes from {source}")).collect()
}

/// Where this checkout and its tools lie: true here only.
fn machine_paths(tree: &Tree) -> Vec<String> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let paths = [Some(tree.root().to_path_buf()), cargo, target];
    let long_enough = |path: &String| path.len() > 5 && path.starts_with('/');
    paths.into_iter().flatten().map(|path| path.display().to_string()).filter(long_enough).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_needs_a_head_and_an_end() {
        assert!(source("crates/a/src/b.rs", "#![cfg(test)]\n\n//! What it owns.\n").is_empty());
        assert_eq!(source("crates/a/src/b.rs", "use std::io;\n").len(), 1);
        let long = format!("//! Head.\n{}", "x\n".repeat(400));
        assert_eq!(source("crates/a/src/b.rs", &long).len(), 1);
        assert!(source("crates/a/tests/b.rs", &long).is_empty());
        assert!(tests_of_stack("stacks/a/e2e/tests/b.rs") && !tests_of_stack("stacks/a/server.rs"));
    }

    #[test]
    fn lints_are_inherited_by_all_but_sys() {
        assert!(lints("crates/a/Cargo.toml", "[lints]\nworkspace = true\n").unwrap().is_empty());
        assert_eq!(lints("crates/a/Cargo.toml", "[package]\nname = \"a\"\n").unwrap().len(), 1);
        let own = "[lints.rust]\nunsafe_code = \"deny\"\n";
        assert!(lints("crates/sys/Cargo.toml", own).unwrap().is_empty());
        assert_eq!(lints("crates/a/Cargo.toml", own).unwrap().len(), 1);
    }

    #[test]
    fn packages_come_from_the_public_registry() {
        assert!(registries(&format!("source = \"{REGISTRY}\"\n")).is_empty());
        assert_eq!(registries("source = \"git+https://example.com/x\"\n").len(), 1);
    }
}
