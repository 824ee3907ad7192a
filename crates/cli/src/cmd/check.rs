//! `mainstay check`: everything that is wrong with the manifest, at once. Touches nothing.

use crate::args::CheckArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::words::count;
use manifest::{Loaded, StackSpec};
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
    let host: Vec<String> = keeper::networks_usable(&spec).err().into_iter().chain(doubts(&spec)).collect();
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

/// Warnings, on standard error; of what is worth knowing only how much there is. For those who want to see something run.
pub fn warn_briefly(context: &Context, warnings: &[manifest::Diagnostic]) {
    let (notes, warnings): (Vec<_>, Vec<_>) =
        warnings.iter().cloned().partition(|it| it.severity == manifest::Severity::Info);
    warn(context, &warnings);
    if !notes.is_empty() && !context.json {
        eprintln!("{}: mainstay check shows them", count(notes.len(), "note"));
    }
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
