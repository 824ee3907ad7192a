//! What real files get wrong, though every key in them is right: variables that reach nobody, debugging in production, host names nobody
//! replaced, an image that cannot start with what it is given.

use super::Cx;
use super::out::{entries, pairs};
use crate::diagnostic::Severity;
use crate::interpolate::placeholders;
use crate::tree::{Kind, Node};
use std::collections::BTreeSet;

/// Variables that say where a program runs.
const STAGES: [&str; 10] = [
    "NODE_ENV",
    "FLASK_ENV",
    "APP_ENV",
    "RAILS_ENV",
    "RACK_ENV",
    "DJANGO_ENV",
    "ENVIRONMENT",
    "BUILD_ENV",
    "MIX_ENV",
    "ASPNETCORE_ENVIRONMENT",
];

/// Variables that switch a debugger on which answers anybody.
const DEBUG: [&str; 5] = ["FLASK_DEBUG", "DJANGO_DEBUG", "APP_DEBUG", "DEBUG", "WDS_DEBUG"];

/// Images that do not start without settings: beginning of the name, what is missing if none of the variables is there.
const SETTINGS: [(&str, &[(&str, &str)]); 1] = [(
    "discourse/",
    &[
        ("DISCOURSE_DB_HOST", "the database"),
        ("DISCOURSE_REDIS_HOST", "Redis"),
        ("DISCOURSE_SMTP_ADDRESS", "mail"),
        ("DISCOURSE_SSO_URL", "the address of single sign-on"),
    ],
)];

/// Beginnings of a payment service's keys, and whether money moves with them.
const KEYS: [(&str, bool); 6] = [
    ("sk_test_", false),
    ("pk_test_", false),
    ("rk_test_", false),
    ("sk_live_", true),
    ("pk_live_", true),
    ("rk_live_", true),
];

/// Says all of it.
pub fn check(cx: &mut Cx<'_>) {
    unread(cx);
    payments(cx);
    for (name, service) in cx.services() {
        debugging(cx, name, service);
        settings(cx, name, service);
        hosts(cx, service);
    }
}

/// Variables of `.env` that are put into nothing: they are for the compose file alone, not for the containers.
fn unread(cx: &mut Cx<'_>) {
    let mut used = BTreeSet::new();
    names(cx.tree, &mut used);
    let given = cx.services().iter().flat_map(|(_, service)| super::out::items(service.get("env_file")));
    let mut given = given.filter_map(|node| node.get("path").unwrap_or(node).scalar());
    if given.any(|path| path.rsplit('/').next() == Some(".env")) {
        return;
    }
    let environment = |name: &String| {
        cx.services()
            .iter()
            .any(|(_, service)| service.get("environment").is_some_and(|all| all.get(name).is_some()))
    };
    let own = |name: &&String| {
        !used.contains(name.as_str()) && !name.starts_with("COMPOSE_") && !name.starts_with("DOCKER_")
    };
    let left: Vec<&String> = cx.input.dotenv.iter().filter(own).filter(|name| !environment(name)).collect();
    let Some((_, first)) = cx.services().first() else { return };
    if left.is_empty() {
        return;
    }
    let listed = left.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let message = match left.len() {
        1 => format!("a variable of `.env` reaches no service: {listed}"),
        count => format!("{count} variables of `.env` reach no service: {listed}"),
    };
    let at = first.key.clone().unwrap_or(first.span.clone());
    cx.warn(message, &at, "`.env` is for `${…}` in this file alone").help(
        "`env_file: .env` gives a service all of them, also from a compose.override.yaml beside this file; or name them below `environment:`",
    );
}

/// Names of the variables that were replaced anywhere below.
fn names<'n>(node: &'n Node, found: &mut BTreeSet<&'n str>) {
    found.extend(node.raw.as_deref().into_iter().flat_map(placeholders));
    match &node.kind {
        Kind::Array(items) => items.iter().for_each(|node| names(node, found)),
        Kind::Table(entries) => entries.iter().for_each(|(_, node)| names(node, found)),
        _ => {}
    }
}

/// A payment service's keys for tests in production, or those that move money in development.
fn payments(cx: &mut Cx<'_>) {
    let (live, test) = (production(cx), stands(cx, &["development", "dev", "test"]));
    let Some((_, first)) = cx.services().first() else { return };
    let at = first.key.clone().unwrap_or(first.span.clone());
    let own = cx.services().iter().flat_map(|(_, service)| pairs(service.get("environment")));
    let own =
        own.filter_map(|pair| Some((pair.name, pair.value.as_ref()?.scalar()?.into_owned(), pair.span)));
    let given =
        cx.input.dotenv.iter().filter_map(|name| Some((name.clone(), (cx.input.lookup)(name)?, at.clone())));
    let mut seen = BTreeSet::new();
    for (name, value, span) in own.chain(given).collect::<Vec<_>>() {
        let Some((_, moves)) = KEYS.iter().find(|(start, _)| value.starts_with(start)) else { continue };
        let (key, stage) = match (live, test, *moves) {
            (true, _, false) => ("for tests", "production"),
            (false, true, true) => ("that moves money", "development"),
            _ => continue,
        };
        if seen.insert(name.clone()) {
            let message = format!("`{name}` is a key {key}, and the stack is in {stage}");
            cx.warn(message, &span, "the other kind of key belongs here");
        }
    }
}

/// Where the stack is in production: the environment or one of the services says so.
fn production(cx: &Cx<'_>) -> bool {
    stands(cx, &["production", "prod"])
}

/// Where the environment or one of the services says that the stack is in this stage.
fn stands(cx: &Cx<'_>, words: &[&str]) -> bool {
    let is = |value: &str| words.contains(&value.to_ascii_lowercase().as_str());
    let said = STAGES.iter().filter_map(|name| (cx.input.lookup)(name)).any(|value| is(&value));
    let service = |service: &Node| {
        let all = pairs(service.get("environment"));
        all.iter().any(|pair| {
            STAGES.contains(&&*pair.name)
                && pair.value.as_ref().and_then(|value| value.scalar()).is_some_and(|value| is(&value))
        })
    };
    said || cx.services().iter().any(|(_, own)| service(own))
}

/// A debugger in production lets anybody run code.
fn debugging(cx: &mut Cx<'_>, name: &str, service: &Node) {
    for pair in pairs(service.get("environment")) {
        let on =
            pair.value.as_ref().and_then(|value| value.scalar()).is_some_and(|value| {
                matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
            });
        if !on || !DEBUG.contains(&&*pair.name) || !production(cx) {
            continue;
        }
        let severity = if cx.input.options.force { Severity::Warning } else { Severity::Error };
        let message = format!("`{name}` would run in production with `{}` on", pair.name);
        let found =
            cx.say(severity, "compose::debug", message, &pair.span, "lets visitors see, or run, code");
        found.help(format!("set `{}=false`; `--allow-debug` takes it as it is", pair.name));
    }
}

fn settings(cx: &mut Cx<'_>, name: &str, service: &Node) {
    let Some(image) = service.get("image") else { return };
    let written = image.scalar().unwrap_or_default().into_owned();
    for (start, wanted) in SETTINGS.iter().filter(|(start, _)| written.starts_with(start)) {
        if service.get("env_file").is_some() {
            continue;
        }
        let given = pairs(service.get("environment"));
        let missing = wanted.iter().filter(|(variable, _)| !given.iter().any(|pair| pair.name == *variable));
        let missing: Vec<String> = missing.map(|(variable, what)| format!("{what} (`{variable}`)")).collect();
        if !missing.is_empty() {
            let message = format!(
                "`{name}` is not told {}: an image of `{start}…` does not start without",
                missing.join(", ")
            );
            cx.warn(message, &image.span, "needs settings that are not here");
        }
    }
}

fn hosts(cx: &mut Cx<'_>, service: &Node) {
    let labels = entries(service.get("labels")).iter().map(|(_, node)| node);
    for node in labels.chain(super::out::items(service.get("labels"))) {
        let Some(value) = node.scalar().filter(|value| value.contains("Host")) else { continue };
        let mut named = value.split(['`', '\'', '"']).skip(1).step_by(2);
        if let Some(host) = named.find(|host| crate::values::is_placeholder(&host.to_ascii_lowercase())) {
            let message = format!(
                "`{host}` stands for a name of your own: nobody can reach it, and no certificate is asked for"
            );
            cx.warn(message, &node.span, "a name of a document")
                .help("replace it, or the variable that it comes from");
        }
    }
}
