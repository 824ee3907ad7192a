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
    let Loaded { spec, warnings, .. } = load(context)?;
    let mut out = io::stdout().lock();
    if context.json {
        let effective = args.effective.then(|| json!(spec));
        let diagnostics: Vec<_> = warnings.iter().map(manifest::Diagnostic::to_json).collect();
        let found = json!({
            "ok": true, "stack": spec.name, "diagnostics": diagnostics, "effective": effective,
        });
        writeln!(out, "{found}")?;
        return Ok(());
    }
    warn(context, &warnings);
    if args.effective {
        writeln!(out, "{}", manifest::effective(&spec).trim_end())?;
    } else {
        writeln!(out, "{} {}", context.style().green("ok:"), summary(&spec))?;
    }
    Ok(())
}

/// The manifest.
///
/// # Errors
/// All its diagnostics, ready to be shown.
pub fn load(context: &Context) -> Result<Loaded, Failure> {
    let path = context.manifest();
    let environment = |name: &str| std::env::var(name).ok();
    manifest::load(&path, &environment).map_err(|diagnostics| {
        let errors = count(diagnostics.errors(), "error");
        let failure = Failure::new(Code::Configuration, format!("{errors} in {}", path.display()));
        if context.json {
            return failure.detail(diagnostics.to_json().to_string());
        }
        let color = context.stderr_style().is_on();
        let all: String = diagnostics.iter().map(|diagnostic| diagnostic.render(color) + "\n").collect();
        failure.detail(all).next("put right what is shown above; docs/manifest.md has every key")
    })
}

/// Warnings, on standard error.
pub fn warn(context: &Context, warnings: &[manifest::Diagnostic]) {
    if context.json {
        return;
    }
    let style = context.stderr_style();
    warnings.iter().for_each(|warning| eprintln!("{}", warning.render(style.is_on())));
}

fn summary(spec: &StackSpec) -> String {
    let routes = spec.sites.iter().map(|site| site.routes.len()).sum();
    let sites = count(spec.sites.len(), "site");
    format!("{sites}, {}, {}", count(routes, "route"), count(spec.apps.len(), "app"))
}
