//! Watching a change until it is done: a look at `status` every tenth of a second, a line for everything that happened in
//! between.

use crate::client::{CallError, Client};
use crate::error::{Code, Failure};
use crate::logs;
pub use crate::tracker::Tracker;
use crate::ui::{Progress, words};
use keeper::api::{AppStatus, StackStatus, Status, Transition};
use keeper::home::Home;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait of all. What an app may take is the keeper's to say; this ends the wait on a keeper that does nothing.
const LONGEST: Duration = Duration::from_secs(900);

/// Last lines that an app shows which did not become healthy.
const LAST_LINES: usize = 30;

/// What a look amounts to.
#[derive(Debug)]
pub enum Verdict {
    /// Look again.
    Wait,
    /// It is done.
    Done,
    /// It will not be done, because of this.
    Failed(String),
}

/// Looks until the verdict falls. `stack` is gone from the status: `judge` gets none.
pub fn until(
    client: &Client,
    stack: &str,
    progress: &Progress,
    tracker: &mut Tracker,
    mut judge: impl FnMut(Option<&StackStatus>) -> Verdict,
) -> Result<Verdict, CallError> {
    let mut begun = Instant::now();
    loop {
        let status = client.status()?;
        let now = find(&status, stack);
        if let Some(now) = now {
            tracker.news(now).iter().for_each(|news| progress.line(&news.text));
            progress.now(moving(now));
            if now.apps.iter().any(|app| app.build.is_some()) {
                begun = Instant::now(); // its own timeout ends it
            }
        }
        match judge(now) {
            Verdict::Wait if begun.elapsed() > LONGEST => {
                return Ok(Verdict::Failed(format!("nothing happened for {}", words::duration(LONGEST))));
            }
            Verdict::Wait => std::thread::sleep(LOOK),
            verdict => {
                tracker.finish().iter().filter(|_| now.is_none()).for_each(|news| progress.line(&news.text));
                return Ok(verdict);
            }
        }
    }
}

/// What the moving line says of a stack: what it is building, else its state.
pub fn moving(stack: &StackStatus) -> String {
    let build = stack.apps.iter().find_map(|app| Some((app, app.build.as_ref()?)));
    let Some((app, build)) = build else { return format!("{} {}", stack.name, stack.state) };
    let time = words::duration(Duration::from_millis(build.elapsed_ms));
    let line: String = logs::printable(&build.line, false).chars().take(60).collect();
    format!("{}: step {} of {}, {time}  {line}", app.name, build.step, build.steps).trim_end().to_owned()
}

/// Now, to the millisecond: as exact as times in the history are.
pub fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The stack of this name.
pub fn find<'a>(status: &'a Status, name: &str) -> Option<&'a StackStatus> {
    status.stacks.iter().find(|stack| stack.name == name)
}

/// For a stack that was not there before: it is ready, or an instance that was started since `begun` ended or turned
/// unhealthy before it was ready. The keeper may still be trying; whoever waits at a terminal wants to know at the first failure.
pub fn first_start(stack: &StackStatus, begun: jiff::Timestamp) -> Verdict {
    // A program that did its work has ended too, and well.
    for app in stack.apps.iter().filter(|app| app.ready < app.wanted && app.state != "done") {
        let failed =
            if app.state == "failed" { Some(None) } else { failed_since(&app.history, begun).map(Some) };
        if let Some(transition) = failed {
            let reason = app.reason.as_deref().unwrap_or("no reason is known");
            // how it ended says more than what is done about it; the last lines of output follow in any case
            let (now, lines) = reason.split_once('\n').unwrap_or((reason, ""));
            let cause = transition.map_or(now, |transition| &transition.reason);
            return Verdict::Failed(format!("{}\n{lines}", unwell(&app.name, cause)));
        }
    }
    match stack.state.as_str() {
        "ready" => Verdict::Done,
        "failed" => Verdict::Failed(format!("{} did not become healthy", stack.name)),
        _ => Verdict::Wait,
    }
}

/// The first bad end of a start since then, before readiness. What former runs did is not counted: their end may be noted late.
fn failed_since(history: &[Transition], begun: jiff::Timestamp) -> Option<&Transition> {
    let mut starting = BTreeSet::new();
    let since = |it: &&Transition| it.at.parse::<jiff::Timestamp>().is_ok_and(|at| at >= begun);
    history.iter().filter(since).find(|it| match it.state.as_str() {
        "starting" => {
            starting.insert(&it.instance);
            false
        }
        "ready" => {
            starting.remove(&it.instance);
            false
        }
        "ended" | "failed" | "unhealthy" => starting.contains(&it.instance),
        _ => false,
    })
}

/// For a change of a stack that runs: committed and at rest again, or dropped.
pub fn changed(stack: &StackStatus, revision: u64) -> Verdict {
    let Some(change) = stack.change.as_ref().filter(|change| change.revision >= revision) else {
        return if stack.revision >= revision { at_rest(stack) } else { Verdict::Wait };
    };
    match change.state.as_str() {
        "dropped" => {
            Verdict::Failed(change.reason.clone().unwrap_or_else(|| "the change was dropped".into()))
        }
        "committed" => at_rest(stack),
        _ => Verdict::Wait,
    }
}

/// Nothing starts, drains or stops any more.
pub fn at_rest(stack: &StackStatus) -> Verdict {
    let failed = stack.apps.iter().find(|app| app.state == "failed");
    if let Some(app) = failed {
        let reason = app.reason.clone().unwrap_or_default();
        let of_build = reason.starts_with("build of ");
        return Verdict::Failed(if of_build { reason } else { format!("{} failed: {reason}", app.name) });
    }
    let rests = |state: &str| {
        matches!(state, "ready" | "unhealthy" | "ended" | "stopped" | "asleep" | "degraded" | "done")
    };
    let still = |app: &AppStatus| rests(&app.state) && app.instances.iter().all(|i| rests(&i.state));
    if stack.apps.iter().all(still) { Verdict::Done } else { Verdict::Wait }
}

/// That something did not become healthy, and why, in one sentence: the reason may say the same of itself.
pub fn unwell(name: &str, reason: &str) -> String {
    if reason.starts_with("build of ") {
        return reason.to_owned();
    }
    match reason.strip_prefix("did not become ready: ") {
        Some(rest) if rest.starts_with("within ") => format!("{name} did not become ready {rest}"),
        Some(rest) => format!("{name} did not become ready: {rest}"),
        None => format!("{name} did not become healthy: {reason}"),
    }
}

/// "Did not become healthy", from a reason whose first line is the cause and whose others are last lines of output.
pub fn unhealthy(reason: &str) -> Failure {
    let (cause, lines) = reason.split_once('\n').unwrap_or((reason, ""));
    let lines: Vec<&str> = lines.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    Failure::new(Code::Unhealthy, cause).detail(lines.join("\n"))
}

/// The same for a stack at its first start; where the reason has no lines of output, the last ones of every app that is not
/// ready.
pub fn not_started(home: &Home, stack: &StackStatus, reason: &str) -> Failure {
    let failure = unhealthy(reason);
    if !failure.detail.is_empty() {
        return failure;
    }
    let apps = stack.apps.iter().filter(|app| app.ready < app.wanted);
    let lines = apps.flat_map(|app| logs::last_lines(home, &stack.name, &app.name, LAST_LINES));
    failure.detail(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(lines: &[(&str, &str, &str)]) -> Vec<Transition> {
        let transition = |(at, instance, state): &(&str, &str, &str)| Transition {
            at: format!("2026-11-21T08:00:{at}Z"),
            instance: (*instance).into(),
            state: (*state).into(),
            reason: format!("{state} at {at}"),
        };
        lines.iter().map(transition).collect()
    }

    #[test]
    fn what_happened_is_said_once() {
        let slow = "did not become ready: within 3s: connecting to 127.0.0.1:1: refused";
        let said = "web did not become ready within 3s: connecting to 127.0.0.1:1: refused";
        assert_eq!(unwell("web", slow), said);
        assert_eq!(unwell("web", "exited with status 7"), "web did not become healthy: exited with status 7");
    }

    #[test]
    fn only_starts_of_this_time_count() {
        let begun = "2026-11-21T08:00:10Z".parse().unwrap();
        let former =
            history(&[("01", "web.1", "starting"), ("02", "web.1", "ended"), ("11", "web.1", "ended")]);
        assert!(failed_since(&former, begun).is_none());
        let well =
            history(&[("11", "web.1", "starting"), ("12", "web.1", "ready"), ("13", "web.1", "ended")]);
        assert!(failed_since(&well, begun).is_none());
        let failed =
            history(&[("11", "web.1", "starting"), ("12", "web.2", "ended"), ("13", "web.1", "ended")]);
        assert_eq!(failed_since(&failed, begun).unwrap().reason, "ended at 13");
    }
}
