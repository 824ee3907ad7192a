//! What happens to a stack's instances, told from one look at its status to the next: a line for people, an event for
//! programs. An instance that does not end when told to is told about twice: that SIGKILL comes, and that it came.

use crate::context::Context;
use crate::logs::printable;
use crate::ui::{Style, words};
use keeper::api::{AppStatus, InstanceStatus, StackStatus};
use manifest::StackSpec;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Time after which a stop is slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells what happens to a stack's instances, a line each.
#[derive(Debug)]
pub struct Tracker {
    style: Style,
    begun: Instant,
    seen: HashMap<String, (u64, String)>,
    waiting: HashMap<String, String>,
    /// Builds under way, by app: the step, and since when.
    building: HashMap<String, (usize, Instant)>,
    /// Time from the stop signal to SIGKILL, by app.
    stops: HashMap<String, Duration>,
    /// Instances that were told to stop, since when, and whether their delay was told.
    stopping: HashMap<String, (Instant, bool)>,
}

/// Something that happened.
#[derive(Debug)]
pub struct News {
    /// A line for people.
    pub text: String,
    /// For programs: `event` (the new state), `instance`, `detail`.
    pub event: Value,
}

impl Tracker {
    /// Knows nothing yet: everything there is will be told.
    pub fn new(context: &Context) -> Self {
        Self {
            style: context.stderr_style(),
            begun: Instant::now(),
            seen: HashMap::new(),
            waiting: HashMap::new(),
            building: HashMap::new(),
            stops: HashMap::new(),
            stopping: HashMap::new(),
        }
    }

    /// Takes this for known.
    pub fn known(mut self, stack: Option<&StackStatus>) -> Self {
        for instance in stack.iter().flat_map(|stack| &stack.apps).flat_map(|app| &app.instances) {
            self.seen.insert(instance.label.clone(), (instance.run, instance.state.clone()));
        }
        self
    }

    /// Knows how long apps may take to stop.
    pub fn stops(mut self, spec: Option<&StackSpec>) -> Self {
        let apps = spec.iter().flat_map(|spec| &spec.apps).map(|(name, app)| (name, &app.stop));
        let services = spec.iter().flat_map(|spec| &spec.services).map(|(name, it)| (name, &it.stop));
        self.stops = apps.chain(services).map(|(name, stop)| (name.to_string(), stop.timeout)).collect();
        self
    }

    /// What changed since the last look.
    pub fn news(&mut self, stack: &StackStatus) -> Vec<News> {
        let mut lines = Vec::new();
        for app in &stack.apps {
            let reason = app.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default();
            if app.state == "waiting" && self.waiting.insert(app.name.clone(), reason.to_owned()).is_none() {
                lines.push(self.line(&app.name, "waiting", reason));
            }
            let dropped = stack.change.as_ref().is_some_and(|change| change.state == "dropped");
            lines.extend(self.build(app, dropped));
            for instance in &app.instances {
                let now = (instance.run, instance.state.clone());
                if self.seen.insert(instance.label.clone(), now.clone()).as_ref() != Some(&now) {
                    lines.push(self.line(&instance.label, &instance.state, &self.detail(app, instance)));
                }
                if instance.state == "stopping" {
                    lines.extend(self.slow(&app.name, &instance.label));
                } else if instance.state == "ended" {
                    lines.extend(self.killed(&instance.label));
                }
            }
        }
        lines.extend(self.gone(stack));
        lines
    }

    /// A build's next step, and its end. `dropped`: the change that it was for is given up, for its sake perhaps.
    fn build(&mut self, app: &AppStatus, dropped: bool) -> Option<News> {
        let Some(build) = &app.build else {
            let (_, since) = self.building.remove(&app.name)?;
            let took = words::duration(since.elapsed());
            return (app.state != "failed" && !dropped)
                .then(|| self.line(&app.name, "built", &format!("in {took}")));
        };
        let (step, _) = self.building.entry(app.name.clone()).or_insert((0, Instant::now()));
        if *step == build.step {
            return None;
        }
        *step = build.step;
        let detail = format!("step {} of {}: {}", build.step, build.steps, printable(&build.command, false));
        Some(self.line(&app.name, "building", &detail))
    }

    /// An instance that takes its time to stop: what will happen to it.
    fn slow(&mut self, app: &str, label: &str) -> Option<News> {
        let (since, told) = self.stopping.entry(label.to_owned()).or_insert((Instant::now(), false));
        let left = self.stops.get(app)?.checked_sub(since.elapsed())?;
        if *told || since.elapsed() < PATIENCE {
            return None;
        }
        *told = true;
        let detail = format!("still runs, SIGKILL in {}", words::duration(left));
        Some(self.line(label, "slow", &detail))
    }

    /// Whether it was SIGKILL that ended an instance which was told to stop.
    fn killed(&mut self, label: &str) -> Option<News> {
        let (since, _) = self.stopping.remove(label)?;
        let (app, _) = label.rsplit_once('.')?;
        // looks are a little late; below a second nothing can be told from them
        let limit = *self.stops.get(app).filter(|limit| **limit >= Duration::from_secs(1))?;
        let late = since.elapsed() + Duration::from_millis(200) >= limit;
        let detail = format!("was killed: it did not end within {}", words::duration(limit));
        late.then(|| self.line(label, "killed", &detail))
    }

    /// After the last look: what ended since.
    pub fn finish(&mut self) -> Vec<News> {
        let mut labels: Vec<String> = self.stopping.keys().cloned().collect();
        labels.sort_unstable();
        labels.iter().filter_map(|label| self.killed(label)).collect()
    }

    /// Instances that are not there any more: stopped, or ended if their app is to run.
    fn gone(&mut self, stack: &StackStatus) -> Vec<News> {
        let there =
            |label: &String| stack.apps.iter().any(|app| app.instances.iter().any(|i| &i.label == label));
        let mut labels: Vec<String> = self.seen.keys().filter(|label| !there(label)).cloned().collect();
        labels.sort_unstable();
        let mut lines = Vec::new();
        for label in labels {
            let before = self.seen.remove(&label);
            if let Some(killed) = self.killed(&label) {
                lines.push(killed);
                continue;
            }
            let app = stack
                .apps
                .iter()
                .find(|app| label.rsplit_once('.').is_some_and(|(name, _)| name == app.name));
            let meant =
                before.is_some_and(|(_, state)| matches!(state.as_str(), "draining" | "stopping" | "ended"));
            lines.push(match app.and_then(|app| app.reason.as_deref()).filter(|_| !meant) {
                Some(reason) => {
                    let reason = reason.lines().next().unwrap_or_default();
                    self.line(&label, "ended", own_words(reason, &label))
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

    fn line(&self, label: &str, state: &str, detail: &str) -> News {
        let (mark, colour) = match state {
            "ready" => ("✓", state),
            "failed" | "unhealthy" | "ended" => ("✗", state),
            "killed" => ("✗", "failed"),
            _ => ("·", state),
        };
        let mark = self.style.state(colour, mark);
        let shown = printable(detail, false);
        // these are sentences of their own: "exited with status 1"
        let sentence = matches!(state, "ended" | "waiting" | "slow" | "killed") && !detail.is_empty();
        let text = match sentence {
            true => format!("{mark} {label} {shown}").replace("ready: within", "ready within"),
            false => format!("{mark} {label} {state} {shown}").trim_end().to_owned(),
        };
        News { text, event: json!({ "event": state, "instance": label, "detail": detail }) }
    }
}

/// What an app's reason, which begins with the label of the instance that it is about, says of this one: nothing if it is about another.
fn own_words<'r>(reason: &'r str, label: &str) -> &'r str {
    let app = label.rsplit_once('.').map_or(label, |(app, _)| app);
    match reason.split_once(' ') {
        Some((about, words)) if about == label => words.trim_start(),
        Some((about, _)) if about.rsplit_once('.').is_some_and(|(name, _)| name == app) => "",
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // "✗ web.1 web.2 exited with status 7" was what `scale` said.
    #[test]
    fn an_instance_is_not_told_what_happened_to_another_one() {
        assert_eq!(own_words("web.1 exited with status 7", "web.1"), "exited with status 7");
        assert_eq!(own_words("web.2 exited with status 7", "web.1"), "");
        assert_eq!(own_words("web.11 exited with status 7", "web.1"), "");
        assert_eq!(own_words("python3 is not found", "web.1"), "python3 is not found");
    }
}
