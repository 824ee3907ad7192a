//! `mainstay stop`: a whole stack, in reverse order of `needs`, or some of its apps. The last stack's end is the keeper's,
//! unless a service manager started that.

use super::{check, restart};
use crate::client::{CallError, Client};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::remains::Remains;
use crate::target;
use crate::ui::Progress;
use crate::ui::words::count;
use crate::wait::{self, Tracker, Verdict};
use keeper::home::Home;
use std::time::{Duration, Instant};

/// Longest time a keeper without stacks takes to end.
const KEEPER_ENDS: Duration = Duration::from_secs(30);
/// Longest time everything takes to end, one after the other.
const EVERYTHING_ENDS: Duration = Duration::from_secs(15 * 60);

/// Stops and waits. That nothing runs is no failure.
pub fn run(context: &Context, names: &[String]) -> Result<(), Failure> {
    let Some((home, client)) = context.find_keeper() else {
        if context.left().is_some() {
            // only a keeper can end them in order
            return context.keeper().map(|_| ());
        }
        for home in
            context.homes().iter().filter(|home| home.is_dir()).filter_map(|home| Home::open(home).ok())
        {
            Remains::note(&home, |_, _| true).none()?;
        }
        restart::say(context, &[]);
        return Ok(());
    };
    if !names.is_empty() {
        return some(context, &home, &client, names);
    }
    let before = client.status()?;
    let ends = !before.keeper.managed; // else the service manager says when
    if before.stacks.is_empty() {
        if ends {
            end_keeper(&client, before.keeper.pid)?;
        }
        restart::say(context, &[]);
        return Ok(());
    }
    let stack = target::stack(context, &before)?;
    let progress = Progress::new(context);
    progress.now(format!("stopping {}", stack.name));
    let containers = Remains::note(&home, |of, _| of == stack.name);
    client.delete_stack(&stack.name)?;
    let mut tracker =
        Tracker::new(context).known(Some(stack)).stops(check::known(context, &stack.name).as_ref());
    let gone = wait::until(&client, &stack.name, &progress, &mut tracker, |now| match now {
        Some(_) => Verdict::Wait,
        None => Verdict::Done,
    });
    match gone {
        Ok(Verdict::Failed(reason)) => {
            return Err(Failure::new(Code::Unclean, format!("{} does not stop: {reason}", stack.name))
                .next("mainstay status"));
        }
        // `up` ends when its stack does
        Ok(_) | Err(CallError::Gone) => (),
        Err(error) => return Err(error.into()),
    }
    let is_last = ends && before.stacks.len() == 1;
    if is_last {
        end_keeper(&client, before.keeper.pid)?;
    }
    let gone = containers.gone(!is_last);
    progress.finish();
    gone?;
    restart::say(context, &[format!("{}: stopped", stack.name)]);
    Ok(())
}

fn some(context: &Context, home: &Home, client: &Client, names: &[String]) -> Result<(), Failure> {
    let before = client.status()?;
    let asked = restart::with_runs(target::apps(context, &before, names)?, &before);
    let wanted =
        |stack: &str, app: &str| asked.iter().any(|(target, _)| target.stack == stack && target.app == app);
    let containers = Remains::note(home, wanted);
    for (target, _) in &asked {
        client.app(&target.stack, &target.app, "stop")?;
    }
    restart::settle(context, client, &before, &asked, "stop")?;
    containers.gone(true)?;
    restart::report(context, client, &before, &asked, "stop")
}

/// Stops every stack in order and ends the keeper; what is wanted stays wanted, and comes back with the next keeper.
pub fn everything(context: &Context) -> Result<(), Failure> {
    let Some((home, client)) = context.find_keeper() else { return run(context, &[]) };
    let status = client.status()?;
    let names: Vec<String> = status.stacks.iter().map(|stack| format!("{}: stopped", stack.name)).collect();
    let progress = Progress::new(context);
    progress.now(format!("stopping {}", count(names.len(), "stack")));
    let containers = Remains::note(&home, |_, _| true);
    match client.shutdown() {
        Ok(()) | Err(CallError::Gone | CallError::Broken(_)) => (),
        Err(error) => return Err(error.into()),
    }
    wait_for_end(status.keeper.pid, EVERYTHING_ENDS)?;
    let gone = containers.gone(false);
    progress.finish();
    gone?;
    restart::say(context, &names);
    Ok(())
}

/// Ends a keeper that has no stack left, unless somebody gave it one meanwhile, and waits until its process is gone.
fn end_keeper(client: &Client, pid: u32) -> Result<(), Failure> {
    match client.status() {
        Ok(status) if status.stacks.is_empty() => (),
        Ok(_) => return Ok(()),
        Err(CallError::Gone) => return wait_for_end(pid, KEEPER_ENDS),
        Err(error) => return Err(error.into()),
    }
    match client.shutdown() {
        // it may end before its answer is through
        Ok(()) | Err(CallError::Gone | CallError::Broken(_)) => (),
        Err(error) => return Err(error.into()),
    }
    wait_for_end(pid, KEEPER_ENDS)
}

fn wait_for_end(pid: u32, limit: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    // a zombie has ended: its parent's business
    while sys::proc::stat(pid).is_some_and(|process| process.state != 'Z') {
        if begun.elapsed() > limit {
            return Err(
                Failure::new(Code::Unclean, "the keeper does not end").next("mainstay status shows its pid")
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
