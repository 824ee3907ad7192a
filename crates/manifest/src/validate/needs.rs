//! `needs`: every name is an app or a service, what is waited for can happen, and no app needs itself round a circle.

use super::{Context, known};
use crate::diagnostic::nearest;
use crate::file::{NeedFile, NeedsFile};
use crate::place::Place;
use crate::tree::Span;
use model::AppName;
use model::network::NeedCondition;
use model::spec::{AppSpec, RestartPolicy};
use model::upkeep::TaskSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The names, in their order; those of a table by name.
pub fn names(context: &mut Context<'_>, place: Place<'_>, file: Option<&NeedsFile>) -> Vec<AppName> {
    let written: Vec<&String> = match file {
        None => Vec::new(),
        Some(NeedsFile::One(name)) => vec![name],
        Some(NeedsFile::Many(names)) => names.iter().collect(),
        Some(NeedsFile::How(table)) => table.keys().collect(),
    };
    let mut needs = Vec::new();
    for (index, text) in written.into_iter().enumerate() {
        match text.parse() {
            Ok(name) => needs.push(name),
            Err(error) => {
                let found = context.report.error("name::bad", format!("{text:?} cannot name an app"));
                found.at(named(place, index, text), format!("{error}"));
            }
        }
    }
    needs
}

/// What is waited for, where that is not the usual.
pub fn conditions(file: Option<&NeedsFile>) -> BTreeMap<AppName, NeedCondition> {
    let Some(NeedsFile::How(table)) = file else { return BTreeMap::new() };
    let special = table.iter().filter_map(|(name, how)| {
        let how = match how {
            NeedFile::Healthy => return None,
            NeedFile::Started => NeedCondition::Started,
            NeedFile::Completed => NeedCondition::Completed,
        };
        Some((name.parse().ok()?, how))
    });
    special.collect()
}

/// Where one of them is named: in a list, or as a key.
fn named(needs: Place<'_>, index: usize, name: &str) -> Span {
    let key = needs.key(name);
    if key.given() { key.name_span() } else { needs.item(index).span() }
}

/// Checks the names and looks for cycles; each cycle is reported once. `place` is the whole manifest.
pub fn check(
    context: &mut Context<'_>,
    place: Place<'_>,
    apps: &BTreeMap<AppName, AppSpec>,
    tasks: &BTreeMap<AppName, TaskSpec>,
) {
    let [known, services, clocked] = ["app", "service", "task"].map(|kind| known(place.key(kind)));
    let of_apps = apps.iter().map(|(name, app)| ("app", name, app));
    let of_tasks = tasks.iter().map(|(name, task)| ("task", name, &task.app));
    for (kind, name, app) in of_apps.chain(of_tasks) {
        let needs = place.key(kind).key(name.as_str()).key("needs");
        for (index, need) in app.needs.iter().enumerate() {
            let other = need.as_str();
            if clocked.contains(&other) {
                let message = format!("{kind} `{name}` needs task `{other}`, which runs only when it is due");
                let found = context.report.error("needs::task", message);
                found.at(named(needs, index, other), "a task is never ready");
                found.help("what has to be done before an app starts is its `build`");
            } else if !known.contains(&other) && !services.contains(&other) {
                unknown(context, named(needs, index, other), other, &known, &services);
            }
            if app.needs_how.get(need) == Some(&NeedCondition::Completed) {
                let message = format!("{kind} `{name}` waits for the end of `{other}`");
                has_end(context, needs.key(other), message, apps.get(need), services.contains(&other));
            }
        }
    }
    let place = place.key("app");
    let mut done = BTreeSet::new();
    for name in apps.keys() {
        if !done.contains(name) {
            walk(context, place, apps, name, &mut done);
        }
    }
}

/// What is waited for the end of has to have one.
fn has_end(
    context: &mut Context<'_>,
    place: Place<'_>,
    message: String,
    app: Option<&AppSpec>,
    is_service: bool,
) {
    let (why, help) = match app.map(|app| app.restart.policy) {
        Some(RestartPolicy::Always) => {
            ("started again whenever it ends", "write `restart = \"never\"`, or `\"on-failure\"`, there")
        }
        _ if is_service => ("a service", "wait until it is `healthy`"),
        _ => return,
    };
    let found = context.report.error("needs::endless", format!("{message}, which is {why}"));
    found.at(place.span(), "it has no end").help(help);
}

/// Reports a name that is neither.
fn unknown(context: &mut Context<'_>, at: Span, name: &str, apps: &[&str], services: &[&str]) {
    let message = format!("there is no app and no service `{name}`");
    let found = context.report.error("app::unknown", message);
    found.at(at, "neither app nor service");
    found.help(match nearest(name, apps.iter().chain(services).copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if services.is_empty() => format!("apps here: {}", apps.join(", ")),
        None => format!("apps here: {}; services: {}", apps.join(", "), services.join(", ")),
    });
}

/// Depth first from one app, with a stack of our own: a manifest may hold any number of apps.
fn walk<'a>(
    context: &mut Context<'_>,
    place: Place<'_>,
    apps: &'a BTreeMap<AppName, AppSpec>,
    start: &'a AppName,
    done: &mut BTreeSet<&'a AppName>,
) {
    let mut path = vec![(start, 0)];
    let mut on_path = BTreeSet::from([start]);
    while let Some((name, next)) = path.last_mut() {
        let name: &AppName = name;
        let Some(other) = apps.get(name).and_then(|app| app.needs.get(*next)) else {
            on_path.remove(name);
            done.insert(name);
            path.pop();
            continue;
        };
        *next += 1;
        let index = *next - 1;
        if on_path.contains(other) {
            let names: Vec<&AppName> = path.iter().map(|(name, _)| *name).collect();
            let begin = names.iter().position(|name| *name == other).unwrap_or(0);
            let cycle: Vec<&str> = names[begin..].iter().chain([&other]).map(|name| name.as_str()).collect();
            let needs = place.key(name.as_str()).key("needs");
            let closes = named(needs, index, other.as_str());
            context
                .report
                .error("needs::cycle", format!("apps need each other in a circle: {}", cycle.join(" → ")))
                .at(closes, "closes the circle")
                .help("none of them could start first: remove one of these `needs`");
        } else if !done.contains(other) {
            on_path.insert(other);
            path.push((other, 0));
        }
    }
}
