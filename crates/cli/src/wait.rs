//! Watching a change until it is done: a look at `status` every tenth of a second, a line for everything that happened in
//! between.

use crate::client::{CallError, Client};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::logs;
use crate::ui::{Progress, Style, words};
use keeper::api::{AppStatus, InstanceStatus, StackStatus, Status, Transition};
use keeper::home::Home;
use std::collections::{BTreeSet, HashMap};
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

/// Tells what happens to a stack's instances, a line each.
#[derive(Debug)]
pub struct Tracker {
    style: Style,
    begun: Instant,
    seen: HashMap<String, (u64, String)>,
    waiting: HashMap<String, String>,
}

impl Tracker {
    /// Knows nothing yet: everything there is will be told.
    pub fn new(context: &Context) -> Self {
        Self {
            style: context.stderr_style(),
            begun: Instant::now(),
            seen: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Takes this for known.
    pub fn known(mut self, stack: Option<&StackStatus>) -> Self {
        for instance in stack.iter().flat_map(|stack| &stack.apps).flat_map(|app| &app.instances) {
            self.seen.insert(instance.label.clone(), (instance.run, instance.state.clone()));
        }
        self
    }

    /// What changed since the last look.
    pub fn news(&mut self, stack: &StackStatus) -> Vec<String> {
        let mut lines = Vec::new();
        for app in &stack.apps {
            let reason = app.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default();
            if app.state == "waiting" && self.waiting.insert(app.name.clone(), reason.to_owned()).is_none() {
                lines.push(format!("{} {} {reason}", self.style.yellow("·"), app.name));
            }
            for instance in &app.instances {
                let now = (instance.run, instance.state.clone());
                if self.seen.insert(instance.label.clone(), now.clone()).as_ref() != Some(&now) {
                    lines.push(self.line(&instance.label, &instance.state, &self.detail(app, instance)));
                }
            }
        }
        lines.extend(self.gone(stack));
        lines
    }

    /// Instances that are not there any more: stopped, or ended if their app is to run.
    fn gone(&mut self, stack: &StackStatus) -> Vec<String> {
        let there =
            |label: &String| stack.apps.iter().any(|app| app.instances.iter().any(|i| &i.label == label));
        let mut labels: Vec<String> = self.seen.keys().filter(|label| !there(label)).cloned().collect();
        labels.sort_unstable();
        let mut lines = Vec::new();
        for label in labels {
            let before = self.seen.remove(&label);
            let app = stack
                .apps
                .iter()
                .find(|app| label.rsplit_once('.').is_some_and(|(name, _)| name == app.name));
            let meant =
                before.is_some_and(|(_, state)| matches!(state.as_str(), "draining" | "stopping" | "ended"));
            lines.push(match app.and_then(|app| app.reason.as_deref()).filter(|_| !meant) {
                // the reason begins with the label as well
                Some(reason) => {
                    let reason = reason.lines().next().unwrap_or_default();
                    let named = reason.strip_prefix(label.as_str()).map_or(reason, str::trim_start);
                    self.line(&label, "ended", named)
                }
                None => self.line(&label, "stopped", ""),
            });
        }
        lines
    }

    fn detail(&self, app: &AppStatus, instance: &InstanceStatus) -> String {
        let first =
            |text: &Option<String>| text.as_deref().and_then(|text| text.lines().next()).map(str::to_owned);
        match instance.state.as_str() {
            "ready" => {
                let took = instance.uptime_ms.map_or_else(|| self.begun.elapsed(), Duration::from_millis);
                format!("in {}", words::duration(took.min(self.begun.elapsed())))
            }
            "ended" | "failed" => {
                first(&instance.last_end).or_else(|| first(&app.reason)).unwrap_or_default()
            }
            "unhealthy" => first(&app.reason).unwrap_or_default(),
            _ => String::new(),
        }
    }

    fn line(&self, label: &str, state: &str, detail: &str) -> String {
        let mark = match state {
            "ready" => "✓",
            "failed" | "unhealthy" | "ended" => "✗",
            _ => "·",
        };
        let mark = self.style.state(state, mark);
        // how it ended is a sentence of its own: "exited with status 1"
        if state == "ended" && !detail.is_empty() {
            return format!("{mark} {label} {detail}");
        }
        format!("{mark} {label} {state} {detail}").trim_end().to_owned()
    }
}

/// Looks until the verdict falls. `stack` is gone from the status: `judge` gets none.
pub fn until(
    client: &Client,
    stack: &str,
    progress: &Progress,
    tracker: &mut Tracker,
    mut judge: impl FnMut(Option<&StackStatus>) -> Verdict,
) -> Result<Verdict, CallError> {
    let begun = Instant::now();
    loop {
        let status = client.status()?;
        let now = find(&status, stack);
        if let Some(now) = now {
            tracker.news(now).iter().for_each(|line| progress.line(line));
            progress.now(format!("{stack} {}", now.state));
        }
        match judge(now) {
            Verdict::Wait if begun.elapsed() > LONGEST => {
                return Ok(Verdict::Failed(format!("nothing happened for {}", words::duration(LONGEST))));
            }
            Verdict::Wait => std::thread::sleep(LOOK),
            verdict => return Ok(verdict),
        }
    }
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
    for app in stack.apps.iter().filter(|app| app.ready < app.wanted) {
        let failed =
            if app.state == "failed" { Some(None) } else { failed_since(&app.history, begun).map(Some) };
        if let Some(transition) = failed {
            let reason = app.reason.as_deref().unwrap_or("no reason is known");
            // how it ended says more than what is done about it; the last lines of output follow in any case
            let (now, lines) = reason.split_once('\n').unwrap_or((reason, ""));
            let cause = transition.map_or(now, |transition| &transition.reason);
            let reason = format!("{cause}\n{lines}");
            return Verdict::Failed(format!("{} did not become healthy: {reason}", app.name));
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
        return Verdict::Failed(format!("{} failed: {reason}", app.name));
    }
    let rests = |state: &str| matches!(state, "ready" | "unhealthy" | "ended" | "stopped" | "degraded");
    let still = |app: &AppStatus| rests(&app.state) && app.instances.iter().all(|i| rests(&i.state));
    if stack.apps.iter().all(still) { Verdict::Done } else { Verdict::Wait }
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
