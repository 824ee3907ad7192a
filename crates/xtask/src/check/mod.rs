//! `cargo xtask check`: every check runs, every finding is printed as `file: what` and what to do.

mod layers;
mod sources;

use crate::tree::Tree;
use anyhow::Result;
use std::process::Command;

/// Whether nothing was found.
pub fn run(tree: &Tree) -> Result<bool> {
    let mut findings = layers::findings(tree)?;
    findings.extend(sources::findings(tree)?);
    findings.extend(crate::requirements::findings(tree)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    let mut well = findings.is_empty();
    for arguments in [
        &["fmt", "--all", "--check"][..],
        &["clippy", "--locked", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"][..],
    ] {
        let status = Command::new("cargo").args(arguments).current_dir(tree.root()).status()?;
        if !status.success() {
            eprintln!("cargo {} failed", arguments.first().unwrap_or(&""));
            well = false;
        }
    }
    println!("xtask check: {}", if well { "ok" } else { "failed" });
    Ok(well)
}
