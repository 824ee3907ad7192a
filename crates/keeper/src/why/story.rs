//! Joins what the edge noted of a failure with what the keeper knows of the instance.

use super::advice::{self, Ended};
use super::answer::{Step, Why, stamp};
use super::past::{self, Past, Run};
use crate::home::Home;
use serde_json::Value;
use store::Transition;
use wire::failure::{Cause, Failure};

/// Lines of output of an instance that lives on: what it was at.
const FEW: usize = 8;
/// Milliseconds before a request in which a change of its instance belongs to its story.
const BEFORE: u64 = 10_000;
/// And after it.
const AFTER: u64 = 5_000;

/// What a failure was about.
struct Subject {
    past: Past,
    /// `app.slot`, if it is about one instance.
    label: Option<String>,
    /// The changes of that one's run.
    run: Vec<Transition>,
}

/// The whole story of a failure.
pub fn tell(failure: Failure, home: &Home) -> Why {
    let subject = subject(&failure, home);
    let run: Vec<&Transition> = subject.iter().flat_map(|subject| &subject.run).collect();
    let end =
        past::end(&run, failure.at_ms, failure.ended_ms()).filter(|_| failure.cause != Cause::Application);
    let told = run
        .iter()
        .find(|change| change.state == "stopping" && end.is_some_and(|end| change.at_ms <= end.at_ms));
    let words = Words::of(&failure, subject.as_ref());
    let advice = advice::of(&failure);
    let (because, next) = because(&failure, subject.as_ref(), end, told.copied(), &words);
    let tried = failure.tries.last();
    let release = tried.map(|tried| tried.release).filter(|release| *release > 0);
    let release = release.or_else(|| subject.as_ref()?.past.release(failure.at_ms));
    let instance = tried.map(|tried| tried.instance.clone());
    let about = subject.as_ref().filter(|subject| subject.label.is_some());
    Why {
        id: failure.id.clone(),
        found: "failed".into(),
        what: words.put(advice.what),
        because,
        next: next.unwrap_or_else(|| words.put(advice.next)),
        instance: instance.or_else(|| {
            about.map(|subject| format!("{}/{}", failure.stack, subject.label.clone().unwrap_or_default()))
        }),
        pid: tried.and_then(|tried| tried.pid),
        release,
        release_at: release.and_then(|release| subject.as_ref()?.past.proposed(release)),
        timeline: timeline(&failure, &run),
        output: output(&failure, subject.as_ref(), end, home),
        answered: None,
        reach: None,
        failure: Some(failure),
    }
}

/// The instance it failed at; where there was none, the one whose state was the cause.
fn subject(failure: &Failure, home: &Home) -> Option<Subject> {
    let own = |run: Vec<&Transition>| run.into_iter().cloned().collect();
    if let Some(run) = failure.tries.last().and_then(|tried| Run::parse(&tried.instance)) {
        let past = Past::of(home, &run.app);
        let changes = own(past.run(&run.label, failure.at_ms));
        return Some(Subject { past, label: Some(run.label), run: changes });
    }
    let past = Past::of(home, &past::app_of(failure.upstream.as_deref()?)?);
    let states: &[&str] = match failure.cause {
        // No instance's fault.
        _ if failure.was_held_busy() => &[],
        Cause::Unhealthy => &["unhealthy"],
        Cause::Down | Cause::HoldFull | Cause::HoldTimeout | Cause::CircuitOpen => &["ended"],
        Cause::Starting => &["starting"],
        _ => &[],
    };
    let label =
        past.last(states, failure.ended_ms()).or_else(|| past.last(&["starting"], failure.ended_ms()));
    let label = label.filter(|_| !states.is_empty()).map(|change| change.instance.clone());
    // Who waited for it may have come long after its end: its run is the one before the failure's end.
    let run = label.as_deref().map(|label| own(past.run(label, failure.ended_ms()))).unwrap_or_default();
    Some(Subject { past, label, run })
}

/// What was behind it, and what to do if that is known better than the cause does.
fn because(
    failure: &Failure,
    subject: Option<&Subject>,
    end: Option<&Transition>,
    told: Option<&Transition>,
    words: &Words,
) -> (String, Option<String>) {
    let Some(label) = subject.and_then(|subject| subject.label.as_deref()) else {
        return (failure.detail.clone(), None);
    };
    let last = |states: &[&str]| subject.and_then(|subject| subject.past.last(states, failure.ended_ms()));
    match (failure.cause, end, told) {
        (Cause::Unhealthy, ..) => {
            let reason = last(&["unhealthy"]).map(|change| change.reason.clone()).unwrap_or_default();
            (format!("{label}: {reason}"), None)
        }
        // Told to stop first: however it ended then.
        (_, Some(end), Some(told)) => (
            format!("{label} was told to stop ({}), then {}", told.reason, end.reason),
            Some(words.put(Ended::Stopped.next())),
        ),
        (_, None, _) if failure.cause == Cause::DrainOverrun => {
            let reason =
                last(&["stopping"]).map_or("it was to be replaced or stopped", |change| &change.reason);
            (format!("{label}: {reason}"), None)
        }
        (_, Some(end), None) => {
            (format!("{label} {}", end.reason), Some(words.put(Ended::of(&end.reason).next())))
        }
        (Cause::Down | Cause::HoldFull | Cause::HoldTimeout | Cause::CircuitOpen, None, _) => {
            let reason = last(&["ended"]).map(|change| format!("{} {}", change.instance, change.reason));
            (reason.unwrap_or_else(|| failure.detail.clone()), None)
        }
        _ => (failure.detail.clone(), None),
    }
}

/// From the request's arrival to its end, with what happened to the instance around it.
fn timeline(failure: &Failure, run: &[&Transition]) -> Vec<Step> {
    let step = |at_ms: u64, text: String| Step {
        at: stamp(at_ms),
        after_ms: difference(at_ms, failure.at_ms),
        text,
    };
    let came = format!("{} {}{}", failure.method, failure.host, failure.path);
    let came = if failure.method.is_empty() {
        "the client shook hands".to_owned()
    } else {
        format!("the request came: {came}")
    };
    let mut steps = vec![step(failure.at_ms, came)];
    if failure.held_ms > 0 {
        steps.push(step(
            failure.at_ms.saturating_add(failure.held_ms),
            format!("it had waited {} ms for an instance", failure.held_ms),
        ));
    }
    let tries = failure.tries.iter().map(|tried| {
        step(failure.at_ms.saturating_add(tried.after_ms), format!("{}: {}", tried.instance, tried.outcome))
    });
    steps.extend(tries);
    let near = failure.at_ms.saturating_sub(BEFORE)..=failure.ended_ms().saturating_add(AFTER);
    let changes = run.iter().filter(|change| near.contains(&change.at_ms));
    steps.extend(changes.map(|change| {
        step(change.at_ms, format!("{} {}: {}", change.instance, change.state, change.reason))
    }));
    let ended = match failure.status {
        0 => "it ended".to_owned(),
        status if failure.cut => format!("its answer, begun with {status}, was cut off"),
        499 => "the client had gone".to_owned(),
        status => format!("it was answered {status}"),
    };
    steps.push(step(failure.ended_ms(), ended));
    steps.sort_by_key(|step| step.after_ms);
    steps
}

fn difference(later: u64, earlier: u64) -> i64 {
    i64::try_from(i128::from(later) - i128::from(earlier)).unwrap_or_default()
}

/// Of an instance that ended all that is kept, of one that lives on the last few lines.
fn output(
    failure: &Failure,
    subject: Option<&Subject>,
    end: Option<&Transition>,
    home: &Home,
) -> Vec<String> {
    let Some(Subject { past, label: Some(label), run }) = subject else { return Vec::new() };
    let is_about = !failure.tries.is_empty() || end.is_some() || run.last().is_some_and(past::is_end);
    let Some(begun) = run.first().filter(|_| is_about) else { return Vec::new() };
    let ended = end.or(run.last().filter(|change| past::is_end(change)));
    let until = ended.map_or(failure.ended_ms(), |end| end.at_ms);
    let mut lines = past.output(home, label, begun.at_ms, until);
    if ended.is_none() {
        lines.drain(..lines.len().saturating_sub(FEW));
    }
    lines
}

/// What stands for the places in the advice's texts.
struct Words {
    places: [(&'static str, String); 6],
}

impl Words {
    fn of(failure: &Failure, subject: Option<&Subject>) -> Self {
        let upstream = failure.upstream.clone().unwrap_or_default();
        let app = upstream.split_once('/').map_or(upstream.as_str(), |(_, app)| app.trim_start_matches('='));
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        let tried = failure.tries.last().map(|tried| tried.instance.clone());
        let label = subject.and_then(|subject| subject.label.clone()).or(tried);
        let app = or(app, "the application");
        Self {
            places: [
                ("{instance}", label.unwrap_or_else(|| app.clone())),
                ("{app}", app),
                ("{stack}", failure.stack.clone()),
                ("{host}", or(&failure.host, "that name")),
                ("{route}", failure.route.clone().unwrap_or_default()),
                ("{detail}", or(&failure.detail, "no more is known")),
            ],
        }
    }

    fn put(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (place, word)| text.replace(place, word))
    }
}

/// A request that did not fail, from its line in the access log.
pub fn answered(id: &str, line: Value) -> Why {
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| line.get(name).and_then(Value::as_f64).unwrap_or_default();
    let upstream =
        if text("upstream").is_empty() { String::new() } else { format!(" by {}", text("upstream")) };
    let error = if text("error").is_empty() { String::new() } else { format!("; {}", text("error")) };
    let what = format!(
        "{} {}{} was answered {}{upstream} in {:.1} ms, {} bytes, at {}{error}",
        text("method"),
        text("host"),
        text("path"),
        number("status"),
        number("total_ms"),
        number("bytes"),
        text("ts")
    );
    let instance = line.get("upstream").and_then(Value::as_str).map(str::to_owned);
    Why { what, instance, answered: Some(line.clone()), ..empty(id, "answered") }
}

/// A request that is found nowhere. `made`: when it came, if its id says so; `reach`: since when failures are known; `lost`: failures
/// since then that could not be written down.
pub fn missing(id: &str, made: Option<u64>, reach: u64, lost: u64) -> Why {
    let is_old = made.is_some_and(|made| made < reach);
    let mut known = format!("Failures are known since {}", stamp(reach));
    if lost > 0 {
        known += &format!(", but for {lost} that came faster than they could be written");
    }
    let of = made.map(|made| format!("It is of {}. ", stamp(made))).unwrap_or_default();
    let (found, what, next) = if is_old {
        (
            "expired",
            "it is too long ago: failures are kept for a day or 256 MB",
            "mainstay why lists the failures that are known",
        )
    } else {
        (
            "unknown",
            "it was never seen here, is still under way, or is too long ago",
            "copy the id from X-Request-Id or from the error page; half a second passes before a failure is written down",
        )
    };
    let (what, next, because) = (what.to_owned(), next.to_owned(), of + &known);
    Why { what, next, because, reach: Some(stamp(reach)), ..empty(id, found) }
}

fn empty(id: &str, found: &str) -> Why {
    Why {
        id: id.to_owned(),
        found: found.to_owned(),
        what: String::new(),
        because: String::new(),
        next: String::new(),
        failure: None,
        instance: None,
        pid: None,
        release: None,
        release_at: None,
        timeline: Vec::new(),
        output: Vec::new(),
        answered: None,
        reach: None,
    }
}
