//! `mainstay start`: a stack in the background, under the host's keeper, which is started if it does not live. Or apps of
//! a running stack that were stopped.

use super::certs;
use super::check;
use super::{restart, scale};
use crate::args::StartArgs;
use crate::client::Client;
use crate::context::{self, Context};
use crate::error::{Code, Failure};
use crate::exe;
use crate::left::Left;
use crate::ui::Progress;
use crate::ui::words::count;
use crate::wait::{self, Tracker, Verdict};
use keeper::api::{StackRequest, StackStatus};
use keeper::home::Home;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::process::{Exit, Spawn};

/// Longest time a new keeper takes to answer. It takes milliseconds; this is for a host that swaps.
const KEEPER_ANSWERS: Duration = Duration::from_secs(20);

/// Starts and waits until all is ready.
pub fn run(context: &Context, args: StartArgs) -> Result<(), Failure> {
    if !args.names.is_empty() {
        let (_, client) = context.keeper()?;
        let verb = if args.raise.force_recreate { "restart" } else { "start" };
        restart::act(context, &client, &args.names, verb)?;
        return scaled(context, args.raise.scale);
    }
    let manifest = context.existing_manifest()?;
    let loaded = check::load(context)?;
    check::warn_briefly(context, &loaded.warnings);
    let name = loaded.spec.name.to_string();
    let home = Home::open(&context.background_home())?;
    // a new keeper takes over what a dead one left
    let left = Left::in_home(home.path());
    let took_over = if context::connect(home.path()).is_some() { 0 } else { left.instances };
    let client = keeper_of(&home)?;
    let before = client.status()?;
    let former = wait::find(&before, &name);
    let begun = wait::now();
    let accepted = client
        .put_stack(&StackRequest {
            manifest,
            compose: context.compose().clone(),
            http: args.http,
            https: args.https,
            pull: args.pull,
            overcommit: args.overcommit,
        })
        .map_err(|error| check::one_by_one(context, error.into()))?;
    let progress = Progress::new(context);
    let mut tracker = Tracker::new(context).known(former);
    let verdict = wait::until(&client, &name, &progress, &mut tracker, |stack| match (stack, former) {
        (None, _) => Verdict::Wait,
        (Some(now), None) => wait::first_start(now, begun),
        (Some(now), Some(_)) if accepted.changes.is_empty() => wait::first_start(now, begun),
        (Some(now), Some(_)) => wait::changed(now, accepted.revision),
    })?;
    progress.finish();
    if let Verdict::Failed(reason) = verdict {
        let after = client.status()?;
        let stack = wait::find(&after, &name);
        let failure =
            stack.map_or_else(|| wait::unhealthy(&reason), |stack| wait::not_started(&home, stack, &reason));
        return Err(failure.next("it is tried again: mainstay status, mainstay logs; mainstay stop ends it"));
    }
    let after = client.status()?;
    let now = wait::find(&after, &name)
        .ok_or_else(|| Failure::new(Code::Unclean, format!("{name} was stopped")))?;
    let certificates = certs::tell_at_end(context, &client, &name, certs::A_MOMENT)?;
    if let Some(wait) = args.wait_dns {
        certs::until_all_had(context, &client, &name, wait)?;
    }
    report(context, now, former.is_some() && accepted.changes.is_empty(), took_over, &certificates);
    // what was not there before, or not at all the same, is fresh
    if args.raise.force_recreate && former.is_some() {
        restart::run(context, &[])?;
    }
    scaled(context, args.raise.scale)
}

fn scaled(context: &Context, numbers: Vec<(String, Option<u32>)>) -> Result<(), Failure> {
    if numbers.is_empty() { Ok(()) } else { scale::run(context, numbers) }
}

fn report(context: &Context, stack: &StackStatus, unchanged: bool, took_over: usize, certificates: &Value) {
    if context.json {
        println!(
            "{}",
            json!({
                "stack": stack.name, "urls": stack.urls, "changed": !unchanged, "took_over": took_over,
                "certificates": certificates,
            })
        );
        return;
    }
    if took_over > 0 {
        println!("a new keeper took over {}", count(took_over, "running instance"));
    } else if unchanged {
        println!("no change");
    }
    println!("{} is up: {}", context.style().bold(&stack.name), stack.urls.join("  "));
    if !unchanged {
        println!("  mainstay status shows it, mainstay logs -f follows it, mainstay stop ends it");
    }
}

/// The keeper of this home, started if it does not live.
fn keeper_of(home: &Home) -> Result<Client, Failure> {
    if let Some((_, client)) = context::connect(home.path()) {
        return Ok(client);
    }
    std::fs::create_dir_all(home.logs())?;
    let log = sys::folder::append_to(&home.keeper_log(), 0o640)?;
    let mut spawn = Spawn::new(exe::path()?);
    spawn.args = vec!["keeper".into(), "--home".into(), home.path().into()];
    // it is not what a service manager has started
    let is_own = |name: &OsStr| sys::service_manager::VARIABLES.iter().any(|own| name == *own);
    spawn.env = std::env::vars_os().filter(|(name, _)| !is_own(name)).collect();
    // no folder is kept busy by a process that outlives this one
    spawn.dir = Some(PathBuf::from("/"));
    spawn.stdout = Some(log.try_clone()?.into());
    spawn.stderr = Some(log.into());
    let child = spawn
        .spawn()
        .map_err(|error| Failure::new(Code::Unclean, format!("cannot start the keeper: {error}")))?;
    let client = Client::new(home.control_socket());
    let begun = Instant::now();
    while !client.is_alive() {
        match sys::process::try_wait(child) {
            // another `start` may have been faster: then its keeper holds the lock and answers soon
            Ok(Some(Exit::Code(5))) | Ok(None) if begun.elapsed() < KEEPER_ANSWERS => (),
            ended => return Err(no_keeper(home, &ended)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(client)
}

fn no_keeper(home: &Home, ended: &std::io::Result<Option<Exit>>) -> Failure {
    let log = std::fs::read_to_string(home.keeper_log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(10).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    let cause = match ended {
        Ok(Some(Exit::Code(code))) => format!("the keeper ended with exit code {code}"),
        Ok(Some(Exit::Signal(signal))) => format!("the keeper was ended by {}", sys::signal::name(*signal)),
        _ => format!("the keeper does not answer after {} s", KEEPER_ANSWERS.as_secs()),
    };
    Failure::new(Code::Unclean, cause)
        .detail(lines.join("\n"))
        .next(format!("see {}", home.keeper_log().display()))
}
