//! `needs`: every name is an app or a service, and no app needs itself round a circle.

use super::{Context, known};
use crate::diagnostic::nearest;
use crate::place::Place;
use model::AppName;
use model::spec::AppSpec;
use model::upkeep::TaskSpec;
use std::collections::{BTreeMap, BTreeSet};

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
        for (index, other) in app.needs.iter().map(AppName::as_str).enumerate() {
            if clocked.contains(&other) {
                let message = format!("{kind} `{name}` needs task `{other}`, which runs only when it is due");
                let found = context.report.error("needs::task", message);
                found.at(needs.item(index).span(), "a task is never ready");
                found.help("what has to be done before an app starts is its `build`");
            } else if !known.contains(&other) && !services.contains(&other) {
                unknown(context, needs.item(index), other, &known, &services);
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

/// Reports a name that is neither.
fn unknown(context: &mut Context<'_>, place: Place<'_>, name: &str, apps: &[&str], services: &[&str]) {
    let message = format!("there is no app and no service `{name}`");
    let found = context.report.error("app::unknown", message);
    found.at(place.span(), "neither app nor service");
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
            context
                .report
                .error("needs::cycle", format!("apps need each other in a circle: {}", cycle.join(" → ")))
                .at(place.key(name.as_str()).key("needs").item(index).span(), "closes the circle")
                .help("none of them could start first: remove one of these `needs`");
        } else if !done.contains(other) {
            on_path.insert(other);
            path.push((other, 0));
        }
    }
}
