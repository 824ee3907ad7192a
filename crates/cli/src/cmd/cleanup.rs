//! `mainstay cleanup`: removes what the manifest calls obsolete, after it was shown and agreed to.
//!
//! Nothing is removed without a yes: an answer at a terminal, or `-y`. What the manifest names, what it keeps and what lies behind
//! a link is never removed (see [`crate::cleanup`]).

use crate::args::CleanupArgs;
use crate::cleanup::{Folder, Found, Guard, Kind, Plan, Stays, find, remove};
use crate::cmd::check;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::logs::printable;
use crate::ui::Table;
use crate::ui::words::size;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

/// Shows it, asks, removes it.
pub fn run(context: &Context, args: &CleanupArgs) -> Result<(), Failure> {
    let loaded = check::load(context)?;
    let guard = Guard::of(&loaded, &context.foreground_home());
    let root = Folder::open(&loaded.spec.root)?;
    let plan = find(&root, &loaded.spec.cleanup.obsolete, &guard)?;
    if args.dry_run || plan.obsolete.is_empty() {
        return show(context, &plan, args.dry_run);
    }
    let asks = !context.json && io::stdin().is_terminal() && io::stderr().is_terminal();
    if !context.yes && !asks {
        show(context, &plan, true)?;
        return Err(Failure::new(Code::Usage, "nothing was removed: nobody can be asked here")
            .next("add -y to remove what is shown"));
    }
    if !context.json {
        show(context, &plan, true)?;
    }
    let number = plan.obsolete.len();
    let these = if number == 1 { "this one".to_owned() } else { format!("these {number}") };
    if !context.yes && !agreed(&format!("Remove {these}?"), &mut io::stdin().lock())? {
        println!("nothing was removed");
        return Ok(());
    }
    let failed: Vec<Stays> = plan.obsolete.iter().flat_map(|found| remove(&root, found, &guard)).collect();
    told(context, &plan, &failed)
}

/// Asks. Anything but a yes is a no, silence too.
pub fn agreed(question: &str, input: &mut impl BufRead) -> io::Result<bool> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    input.take(64).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What would be removed, and what matches and stays.
fn show(context: &Context, plan: &Plan, only: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", as_json(plan, only, &[], &[]))?;
        return Ok(());
    }
    if plan.obsolete.is_empty() {
        writeln!(out, "nothing to clean up")?;
    } else {
        let mut table = Table::new(&["OBSOLETE", ">SIZE", "INSIDE"]);
        for found in &plan.obsolete {
            let inside = match found.kind {
                Kind::Folder if found.inside == 1 => "1 entry".to_owned(),
                Kind::Folder => format!("{} entries", found.inside),
                Kind::Link => "a link; what it leads to stays".to_owned(),
                Kind::File => String::new(),
            };
            table
                .row([name(found), size(found.bytes), inside].into_iter().map(|text| (text, None)).collect());
        }
        write!(out, "{}", table.render(context.style(), ""))?;
    }
    for Stays { path, why } in &plan.stays {
        writeln!(out, "stays: {} ({})", plain(path), printable(why, false))?;
    }
    Ok(())
}

/// What became of it.
fn told(context: &Context, plan: &Plan, failed: &[Stays]) -> Result<(), Failure> {
    let whole = |found: &&Found| !failed.iter().any(|own| own.path.starts_with(&found.path));
    let removed: Vec<&Found> = plan.obsolete.iter().filter(whole).collect();
    let mut out = io::stdout().lock();
    match context.json {
        true => writeln!(out, "{}", as_json(plan, false, &removed, failed))?,
        false => {
            let bytes = removed.iter().map(|found| found.bytes).sum();
            writeln!(out, "{} removed, {}", removed.len(), size(bytes))?;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        failed.iter().map(|own| format!("{}: {}", plain(&own.path), printable(&own.why, false))).collect();
    Err(Failure::new(Code::Unclean, format!("{} could not be removed", failed.len()))
        .detail(lines.join("\n"))
        .next("see why above (owner, permissions), then try again"))
}

fn as_json(plan: &Plan, dry_run: bool, removed: &[&Found], failed: &[Stays]) -> serde_json::Value {
    let one = |found: &Found| {
        let kind = match found.kind {
            Kind::File => "file",
            Kind::Link => "link",
            Kind::Folder => "folder",
        };
        json!({ "path": found.path, "kind": kind, "bytes": found.bytes, "inside": found.inside })
    };
    let obsolete: Vec<_> = plan.obsolete.iter().map(one).collect();
    let removed: Vec<_> = removed.iter().map(|found| &found.path).collect();
    json!({ "dry_run": dry_run, "obsolete": obsolete, "stays": plan.stays, "removed": removed, "failed": failed })
}

fn name(found: &Found) -> String {
    let slash = if found.kind == Kind::Folder { "/" } else { "" };
    plain(&found.path) + slash
}

/// Names are others' text: nothing in them reaches a terminal.
fn plain(path: &Path) -> String {
    printable(&path.to_string_lossy(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("no\n", false), ("yikes\n", false)]
        {
            assert_eq!(agreed("Remove 7?", &mut answer.as_bytes()).unwrap(), yes, "{answer:?}");
        }
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(plain(Path::new("a\u{1b}[2Jb\n.md")), "a\\u{1b}[2Jb\\n.md");
    }
}
