//! The verbs, a file each, named after the verb.

pub mod bans;
pub mod certs;
pub mod check;
pub mod cleanup;
pub mod completions;
pub mod compose;
pub mod config;
pub mod container;
pub mod data;
pub mod doctor;
pub mod down;
pub mod edge;
pub mod exec;
pub mod hash_password;
pub mod history;
pub mod images;
pub mod import;
pub mod install;
pub mod keeper;
pub mod logs;
pub mod metrics;
pub mod ports;
pub mod ps;
pub mod reload;
pub mod restart;
pub mod scale;
pub mod service;
pub mod shim;
pub mod signal;
pub mod start;
pub mod stats;
pub mod status;
pub mod stop;
pub mod task;
pub mod top;
pub mod up;
pub mod upgrade;
pub mod version;
pub mod why;

use crate::args::{BansArgs, BansVerb, Verb};
use crate::context::Context;
use crate::error::Failure;
use ::keeper::image_verbs::Wanted;

/// Does what was asked for.
pub fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    // a slip must not end at the only stack that runs; the others read the manifest, and fail by themselves
    if matches!(
        verb,
        Verb::Stop(_)
            | Verb::Status(_)
            | Verb::Top(_)
            | Verb::History(_)
            | Verb::Logs(_)
            | Verb::Why(_)
            | Verb::Restart(_)
            | Verb::Reload(_)
            | Verb::Scale(_)
            | Verb::Signal(_)
            | Verb::Exec(_)
            | Verb::Down(_)
            | Verb::Ps(_)
            | Verb::Stats(_)
            | Verb::Task(_)
            | Verb::Data(_)
    ) {
        context.check_place()?;
    }
    match verb {
        Verb::Check(args) => check::run(context, &args),
        Verb::Doctor => doctor::run(context),
        Verb::Config(args) => config::run(context, &args),
        Verb::Build(args) => images::run(context, &args, Wanted::Built),
        Verb::Pull(args) => images::run(context, &args, Wanted::Pulled),
        Verb::Up(args) => up::run(context, args),
        Verb::Start(args) => start::run(context, args),
        Verb::Stop(args) if args.all => stop::everything(context),
        Verb::Stop(args) => stop::run(context, &args.names),
        Verb::Down(args) => down::run(context, &args),
        Verb::Ps(args) => ps::run(context, &args),
        Verb::Stats(args) => stats::run(context, &args),
        Verb::Status(args) => status::run(context, &args),
        Verb::Top(args) => top::run(context, &args),
        Verb::History(args) => history::run(context, &args),
        Verb::Ports(args) => ports::run(context, &args),
        Verb::Logs(args) => logs::run(context, &args),
        Verb::Why(args) => why::run(context, &args),
        Verb::Restart(args) => restart::run(context, &args.names),
        Verb::Reload(args) => reload::run(context, &args),
        Verb::Task(args) => task::run(context, args),
        Verb::Scale(args) => scale::run(context, args.apps),
        Verb::Signal(args) => signal::run(context, args),
        Verb::Exec(args) => exec::run(context, args),
        Verb::Data(args) => data::run(context, args),
        Verb::Cleanup(args) => cleanup::run(context, &args),
        Verb::Certs(args) => certs::run(context, args),
        Verb::Bans(BansArgs { verb: None }) => bans::list(context),
        Verb::Bans(BansArgs { verb: Some(BansVerb::Add(args)) }) => bans::add(context, args),
        Verb::Bans(BansArgs { verb: Some(BansVerb::Lift(args)) }) => bans::lift(context, &args),
        Verb::Metrics => metrics::run(context),
        Verb::HashPassword => hash_password::run(context),
        Verb::Import(args) => import::run(context, &args.verb),
        Verb::Install(args) => install::run(context, &args),
        Verb::Upgrade(args) => upgrade::run(context, args),
        Verb::Version => version::run(context),
        Verb::Completions(args) => completions::run(args.shell),
        Verb::Compose(args) => compose::run(context, args.words),
        Verb::Keeper(args) => keeper::run(context, &args),
        Verb::Edge(args) => edge::run(args),
        Verb::Service(args) => service::run(&args),
    }
}
