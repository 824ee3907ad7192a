//! What apps are told by their own environment where it is probably not meant: secrets that nobody replaced, and words about a
//! database that contradict the service they need. Values are compared, and never shown.

use super::{Context, items};
use crate::diagnostic::{Severity, Source};
use crate::dotenv;
use crate::file::{AppFile, ManifestFile};
use crate::place::Place;
use crate::tree::Span;
use crate::values::sounds_secret;
use model::AppName;
use model::service::ServiceSpec;
use model::spec::{AppSpec, EnvValue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks through the environment of every app.
pub fn check(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    apps: &BTreeMap<AppName, AppSpec>,
    services: &BTreeMap<AppName, ServiceSpec>,
) {
    if !context.disk.is_real() {
        return;
    }
    for (name, app) in apps {
        let Some(own) = file.app.get(name.as_str()) else { continue };
        let place_of = place.key("app").key(name.as_str());
        for (variable, value) in &app.env {
            if sounds_secret(variable) && looks_unset(value.expose()) {
                let message = format!("`{variable}` of app `{name}` looks like a placeholder");
                let seat = seat(context, place_of, own, variable);
                let help = "write the secret itself, or `{ generate = 32 }` where any will do";
                say(context, &seat, "secret::placeholder", message, "nobody's secret", help.into());
            }
        }
        let needed: Vec<_> = app.needs.iter().filter_map(|need| services.get_key_value(need)).collect();
        let Some(&(service, spec)) = needed.first() else { continue };
        let others: Vec<&AppName> = needed.iter().skip(1).map(|(other, _)| *other).collect();
        plain_names(context, place_of, name, service, &others);
        let of = place.key("service").key(service.as_str());
        contradictions(context, place_of, own, app, (service, spec, of));
    }
    for (name, service) in services {
        if service.password.as_ref().is_some_and(|password| looks_unset(password.expose())) {
            let place = place.key("service").key(name.as_str()).key("password");
            let message = format!("the password of service `{name}` looks like a placeholder");
            let found = context.report.warning("secret::placeholder", message);
            found.at(place.span(), "nobody's secret").help("leave `password` out: one is made, and kept");
        }
    }
}

/// Of several services one alone is `DB_HOST`; the keeper gives the plain names to the first.
fn plain_names(
    context: &mut Context<'_>,
    place: Place<'_>,
    app: &AppName,
    first: &AppName,
    others: &[&AppName],
) {
    if others.is_empty() {
        return;
    }
    let at = place.key("needs").span();
    if others.iter().any(|other| own_name(other) == "DB") {
        let message = format!("app `{app}` needs `{first}` and `db`, and `DB_HOST` would mean both");
        let found = context.report.error("service::ambiguous", message);
        found.at(at, "`db` is not the first").help("write `db` first, or give the service another name");
        return;
    }
    let own: Vec<String> = others.iter().map(|other| format!("`{}_HOST`", own_name(other))).collect();
    let message = format!(
        "`DB_HOST`, `DATABASE_URL` and so on of app `{app}` are those of service `{first}`; beside them it gets {} and so on",
        own.join(", ")
    );
    let found = context.report.info("service::first", message);
    found.at(at, format!("`{first}` stands first")).help("for another write that first");
}

/// What the variables of a service begin with.
fn own_name(service: &AppName) -> String {
    service.as_str().to_ascii_uppercase().replace('-', "_")
}

/// Variables that say something else than what the service is.
fn contradictions(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &AppFile,
    app: &AppSpec,
    (name, service, of): (&AppName, &ServiceSpec, Place<'_>),
) {
    for (variable, what) in [
        ("DB_HOST", "host"),
        ("DB_PORT", "port"),
        ("DB_USER", "user"),
        ("DB_NAME", "database"),
        ("DB_PASSWORD", "password"),
        ("DATABASE_URL", "address"),
    ] {
        let Some(value) = app.env.get(variable) else { continue };
        if agrees(service, what, value) {
            continue;
        }
        let seat = seat(context, place, file, variable);
        let line = context.report.line(&of.name_span());
        let whose =
            format!("`{variable}` is not the {what} of service `{name}` (line {line} of the manifest)");
        let help = match what {
            "password" => {
                "remove it, and the app gets the service's; or give the service this one: `password = { … }`"
            }
            "port" if service.port.is_none() => {
                "remove it, and the app gets the service's; or give the service this one: `port = …`"
            }
            _ => "remove it, and the app gets the service's",
        };
        let found =
            say(context, &seat, "service::contradiction", whose, "this is what the app gets", help.into());
        if seat.source.is_none() {
            let key = if what == "address" { "password" } else { what };
            found.at(of.key(key).name_span(), "the service has another");
        }
    }
}

/// Whether what the app is told is what the service is. What the service has not got it cannot contradict.
fn agrees(service: &ServiceSpec, what: &str, value: &EnvValue) -> bool {
    let text = value.expose();
    let local = |host: &str| matches!(host, "127.0.0.1" | "localhost" | "::1" | "[::1]");
    let port = |text: &str| text.parse().ok().is_some_and(|port: u16| service.port == Some(port));
    let own = service.password.as_ref();
    match what {
        "host" => local(text),
        "port" => port(text),
        _ if service.database.is_none() => true,
        "user" => text == service.user,
        "database" => Some(text) == service.database.as_deref(),
        "password" => own.is_some_and(|own| own.expose() == text),
        _ => {
            let Some((scheme, rest)) = text.split_once("://") else { return false };
            if !["mysql", "mariadb"].iter().any(|ours| scheme.starts_with(ours)) {
                return true;
            }
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let (account, address) = authority.rsplit_once('@').unwrap_or(("", authority));
            let (user, password) = account.split_once(':').unwrap_or((account, ""));
            let (host, own_port) = address.rsplit_once(':').unwrap_or((address, "3306"));
            let name = path.split(['?', '#']).next();
            // an escaped password may well be the right one
            let passes = password.contains('%') || own.is_some_and(|own| own.expose() == password);
            local(host)
                && port(own_port)
                && user == service.user
                && name == service.database.as_deref()
                && passes
        }
    }
}

/// Where a variable was written: in the manifest, or in a file of `env_file`.
struct Seat {
    source: Option<Arc<Source>>,
    span: Span,
}

fn seat(context: &mut Context<'_>, place: Place<'_>, file: &AppFile, variable: &str) -> Seat {
    let written = place.key("env").key(variable);
    if written.given() {
        return Seat { source: None, span: written.name_span() };
    }
    let mut seat = Seat { source: None, span: place.key("env_file").span() };
    for (place, text) in items(place.key("env_file"), file.env_file.as_ref()) {
        let Some(path) = context.path(place, text) else { continue };
        let Ok(Some(text)) = context.disk.read(&path) else { continue };
        let parsed = dotenv::parse(&text);
        if let Some(entry) = parsed.entries.iter().rev().find(|entry| entry.key == variable) {
            let source = Some(Source::masked(&path, &text, &parsed.values));
            seat = Seat { source, span: entry.span.clone() };
        }
    }
    seat
}

fn say<'a>(
    context: &'a mut Context<'_>,
    seat: &Seat,
    code: &'static str,
    message: String,
    label: &str,
    help: String,
) -> &'a mut crate::diagnostic::Diagnostic {
    let found = match &seat.source {
        None => context.report.warning(code, message),
        Some(source) => context.report.push(Severity::Warning, code, message, source.clone()),
    };
    found.at(seat.span.clone(), label).help(help)
}

/// A secret that documents use where one of your own belongs: `changeme`, `your_secret_key`, `<password>`.
fn looks_unset(value: &str) -> bool {
    const WORDS: [&str; 8] = [
        "change_me",
        "changeme",
        "change_this",
        "change_in_production",
        "replace_me",
        "replace_this",
        "placeholder",
        "insert_your",
    ];
    let plain = value.to_ascii_lowercase().replace(['-', ' '], "_");
    WORDS.iter().any(|word| plain.contains(word))
        || ["your_", "my_secret", "xxxx", "secure_random_"].iter().any(|start| plain.starts_with(start))
        || matches!(&*plain, "password" | "secret" | "passwd" | "todo" | "example")
        || plain.ends_with("...")
        || plain.starts_with('<') && plain.ends_with('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_nobody_replaced() {
        for value in [
            "changeme",
            "Your-Secret-Key",
            "your_secure_password",
            "<password>",
            "sk_test_...",
            "dev-key-change-in-production",
        ] {
            assert!(looks_unset(value), "{value}");
        }
        for value in ["", "hunter2", "local-counterpart", "s3cr3t-of-mine", "yours truly", "a<b>c"] {
            assert!(!looks_unset(value), "{value}");
        }
    }
}
