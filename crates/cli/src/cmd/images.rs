//! `mainstay build` and `mainstay pull`: images of apps are had, and nothing is started or replaced.

use super::check;
use crate::args::ImagesArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Progress;
use containers::image::Said;
use keeper::home::Home;
use keeper::image_verbs::{self, Wanted};
use serde_json::json;
use std::io::{self, Write};

/// Has them, one after the other; what the engine says of a build is on standard error.
pub fn run(context: &Context, args: &ImagesArgs, wanted: Wanted) -> Result<(), Failure> {
    let loaded = check::load(context)?;
    check::warn_briefly(context, &loaded.warnings);
    let spec = loaded.spec;
    if let Some(name) = args.names.iter().find(|name| !spec.apps.keys().any(|own| own.as_str() == **name)) {
        let known: Vec<&str> = spec.apps.keys().map(|own| own.as_str()).collect();
        let cause = format!("the stack {} has no app {name}", spec.name);
        return Err(Failure::new(Code::Usage, cause).next(format!("it has: {}", known.join(", "))));
    }
    let progress = Progress::new(context);
    let mut say = |app: &str, said: Said<'_>| match said {
        // nobody is left to tell when standard error is closed
        Said::Output(text) if !context.json => drop(io::stderr().lock().write_all(text.as_bytes())),
        Said::Output(_) => {}
        Said::Progress(line) => progress.now(format!("{app}: {line}")),
    };
    let lines = image_verbs::have(&homes(context)?, &spec, (wanted, &args.names), &mut say);
    progress.finish();
    let lines = lines
        .map_err(|cause| Failure::new(Code::Unhealthy, cause).next("mainstay doctor, if it is the engine"))?;
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", json!({ "stack": spec.name, "images": lines }))?;
    } else if lines.is_empty() {
        writeln!(out, "no app has an image to {}", if wanted == Wanted::Built { "build" } else { "pull" })?;
    } else {
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    Ok(())
}

/// Those that may know the stack; where there is none yet, the one that `start` makes.
fn homes(context: &Context) -> Result<Vec<Home>, Failure> {
    let there: Vec<_> = context.homes().into_iter().filter(|path| path.is_dir()).collect();
    let paths = if there.is_empty() { vec![context.background_home()] } else { there };
    paths.iter().map(|path| Home::open(path).map_err(Failure::from)).collect()
}
