//! `[service.NAME]`. What gets into SQL or a server's configuration, names above all, is held to a small set of characters here.

use super::{Context, env, missing, run};
use crate::file::{ServiceFile, ServiceKindFile, ServiceTlsFile};
use crate::place::Place;
use crate::values::{Wrong, wrong};
use model::redact::RedactKind;
use model::service::{ServiceKind, ServiceSpec, ServiceTls};
use model::spec::EnvValue;
use model::{AppName, Secret};
use std::time::Duration;

/// Longest names that MySQL takes.
const DATABASE: usize = 64;
const USER: usize = 32;

/// Databases of the server itself.
const OWN_DATABASES: [&str; 4] = ["mysql", "sys", "information_schema", "performance_schema"];

/// Character set and collation where nothing is said.
const UNICODE: (&str, &str) = ("utf8mb4", "utf8mb4_unicode_ci");

/// Smallest memory for cached pages, in bytes: less, and the server refuses it.
const LEAST_MEMORY: u64 = 8 << 20;

/// Checks one service. `redact`: what is masked in its output where it says nothing.
pub fn service(
    context: &mut Context<'_>,
    place: Place<'_>,
    name: &AppName,
    file: &ServiceFile,
    redact: &[RedactKind],
) -> Option<ServiceSpec> {
    missing(context, place, "kind", "a service", "write `kind = \"mariadb\"`");
    let user = names(context, place, name, file);
    no_account(context, place, name, file);
    let (character_set, collation) = characters(context, place, file);
    let run_as = file.run_as.clone().unwrap_or_else(|| "mysql".to_owned());
    if run_as == "root" {
        let found = context.report.error("user::root", "a database is not run as root");
        found.at(place.key("run_as").span(), "root").help("leave it out: it is then run as `mysql`");
    }
    let memory = context.size(place.key("memory"), file.memory.as_ref(), 128 << 20);
    if memory < LEAST_MEMORY {
        let found = context.report.error("size::small", "a database needs at least 8 MiB for its pages");
        found.at(place.key("memory").span(), "too small");
    }
    let seconds = Duration::from_secs;
    let password = file.password.as_ref().and_then(|own| password(context, place.key("password"), own));
    Some(ServiceSpec {
        port: file.port.and_then(|port| u16::try_from(port).ok()),
        database: file.database.clone(),
        user,
        password,
        character_set,
        collation,
        max_connections: file.max_connections.and_then(|most| u32::try_from(most).ok()).unwrap_or(100),
        tls: match file.tls {
            None | Some(ServiceTlsFile::Off) => ServiceTls::Off,
            Some(ServiceTlsFile::Optional) => ServiceTls::Optional,
            Some(ServiceTlsFile::Required) => ServiceTls::Required,
        },
        slow_query: context.duration(place.key("slow_query"), file.slow_query.as_ref(), seconds(1), true),
        memory,
        run_as,
        interval: context.duration(place.key("interval"), file.interval.as_ref(), seconds(10), false),
        start_period: context.duration(
            place.key("start_period"),
            file.start_period.as_ref(),
            seconds(120),
            false,
        ),
        restart: run::restart(context, place.key("restart"), file.restart.as_ref()),
        stop: run::stop(context, place.key("stop"), &file.stop, seconds(60), Duration::ZERO),
        logs: run::logs(context, place.key("logs"), &file.logs, redact),
        // last, so that all else was checked
        kind: match file.kind? {
            ServiceKindFile::Mariadb => ServiceKind::Mariadb,
            ServiceKindFile::Mysql => ServiceKind::Mysql,
        },
    })
}

/// Checks the names of database and account, and gives the account's.
fn names(context: &mut Context<'_>, place: Place<'_>, name: &AppName, file: &ServiceFile) -> String {
    if let Some(database) = &file.database {
        let own = OWN_DATABASES.iter().any(|own| database.eq_ignore_ascii_case(own));
        let found = if own { wrong("the server's own", None) } else { identifier(database, DATABASE) };
        if let Err(wrong) = found {
            let message = format!("{database:?} cannot name a database");
            context.wrong("name::bad", message, place.key("database"), wrong);
            if file.user.is_none() {
                return String::new();
            }
        }
    }
    let given = [("user", &file.user), ("database", &file.database)];
    let given = given.into_iter().find_map(|(key, text)| text.clone().map(|text| (place.key(key), text)));
    let (place, user) = given.unwrap_or_else(|| (place, name.as_str().to_owned()));
    let found = if user == "root" { wrong("the administrator", None) } else { identifier(&user, USER) };
    if let Err(Wrong { what, help }) = found {
        let help = help.or_else(|| file.user.is_none().then(|| "name one: `user = \"shop\"`".to_owned()));
        context.wrong("name::bad", format!("{user:?} cannot name an account"), place, Wrong { what, help });
    }
    user
}

/// An account is made for a database, and for nothing else.
fn no_account(context: &mut Context<'_>, place: Place<'_>, name: &AppName, file: &ServiceFile) {
    let given = ["user", "password"].into_iter().find(|key| place.key(key).given());
    if let Some(key) = given.filter(|_| file.database.is_none() && !place.key("database").given()) {
        let message = format!("service `{name}` has a `{key}` and no `database`: no account is made");
        let found = context.report.warning("service::account", message);
        found
            .at(place.key(key).name_span(), "of nobody")
            .help(format!("name the database that it is for: `database = \"shop\"`; or remove `{key}`"));
    }
}

/// Letters, digits, `_`, `-`, `$`.
fn identifier(text: &str, most: usize) -> Result<(), Wrong> {
    if text.is_empty() || text.chars().any(|c| !c.is_ascii_alphanumeric() && !"_-$".contains(c)) {
        return wrong("letters, digits, `_`, `-` and `$` only", None);
    }
    if text.len() > most {
        return wrong(format!("{} characters, {most} at most", text.len()), None);
    }
    Ok(())
}

/// Character set and collation, which have to fit.
fn characters(context: &mut Context<'_>, place: Place<'_>, file: &ServiceFile) -> (String, String) {
    for (key, text) in [("character_set", &file.character_set), ("collation", &file.collation)] {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if let Some(text) = text.as_ref().filter(|text| text.is_empty() || !text.chars().all(fits)) {
            let found = context.report.error("name::bad", format!("{text:?} is no `{key}`"));
            found.at(place.key(key).span(), "small letters, digits and `_` only");
            return (UNICODE.0.to_owned(), UNICODE.1.to_owned());
        }
    }
    let set = file.character_set.as_deref().unwrap_or(UNICODE.0);
    let collation = file.collation.as_deref().unwrap_or(if set == "binary" { set } else { UNICODE.1 });
    let belongs = collation == set && set == "binary"
        || collation.strip_prefix(set).is_some_and(|rest| rest.starts_with('_'));
    // one that was no text was reported
    let unknown = file.character_set.is_none() && place.key("character_set").given();
    if !belongs && !unknown {
        let message = format!("collation `{collation}` is not one of character set `{set}`");
        let found = context.report.error("service::collation", message);
        let (at, label) = match file.collation {
            Some(_) => (place.key("collation"), "of another character set"),
            None => (place.key("character_set"), "needs a `collation` of its own"),
        };
        let own = collation.split('_').next().unwrap_or_default();
        found.at(at.span(), label).help(match file.collation {
            Some(_) => format!("write one that begins with `{set}_`, or `character_set = \"{own}\"`"),
            None => format!("add one that begins with `{set}_`: `collation = \"{set}_general_ci\"`"),
        });
    }
    (set.to_owned(), collation.to_owned())
}

/// The account's password.
fn password(context: &mut Context<'_>, place: Place<'_>, file: &crate::file::SecretFile) -> Option<Secret> {
    let EnvValue::Secret(secret) = env::secret(context, place, file)? else { return None };
    if secret.expose().is_empty() && context.disk.is_real() {
        let found = context.report.error("secret::empty", "the password of a database cannot be empty");
        found.at(place.span(), "empty").help("leave `password` out: one is made, and kept");
    }
    if secret.expose().contains(['\n', '\r']) {
        let found = context.report.error("secret::lines", "a password is one line");
        found.at(place.span(), "has a line end in it");
    }
    Some(secret)
}
