//! The verbs, a file each, named after the verb.

pub mod check;
pub mod completions;
pub mod edge;
pub mod keeper;
pub mod logs;
pub mod reload;
pub mod restart;
pub mod shim;
pub mod start;
pub mod status;
pub mod stop;
pub mod up;
pub mod version;

use crate::args::Verb;
use crate::context::Context;
use crate::error::Failure;

/// Does what was asked for.
pub fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    // a slip must not end at the only stack that runs; the others read the manifest, and fail by themselves
    if matches!(verb, Verb::Stop(_) | Verb::Status(_) | Verb::Logs(_) | Verb::Restart(_) | Verb::Reload(_)) {
        context.check_place()?;
    }
    match verb {
        Verb::Check(args) => check::run(context, &args),
        Verb::Up(args) => up::run(context, args),
        Verb::Start(args) => start::run(context, args),
        Verb::Stop(args) => stop::run(context, &args.names),
        Verb::Status(_) => status::run(context),
        Verb::Logs(args) => logs::run(context, &args),
        Verb::Restart(args) => restart::run(context, &args.names),
        Verb::Reload(args) => reload::run(context, &args),
        Verb::Version => version::run(context),
        Verb::Completions(args) => completions::run(args.shell),
        Verb::Keeper => keeper::run(context),
        Verb::Edge(args) => edge::run(args),
    }
}
