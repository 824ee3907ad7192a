//! Crates depend only on crates of a lower layer. The layers are the table in `ARCHITECTURE.md`; the dependencies are what
//! `cargo metadata` says, so neither can drift from what is checked.
//!
//! Developers' own crates (layer `–`) may use any crate and are used only as dev-dependencies.

use crate::tree::Tree;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Layer of a crate, by the name of its folder in `crates/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Number(u32),
    Developers,
}

/// One dependency between crates of this workspace.
struct Edge {
    from: String,
    to: String,
    dev: bool,
}

/// What breaks the rule.
pub fn findings(tree: &Tree) -> Result<Vec<String>> {
    let text = tree.text("ARCHITECTURE.md")?.context("ARCHITECTURE.md is not text")?;
    let layers = table(&text);
    ensure!(!layers.is_empty(), "ARCHITECTURE.md has no table of crates and layers");
    let (crates, edges) = metadata(tree)?;
    Ok(judge(&layers, &crates, &edges))
}

fn table(text: &str) -> BTreeMap<String, Layer> {
    let mut layers = BTreeMap::new();
    let section =
        text.split("\n## ").find(|section| section.starts_with("Crates and layers")).unwrap_or_default();
    for row in section.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, layer, crates, ..] = cells.as_slice() else { continue };
        let layer = match layer.parse() {
            Ok(number) => Layer::Number(number),
            Err(_) if *layer == "–" => Layer::Developers,
            Err(_) => continue,
        };
        // every second piece stands between backticks; "(package `mainstay`)" is another name, no crate
        for crate_name in crates.split(", ").filter_map(|cell| cell.split('`').nth(1)) {
            layers.insert(crate_name.to_owned(), layer);
        }
    }
    layers
}

fn metadata(tree: &Tree) -> Result<(Vec<String>, Vec<Edge>)> {
    let output = Command::new("cargo")
        .args(["metadata", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(tree.root())
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let folder = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let (mut crates, mut edges) = (Vec::new(), Vec::new());
    for package in metadata["packages"].as_array().context("no packages")? {
        let manifest = Path::new(package["manifest_path"].as_str().context("no manifest path")?);
        let from =
            manifest.parent().and_then(Path::to_str).and_then(folder).context("a crate without a folder")?;
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            if let Some(to) = dependency["path"].as_str().and_then(folder) {
                edges.push(Edge { from: from.clone(), to, dev: dependency["kind"] == "dev" });
            }
        }
        crates.push(from);
    }
    Ok((crates, edges))
}

fn judge(layers: &BTreeMap<String, Layer>, crates: &[String], edges: &[Edge]) -> Vec<String> {
    let mut findings = Vec::new();
    for name in crates.iter().filter(|name| !layers.contains_key(*name)) {
        findings.push(format!("crates/{name}: in no layer; add it to the table in ARCHITECTURE.md"));
    }
    for Edge { from, to, dev } in edges {
        let (Some(&upper), Some(&lower)) = (layers.get(from), layers.get(to)) else { continue };
        let fits = match (upper, lower) {
            (Layer::Developers, _) => true,
            (Layer::Number(_), Layer::Developers) => *dev,
            (Layer::Number(upper), Layer::Number(lower)) => lower < upper,
        };
        if !fits {
            findings.push(format!(
                "crates/{from}/Cargo.toml: depends on `{to}`, which is not of a lower layer (ARCHITECTURE.md)"
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# A\n\n## Crates and layers\n\n| layer | crates |\n|---|---|\n| 0 | `model`, `http1` |\n\
                         | 1 | `wire` |\n| 4 | `cli` (package `mainstay`) |\n| – | `testkit`, `bench/` |\n\n## Next\n| 9 | `no` |\n";

    fn edge(from: &str, to: &str, dev: bool) -> Edge {
        Edge { from: from.into(), to: to.into(), dev }
    }

    #[test]
    fn the_table_is_read() {
        let layers = table(TABLE);
        assert_eq!(layers.get("http1"), Some(&Layer::Number(0)));
        assert_eq!(layers.get("cli"), Some(&Layer::Number(4)));
        assert_eq!(layers.get("testkit"), Some(&Layer::Developers));
        assert!(!layers.contains_key("mainstay") && !layers.contains_key("no"));
    }

    #[test]
    fn siblings_and_upper_layers_are_refused() {
        let layers = table(TABLE);
        let crates = ["model", "wire", "new"].map(String::from);
        let fine =
            [edge("wire", "model", false), edge("model", "testkit", true), edge("testkit", "cli", false)];
        assert_eq!(judge(&layers, &crates[..2], &fine), Vec::<String>::new());
        let wrong =
            [edge("http1", "model", false), edge("model", "wire", true), edge("wire", "testkit", false)];
        assert_eq!(judge(&layers, &crates, &wrong).len(), 4);
    }
}
