//! `mainstay exec NAME -- COMMAND`: a command beside an instance, as whom that runs, with its environment, folder, network, mounts and
//! control groups. Of a native app this process *becomes* the command: input, output, signals, terminal and exit status are its own. In a
//! container the engine runs it, and what it reads and writes goes through here.

use crate::args::ExecArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target::{self, Target};
use containers::attach::{self, Attach};
use keeper::api::{ExecPlace, ExecRequest};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use sys::process::{Credentials, Inside, Spawn};
use sys::user::User;

/// Runs it; ends this process with its exit status.
pub fn run(context: &Context, args: ExecArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let status = client.status()?;
    let (name, slot) = instance(&args.name);
    let targets = target::apps(context, &status, &[name.to_owned()])?;
    let Some(Target { stack, app }) = targets.into_iter().next() else { return Ok(()) };
    let place = client.exec(&stack, &app, &ExecRequest { slot })?;
    if place.container.is_some() {
        let status = inside(&place, &args)?;
        std::process::exit(status);
    }
    let groups = sys::cgroup::Host::look().group_of(place.pid, &place.group).doors()?;
    let held = |error: io::Error| Failure::new(Code::Unclean, format!("{} has ended: {error}", place.label));
    let of = sys::process::pidfd(place.pid).map_err(held)?;
    let mut words = args.command.into_iter();
    let mut spawn = Spawn::new(words.next().unwrap_or_default());
    spawn.args = words.collect();
    spawn.env = environment(place.env, args.env);
    spawn.dir = Some(args.workdir.unwrap_or(place.dir));
    spawn.credentials = credentials(place.user, args.user.as_deref())?;
    spawn.groups = groups;
    spawn.inside = Inside { of: sys::proc::has_own_view(place.pid).then_some(of), ..Inside::default() };
    spawn.no_new_privileges = sys::proc::no_new_privileges(place.pid);
    Err(Failure::new(Code::Unclean, spawn.replace().to_string()).next(format!("mainstay logs {}", args.name)))
}

/// `app.slot`, if it ends like one.
fn instance(name: &str) -> (&str, Option<u32>) {
    let slot = name.rsplit_once('.').and_then(|(app, slot)| Some((app, slot.parse().ok()?)));
    slot.map_or((name, None), |(app, slot)| (app, Some(slot)))
}

/// The later of two of the same name wins.
fn environment(of: Vec<(String, String)>, more: Vec<(String, String)>) -> Vec<(OsString, OsString)> {
    let terminal = std::env::var("TERM").ok().filter(|_| io::stdout().is_terminal());
    let terminal = terminal.map(|name| ("TERM".to_owned(), name));
    let all = terminal.into_iter().chain(of).chain(more);
    all.map(|(name, value)| (name.into(), value.into())).collect()
}

/// Whom it runs as; none: as who asks.
fn credentials(
    of: Option<(u32, u32, Vec<u32>)>,
    asked: Option<&str>,
) -> Result<Option<Credentials>, Failure> {
    let Some(name) = asked else {
        return Ok(of.map(|(uid, gid, groups)| Credentials { uid, gid, groups }));
    };
    let known = name.parse().ok().and_then(sys::user::by_uid).or_else(|| sys::user::lookup(name));
    let Some(User { name, uid, gid, .. }) = known else {
        return Err(Failure::new(Code::Usage, format!("there is no user {name} on this host")));
    };
    if uid != sys::user::uid() && !sys::user::is_root() {
        return Err(Failure::new(Code::Usage, format!("only root can run a command as {name}")));
    }
    Ok(Some(Credentials { uid, gid, groups: sys::user::groups(&name, gid) }))
}

/// In a container.
fn inside(place: &ExecPlace, args: &ExecArgs) -> Result<i32, Failure> {
    let wrong = |cause: String| Failure::new(Code::Unclean, format!("{}: {cause}", place.label));
    let words: Option<Vec<String>> =
        args.command.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    let command = words.ok_or_else(|| wrong("the command is no text".to_owned()))?;
    let attach = Attach {
        command,
        env: args.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        user: args.user.clone(),
        dir: args.workdir.as_ref().map(|dir| dir.display().to_string()),
        tty: !args.no_tty && io::stdin().is_terminal() && io::stdout().is_terminal(),
    };
    let file = place.container.as_deref().unwrap_or_else(|| "".as_ref());
    attach::run(file, attach).map_err(wrong)
}
