//! `mainstay restart [NAME…]`: new instances of apps and services whose manifest did not change. Requests under way end in peace.

use super::check;
use crate::client::Client;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target::{self, Target};
use crate::ui::Progress;
use crate::wait::{self, Tracker, Verdict};
use keeper::api::{AppStatus, Status};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Restarts and waits.
pub fn run(context: &Context, names: &[String]) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    if !names.is_empty() {
        return act(context, &client, names, "restart");
    }
    let before = client.status()?;
    let asked = with_runs(target::running(context, &before)?, &before);
    // one call: the keeper has each wait for what it needs
    if let Some((first, _)) = asked.first() {
        client.restart(&first.stack)?;
    }
    watch(context, &client, &before, &asked, "restart")
}

/// Does `start` or `restart` to apps and waits until it is done.
pub fn act(context: &Context, client: &Client, names: &[String], verb: &str) -> Result<(), Failure> {
    let before = client.status()?;
    let asked = with_runs(target::apps(context, &before, names)?, &before);
    for (target, _) in &asked {
        client.app(&target.stack, &target.app, verb)?;
    }
    watch(context, client, &before, &asked, verb)
}

/// An app, and the runs of it that there were before.
pub type Asked = (Target, BTreeSet<u64>);

/// Waits until it is done, and says what was.
fn watch(
    context: &Context,
    client: &Client,
    before: &Status,
    asked: &[Asked],
    verb: &str,
) -> Result<(), Failure> {
    settle(context, client, before, asked, verb)?;
    report(context, client, before, asked, verb)
}

/// Waits until it is done.
pub fn settle(
    context: &Context,
    client: &Client,
    before: &Status,
    asked: &[Asked],
    verb: &str,
) -> Result<(), Failure> {
    let progress = Progress::new(context);
    // one for each stack: what it told while it waited for one app is not told again for the next
    let mut trackers = BTreeMap::new();
    for (target, old) in asked {
        let tracker = trackers.entry(&target.stack).or_insert_with(|| {
            let known = Tracker::new(context).known(wait::find(before, &target.stack));
            known.stops(check::known(context, &target.stack).as_ref())
        });
        let verdict = wait::until(client, &target.stack, &progress, tracker, |stack| {
            let app = stack.and_then(|stack| stack.apps.iter().find(|app| app.name == target.app));
            app.map_or_else(
                || Verdict::Failed(format!("{} is gone", target.app)),
                |app| judge(app, old, verb),
            )
        })?;
        if let Verdict::Failed(reason) = verdict {
            progress.finish();
            return Err(wait::unhealthy(&reason).next(format!("mainstay logs {}", target.app)));
        }
    }
    progress.finish();
    Ok(())
}

/// Notes the runs that there are.
pub fn with_runs(targets: Vec<Target>, status: &Status) -> Vec<Asked> {
    let runs = |target: &Target| {
        target.find(status).iter().flat_map(|app| &app.instances).map(|instance| instance.run).collect()
    };
    targets.into_iter().map(|target| (target.clone(), runs(&target))).collect()
}

fn judge(app: &AppStatus, old: &BTreeSet<u64>, verb: &str) -> Verdict {
    let over = |state: &str| matches!(state, "ended" | "stopped" | "failed");
    if verb == "stop" {
        let stopped = app.instances.iter().all(|instance| over(&instance.state)) && over(&app.state);
        return if stopped { Verdict::Done } else { Verdict::Wait };
    }
    // "start" of an app that runs changes nothing; "restart" is done when every former run is gone
    let former = |run: &u64| verb == "restart" && old.contains(run);
    let bad = |state: &str| matches!(state, "ended" | "failed" | "unhealthy") && app.state != "done";
    if let Some(instance) = app.instances.iter().find(|i| !old.contains(&i.run) && bad(&i.state)) {
        let reason = app.reason.clone().or_else(|| instance.last_end.clone()).unwrap_or_default();
        return Verdict::Failed(wait::unwell(&instance.label, &reason));
    }
    if app.state == "failed" {
        return Verdict::Failed(format!("{} failed: {}", app.name, app.reason.clone().unwrap_or_default()));
    }
    let done = matches!(app.state.as_str(), "ready" | "done" | "asleep")
        && app.instances.iter().all(|i| i.state == "ready" && !former(&i.run));
    if done { Verdict::Done } else { Verdict::Wait }
}

/// Says what was done.
pub fn report(
    context: &Context,
    client: &Client,
    before: &Status,
    asked: &[Asked],
    verb: &str,
) -> Result<(), Failure> {
    let after = client.status()?;
    let mut changes = Vec::new();
    for (target, old) in asked {
        let app = target
            .find(&after)
            .ok_or_else(|| Failure::new(Code::Unclean, format!("{} is gone", target.app)))?;
        if verb == "stop" {
            // what had stopped before is no change
            if target.find(before).is_some_and(|app| app.state == "stopped" && app.instances.is_empty()) {
                continue;
            }
            changes.push(format!("{}: stopped", target.app));
            continue;
        }
        for instance in app.instances.iter().filter(|instance| !old.contains(&instance.run)) {
            let pid = instance.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
            changes.push(format!("{}: new process {pid}, ready", instance.label));
        }
    }
    say(context, &changes);
    Ok(())
}

/// What changed, a line each; "no change" when nothing did.
pub fn say(context: &Context, changes: &[String]) {
    if context.json {
        println!("{}", json!({ "changes": changes }));
    } else if changes.is_empty() {
        println!("no change");
    } else {
        changes.iter().for_each(|line| println!("{line}"));
    }
}
