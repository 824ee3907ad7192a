//! `mainstay import compose`: the manifest that compose files amount to, as text. Touches nothing but the file that is asked for.

use super::check;
use crate::args::{ImportComposeArgs, ImportVerb};
use crate::context::Context;
use crate::error::{Code, Failure};
use manifest::Loaded;
use serde_json::json;
use std::io::{self, Write};

/// Does what was asked for.
pub fn run(context: &Context, verb: &ImportVerb) -> Result<(), Failure> {
    match verb {
        ImportVerb::Compose(args) => compose(context, args),
    }
}

fn compose(context: &Context, args: &ImportComposeArgs) -> Result<(), Failure> {
    if let Some(output) = args.output.as_ref().filter(|path| path.exists() && !context.yes) {
        let message = format!("{} is there already", output.display());
        return Err(Failure::new(Code::Usage, message).next("choose another name, or replace it with -y"));
    }
    let environment = |name: &str| std::env::var(name).ok();
    let loaded = manifest::import_compose(context.place(), context.compose(), &environment);
    let Loaded { spec, text, warnings, .. } = loaded.map_err(|found| {
        check::failure(context, "the compose files", &found).next("put right what is shown above")
    })?;
    check::warn(context, &warnings);
    if let Some(output) = &args.output {
        sys::durable::write(output, text.as_bytes(), 0o644).map_err(|error| {
            Failure::new(Code::Configuration, format!("cannot write {}: {error}", output.display()))
                .next("name a file in a folder that this user may write to: -o FILE")
        })?;
    }
    let mut out = io::stdout().lock();
    if context.json {
        let diagnostics: Vec<_> = warnings.iter().map(manifest::Diagnostic::to_json).collect();
        let found = json!({ "ok": true, "stack": spec.name, "manifest": text, "diagnostics": diagnostics });
        writeln!(out, "{found}")?;
    } else if let Some(output) = &args.output {
        writeln!(out, "{} wrote {}", context.style().green("ok:"), output.display())?;
    } else {
        write!(out, "{text}")?;
    }
    Ok(())
}
