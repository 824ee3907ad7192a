//! `cargo xtask requirements`: which rows of `docs/requirements.md` a running test proves.
//!
//! A test cites rows in a comment right above it: `req: EDGE-09, EDGE-10`. A citation counts when a test follows that
//! is not ignored; an unknown row, an ignored test or no test at all is a finding. So a row cannot be claimed without
//! something that fails when it breaks.

use crate::tree::Tree;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};

/// A row, and the group it belongs to.
struct Row {
    id: String,
    text: String,
}

/// A comment that cites a row.
struct Citation {
    place: String,
    id: String,
    fault: Option<&'static str>,
}

/// Prints the count by group; with `list` also every row that no test cites.
pub fn run(tree: &Tree, list: bool) -> Result<bool> {
    let (rows, citations) = read(tree)?;
    let found = judge(&rows, &citations);
    found.iter().for_each(|finding| eprintln!("{finding}"));
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let counts = |citation: &&Citation| citation.fault.is_none() && known.contains(citation.id.as_str());
    let cited: BTreeSet<&str> =
        citations.iter().filter(counts).map(|citation| citation.id.as_str()).collect();
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &rows {
        let (total, proven) = groups.entry(group(&row.id)).or_default();
        *total += 1;
        *proven += usize::from(cited.contains(row.id.as_str()));
    }
    for (group, (total, proven)) in &groups {
        println!("{group:<6} {proven:>4} of {total:>4}");
    }
    println!("{:<6} {:>4} of {:>4}", "all", cited.len(), rows.len());
    if list {
        println!("\nNo test cites:");
        rows.iter()
            .filter(|row| !cited.contains(row.id.as_str()))
            .for_each(|row| println!("{:<9} {}", row.id, row.text));
    }
    Ok(found.is_empty())
}

/// Citations that prove nothing.
pub fn findings(tree: &Tree) -> Result<Vec<String>> {
    let (rows, citations) = read(tree)?;
    Ok(judge(&rows, &citations))
}

fn read(tree: &Tree) -> Result<(Vec<Row>, Vec<Citation>)> {
    let document = tree.text("docs/requirements.md")?.context("docs/requirements.md is not text")?;
    let mut citations = Vec::new();
    for name in tree.files().filter(|name| name.starts_with("crates/") || name.starts_with("stacks/")) {
        let known = [".rs", ".py", ".js", ".mjs", ".ts"].iter().any(|end| name.ends_with(end));
        if let Some(text) = if known { tree.text(name)? } else { None } {
            citations.extend(cite(name, &text));
        }
    }
    Ok((rows(&document), citations))
}

fn group(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(group, _)| group)
}

fn is_id(text: &str) -> bool {
    let upper = |group: &str| {
        !group.is_empty() && group.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    };
    text.rsplit_once('-').is_some_and(|(group, number)| upper(group) && number.parse::<u32>().is_ok())
}

fn rows(document: &str) -> Vec<Row> {
    let section = document.split("\n## ").find(|section| section.starts_with("1. ")).unwrap_or_default();
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let id = cells.next().filter(|id| is_id(id))?.to_owned();
        Some(Row { id, text: cells.next().unwrap_or_default().to_owned() })
    };
    section.lines().filter_map(row).collect()
}

fn cite(name: &str, text: &str) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut citations = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let comment = line.strip_prefix("// ").or_else(|| line.strip_prefix("# "));
        let Some(ids) = comment.and_then(|comment| comment.strip_prefix("req:")) else { continue };
        let fault = fault(name, lines.get(index + 1..).unwrap_or_default());
        for id in ids.split([',', ' ']).filter(|id| !id.is_empty()) {
            citations.push(Citation { place: format!("{name}:{}", index + 1), id: id.to_owned(), fault });
        }
    }
    citations
}

/// What is wrong with what follows a citation.
fn fault(name: &str, following: &[&str]) -> Option<&'static str> {
    let comment = |line: &&&str| !line.is_empty() && !line.starts_with("//") && !line.starts_with("# ");
    let code: Vec<&str> = following.iter().filter(comment).take(12).copied().collect();
    if name.ends_with(".rs") {
        let attributes: Vec<&str> = code.into_iter().take_while(|line| !line.contains("fn ")).collect();
        let attribute = |text: &str| attributes.iter().any(|line| line.contains(text));
        if attribute("#[ignore") {
            return Some("the test that follows is ignored");
        }
        let test = attribute("#[test]") || attribute("::test]") || attribute("::test(");
        // or a named step of a test that is an ordered scenario
        let step = following.iter().find(comment).is_some_and(|line| line.starts_with("scenario.step("));
        return (!test && !step).then_some("no test follows");
    }
    let step = code.first().copied().unwrap_or_default();
    if step.contains("skip") {
        return Some("the step that follows is skipped");
    }
    let starts = ["def ", "async def ", "test(", "it(", "step(", "await step(", "@"];
    (!starts.iter().any(|start| step.starts_with(start))).then_some("no test or step follows")
}

fn judge(rows: &[Row], citations: &[Citation]) -> Vec<String> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let judged = citations.iter().filter_map(|Citation { place, id, fault }| {
        let unknown = (!known.contains(id.as_str())).then_some("is no row of docs/requirements.md");
        unknown.or(*fault).map(|why| format!("{place}: req {id}: {why}"))
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# R\n\n## 0. How\n| X-01 | no |\n\n## 1. Requirements\n\n| Group | n |\n|---|---|\n| **all** | 2 |\n\
                            ### EDGE\n| EDGE-01 | first | s | platform |\n| M2V-10 | second | s | application |\n\n## 2. Stacks\n| Y-01 | no |\n";

    fn faults(name: &str, text: &str) -> Vec<String> {
        judge(&rows(DOCUMENT), &cite(name, &text.replace('~', "// req:").replace('^', "# req:")))
    }

    #[test]
    fn rows_are_those_of_section_one() {
        let ids: Vec<String> = rows(DOCUMENT).into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["EDGE-01", "M2V-10"]);
    }

    #[test]
    fn a_citation_above_a_running_test_counts() {
        assert!(faults("a.rs", "~ EDGE-01, M2V-10\n// why\n#[test]\n#[allow(x)]\nfn a() {}\n").is_empty());
        assert!(
            faults("a.rs", "~ EDGE-01\n#[tokio::test(start_paused = true)]\nasync fn a() {}\n").is_empty()
        );
        assert!(faults("a.rs", "~ EDGE-01\nscenario.step(\"a\", || f());\n").is_empty());
        assert!(faults("a.py", "^ EDGE-01\ndef test_a():\n").is_empty());
        assert!(faults("a.mjs", "~ EDGE-01\nawait step(\"a\", f);\n").is_empty());
    }

    #[test]
    fn a_citation_that_proves_nothing_is_a_finding() {
        assert_eq!(faults("a.rs", "~ EDGE-99\n#[test]\nfn a() {}\n").len(), 1, "unknown row");
        assert_eq!(
            faults("a.rs", "~ EDGE-01\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n").len(),
            1,
            "ignored"
        );
        assert_eq!(faults("a.rs", "~ EDGE-01\nfn helper() {}\n#[test]\nfn a() {}\n").len(), 1, "no test");
        assert_eq!(faults("a.py", "^ EDGE-01\n@unittest.skip\ndef test_a():\n").len(), 1, "skipped");
    }
}
