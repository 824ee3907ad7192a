//! `mainstay down`: a whole stack is stopped; with `--volumes` the named volumes of its containers go too.

use super::{check, cleanup, stop};
use crate::args::DownArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target;
use containers::volume;
use std::io::{self, IsTerminal};

/// Stops, then removes what was asked for and agreed to.
pub fn run(context: &Context, args: &DownArgs) -> Result<(), Failure> {
    if !args.volumes {
        return stop::run(context, &[]);
    }
    let volumes = volumes(context)?;
    if !volumes.is_empty() && !context.yes {
        let kept = Failure::new(Code::Usage, "nothing was stopped, no volume removed");
        if context.json || !io::stdin().is_terminal() {
            return Err(kept.next("nobody can be asked here: add -y to lose what is in the volumes"));
        }
        let question = format!("Remove {} with all that is in them?", volumes.join(", "));
        if !cleanup::agreed(&question, &mut io::stdin().lock())? {
            return Err(kept.next("mainstay down keeps volumes"));
        }
    }
    stop::run(context, &[])?;
    let removed = volume::remove(&volumes).map_err(|error| {
        Failure::new(Code::Unclean, format!("the stack is stopped, its volumes are not removed: {error}"))
    })?;
    if !context.json {
        removed.iter().for_each(|name| println!("volume {name}: removed"));
    }
    Ok(())
}

/// What the engine calls the stack's own volumes.
fn volumes(context: &Context) -> Result<Vec<String>, Failure> {
    let loaded = check::load(context)?;
    if let Some((_, client)) = context.find_keeper() {
        let status = client.status()?;
        if !status.stacks.is_empty() {
            let stack = target::stack(context, &status)?;
            if stack.name != loaded.spec.name.as_str() {
                let cause =
                    format!("the manifest names the stack {}, and {} runs", loaded.spec.name, stack.name);
                return Err(Failure::new(Code::Usage, cause).next("go to the folder of the one you mean"));
            }
        }
    }
    let own = loaded.spec.volumes.iter().filter(|(_, volume)| !volume.external);
    let name = |(key, volume): (&String, &model::container::VolumeSpec)| {
        volume.name.clone().unwrap_or_else(|| format!("{}_{key}", loaded.spec.name))
    };
    Ok(own.map(name).collect())
}
