//! `mainstay reload`: the manifest is read again; only what it changed is touched, and a change that does not become healthy
//! is dropped while the former state serves on.

use super::certs;
use super::check;
use super::restart::say;
use crate::args::ReloadArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target;
use crate::ui::Progress;
use crate::wait::{self, Tracker, Verdict};
use keeper::api::ReloadRequest;

/// Reloads and waits; with `--dry-run` only says what would change.
pub fn run(context: &Context, args: &ReloadArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let before = client.status()?;
    let stack = target::stack(context, &before)?;
    let accepted = client
        .reload(
            &stack.name,
            &ReloadRequest {
                dry_run: args.dry_run,
                compose: context.asked(),
                pull: args.pull,
                overcommit: args.overcommit,
            },
        )
        .map_err(|error| check::one_by_one(context, error.into()))?;
    if args.dry_run || accepted.changes.is_empty() {
        say(context, &accepted.changes);
        return Ok(());
    }
    let progress = Progress::new(context);
    let mut tracker =
        Tracker::new(context).known(Some(stack)).stops(check::known(context, &stack.name).as_ref());
    let verdict = wait::until(&client, &stack.name, &progress, &mut tracker, |now| match now {
        Some(now) => wait::changed(now, accepted.revision),
        None => Verdict::Failed("the stack was stopped meanwhile".into()),
    })?;
    progress.finish();
    match verdict {
        Verdict::Failed(reason) => {
            let failure = wait::unhealthy(&reason)
                .next("put it right and reload again; mainstay status shows what serves");
            let cause =
                format!("the change was dropped, revision {} serves on: {}", stack.revision, failure.cause);
            Err(Failure { cause, code: Code::Unhealthy, ..failure })
        }
        _ => {
            certs::tell_at_end(context, &client, &stack.name, certs::A_MOMENT)?;
            say(context, &accepted.changes);
            Ok(())
        }
    }
}
