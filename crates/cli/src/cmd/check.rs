//! `mainstay check`: everything that is wrong with the manifest, at once. Touches nothing.

use super::certs;
use crate::args::CheckArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::words::count;
use manifest::{Loaded, Severity, StackSpec};
use serde_json::json;
use std::io::{self, Write};

/// Shows what is wrong, or what the manifest amounts to.
pub fn run(context: &Context, args: &CheckArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let loaded = load(context).map_err(|mut failure| {
        // they are what was asked for: standard output has them, the error does not repeat them
        if context.json && !failure.diagnostics.is_empty() {
            let found = std::mem::take(&mut failure.diagnostics);
            // nobody is left to tell when standard output is closed
            let _ = writeln!(out, "{}", json!({ "ok": false, "diagnostics": found }));
            failure.detail.clear();
        }
        failure
    });
    let Loaded { spec, warnings, .. } = loaded?;
    // Of this host, not of the manifest: a start would refuse it, or go without.
    let host = keeper::networks_usable(&spec).err().into_iter().chain(doubts(&spec));
    let host: Vec<String> = host.chain(certs::troubles(context, spec.name.as_str())).collect();
    if context.json {
        let effective = args.effective.then(|| manifest::effective_json(&spec));
        let diagnostics: Vec<_> = warnings.iter().map(manifest::Diagnostic::to_json).collect();
        let found = json!({
            "ok": true, "stack": spec.name, "diagnostics": diagnostics, "effective": effective,
            "host": host,
        });
        writeln!(out, "{found}")?;
        return Ok(());
    }
    warn(context, &warnings);
    let style = context.stderr_style();
    host.iter().for_each(|reason| eprintln!("{} on this host {reason}", style.yellow("warning:")));
    if args.effective {
        writeln!(out, "{}", manifest::effective(&spec).trim_end())?;
    } else {
        writeln!(out, "{} {}", context.style().green("ok:"), summary(&spec))?;
    }
    Ok(())
}

/// What of limits and confinement cannot be seen to on this host, by a keeper that this user starts.
fn doubts(spec: &StackSpec) -> impl Iterator<Item = String> {
    let of = |(name, app)| {
        let lines = keeper::not_enforceable(app).into_iter();
        lines.map(move |line| format!("app {name} cannot be held to {line}"))
    };
    spec.apps.iter().flat_map(of)
}

/// The manifest.
///
/// # Errors
/// All its diagnostics, ready to be shown.
pub fn load(context: &Context) -> Result<Loaded, Failure> {
    let path = context.manifest();
    let environment = |name: &str| std::env::var(name).ok();
    manifest::load_with(&path, context.compose(), &environment).map_err(|diagnostics| {
        failure(context, &path.display().to_string(), &diagnostics).next(
            "put right what is shown above; then mainstay check --effective shows every key with its value",
        )
    })
}

/// All that is wrong with `what`, ready to be shown.
pub fn failure(context: &Context, what: &str, diagnostics: &manifest::Diagnostics) -> Failure {
    let errors = count(diagnostics.errors(), "error");
    let failure = Failure::new(Code::Configuration, format!("{errors} in {what}"));
    let color = context.stderr_style().is_on();
    let all: String = diagnostics.iter().map(|diagnostic| diagnostic.render(color) + "\n").collect();
    let found = diagnostics.iter().map(manifest::Diagnostic::to_json).collect();
    Failure { diagnostics: found, ..failure }.detail(all)
}

/// The manifest at hand, if it is one and is the one of this stack.
pub fn known(context: &Context, stack: &str) -> Option<StackSpec> {
    let loaded = load(context).ok()?;
    Some(loaded.spec).filter(|spec| spec.name.as_str() == stack)
}

/// A refusal because of the manifest has its diagnostics as text; with `--json` they are wanted one by one.
pub fn one_by_one(context: &Context, failure: Failure) -> Failure {
    if !context.json || failure.code != Code::Configuration || failure.detail.is_empty() {
        return failure;
    }
    let found = load(context).err().map(|own| own.diagnostics).filter(|found| !found.is_empty());
    // the keeper's environment may differ from ours: then its text is all there is
    let text = json!({ "severity": "error", "message": failure.detail.trim() });
    Failure { diagnostics: found.unwrap_or_else(|| vec![text]), ..failure }
}

/// Warnings and what is worth knowing, on standard error.
pub fn warn(context: &Context, warnings: &[manifest::Diagnostic]) {
    if context.json {
        return;
    }
    let style = context.stderr_style();
    warnings.iter().for_each(|warning| eprintln!("{}", warning.render(style.is_on())));
}

/// Lines that are shown of what is said about compose files by those who want to see something run.
const MOST: usize = 10;

/// Warnings, on standard error; of what is worth knowing only how much there is. For those who want to see something run.
pub fn warn_briefly(context: &Context, warnings: &[manifest::Diagnostic]) {
    let is_compose = context.manifest().extension().is_some_and(|end| end == "yml" || end == "yaml");
    if is_compose && !context.json {
        let style = context.stderr_style();
        return in_lines(warnings).iter().for_each(|line| eprintln!("{} {line}", style.yellow("note:")));
    }
    let (notes, warnings): (Vec<_>, Vec<_>) =
        warnings.iter().cloned().partition(|it| it.severity == Severity::Info);
    warn(context, &warnings);
    if !notes.is_empty() && !context.json {
        eprintln!("{}: mainstay check shows them", count(notes.len(), "note"));
    }
}

/// What matters of what is said about compose files, a line each: who is replaced, what is not honoured, what has no effect; then how much
/// there is besides.
fn in_lines(said: &[manifest::Diagnostic]) -> Vec<String> {
    let rank = |it: &manifest::Diagnostic| match (it.code, it.severity) {
        ("traefik::replaced", _) => Some(0),
        ("compose::key", Severity::Warning) => Some(1),
        (_, Severity::Warning) => Some(2),
        ("compose::key" | "traefik::label" | "traefik::disabled", _) => Some(3),
        _ => None,
    };
    let mut matters: Vec<_> = said.iter().filter_map(|it| Some((rank(it)?, it))).collect();
    matters.sort_by_key(|(rank, _)| *rank);
    let line = |it: &manifest::Diagnostic| {
        let file = it.file().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let at = it.position().map_or(file.clone(), |(line, _)| format!("{file}:{line}"));
        format!("{at}: {}", it.message)
    };
    let mut lines: Vec<String> = matters.iter().take(MOST).map(|(_, it)| line(it)).collect();
    let rest = said.len() - lines.len();
    if rest > 0 {
        lines.push(format!("{rest} more: mainstay check"));
    }
    lines
}

fn summary(spec: &StackSpec) -> String {
    let routes = spec.sites.iter().map(|site| site.routes.len()).sum();
    let sites = count(spec.sites.len(), "site");
    let mut parts = vec![sites, count(routes, "route"), count(spec.apps.len(), "app")];
    if !spec.services.is_empty() {
        parts.push(count(spec.services.len(), "service"));
    }
    if !spec.tasks.is_empty() {
        parts.push(count(spec.tasks.len(), "task"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // a compose file as somebody would have it
    fn up_counted_what_it_did_not_honour_and_never_said_that_it_stands_for_traefik() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yaml");
        let web = (0..12).map(|n| format!("  w{n}: {{ image: 'w:1', blkio_config: {{ weight: 300 }} }}\n"));
        let text = format!(
            "services:\n{}  edge: {{ image: 'traefik:v3.0', ports: ['8099:80'] }}\n",
            web.collect::<String>()
        );
        std::fs::write(&file, text).unwrap();
        let loaded = manifest::load_with(&file, &manifest::Compose::default(), &|_| None).unwrap();
        let lines = in_lines(&loaded.warnings);
        assert_eq!(lines.len(), MOST + 1, "{lines:#?}");
        assert!(
            lines[0].contains("compose.yaml:14: Mainstay takes the place of service `edge`"),
            "{lines:#?}"
        );
        assert!(lines[1].contains("compose.yaml:2: `blkio_config` is not honoured"), "{lines:#?}");
        assert!(lines[MOST].ends_with(" more: mainstay check"), "{lines:#?}");
        assert!(in_lines(&[]).is_empty());
    }
}
