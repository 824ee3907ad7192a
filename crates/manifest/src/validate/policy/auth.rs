//! Name and password, and other servers that are asked. Passwords are hashed with argon2 and with nothing else; a hash is
//! handled like a secret.

use crate::diagnostic::{Severity, Source};
use crate::file::{BasicAuthFile, ForwardAuthFile, HashFile, SecretFile};
use crate::place::Place;
use crate::validate::site::Scope;
use crate::validate::{Context, env, handler, items};
use crate::{values, web};
use argon2::Params;
use argon2::password_hash::phc::PasswordHash;
use model::policy::{BasicAuthSpec, ForwardAuthSpec, UserSpec};
use std::path::Path;
use std::time::Duration;

/// What to do about a password that is not hashed.
const MAKE: &str = "run `mainstay hash-password` and put here what it prints";

/// Most memory that checking one password may take, in KiB: whoever asks makes the edge spend it.
const MAX_MEMORY: u32 = 256 * 1024;

/// `basic_auth`.
pub fn basic(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&BasicAuthFile>,
    scope: &Scope<'_>,
) -> Option<Option<BasicAuthSpec>> {
    let table = match file? {
        BasicAuthFile::Switch(false) => return Some(None),
        BasicAuthFile::Switch(true) => {
            let found = context.report.error("auth::nobody", "`true` does not say who may pass");
            found.at(place.span(), "who?").help("write `basic_auth = { users = { anna = \"…\" } }`");
            return Some(None);
        }
        BasicAuthFile::Table(table) => table,
    };
    let realm_place = place.key("realm");
    let host = || scope.hosts.first().cloned().unwrap_or_default();
    let realm = table.realm.clone().unwrap_or_else(host);
    if realm.contains(['"', '\\']) || web::header_value(&realm).is_err() {
        let found = context.report.error("auth::realm", format!("{realm:?} cannot name what is protected"));
        found.at(realm_place.span(), "plain letters without quotes");
    }
    let mut users = Vec::new();
    for (name, file) in &table.users {
        let place = place.key("users").key(name);
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            let found = context.report.error("name::bad", format!("{name:?} cannot name a user"));
            found.at(place.name_span(), "a name is not empty and holds no `:`");
        }
        let hash = match file {
            HashFile::Text(text) => Some(text.clone()),
            // Without a machine the file was not read.
            HashFile::Secret(SecretFile { file: Some(_), .. }) if !context.disk.is_real() => {
                Some(values::MASKED_HASH.to_owned())
            }
            HashFile::Secret(file) => {
                env::secret(context, place, file).map(|value| value.expose().to_owned())
            }
        };
        let Some(hash) = hash else { continue };
        if let Err((what, help)) = check(&hash) {
            let found =
                context.report.error("auth::hash", format!("the password of `{name}` cannot be checked"));
            found.at(place.span(), what).help(help);
        }
        users.push(UserSpec { name: name.clone(), hash });
    }
    let listed = table.file.as_deref().and_then(|file| context.path(place.key("file"), file));
    if let Some(path) = &listed {
        from_file(context, place.key("file"), path, &mut users);
    }
    if users.is_empty() && context.disk.is_real() {
        let found = context.report.warning("auth::nobody", "nobody can pass");
        found
            .at(place.span(), "no users in here")
            .help("add `users = { anna = \"…\" }` or `file = \"users\"`");
    }
    users.sort_by(|one, other| one.name.cmp(&other.name));
    Some(Some(BasicAuthSpec { realm, users }))
}

/// `name:hash` lines.
fn from_file(context: &mut Context<'_>, place: Place<'_>, path: &Path, users: &mut Vec<UserSpec>) {
    let Some(text) = env::secret_file(context, place, path) else { return };
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line.split_once(':').unwrap_or((line, ""));
        let wrong = match check(hash) {
            _ if users.iter().any(|user| user.name == name) => Some(format!("user `{name}` is listed twice")),
            Err(_) if hash.is_empty() => Some("`name:hash` is expected".to_owned()),
            Err((what, help)) => Some(format!("the password of `{name}` cannot be checked: {what}; {help}")),
            Ok(()) => None,
        };
        if let Some(wrong) = wrong {
            let source = Source::masked(path, "", &[]);
            context.report.push(
                Severity::Error,
                "auth::hash",
                format!("line {}: {wrong}", index + 1),
                source,
            );
        }
        users.push(UserSpec { name: name.to_owned(), hash: hash.to_owned() });
    }
}

/// What is wrong with a hash, and what to do.
fn check(hash: &str) -> Result<(), (String, String)> {
    let Ok(parsed) = PasswordHash::new(hash) else {
        let other = ["$2a$", "$2b$", "$2y$", "$apr1$", "$1$", "$5$", "$6$", "{SHA}", "{SSHA}"];
        return Err(match other.iter().find(|begin| hash.starts_with(*begin)) {
            Some(_) => ("hashed, but not with argon2".into(), MAKE.into()),
            None => ("a password as it is, not its hash".into(), MAKE.into()),
        });
    };
    if !parsed.algorithm.as_str().starts_with("argon2") || parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(("hashed, but not with argon2".into(), MAKE.into()));
    }
    match Params::try_from(&parsed) {
        Ok(params) if params.m_cost() > MAX_MEMORY || params.t_cost() > 64 || params.p_cost() > 16 => Err((
            "every try would cost too much".into(),
            format!("at most m={MAX_MEMORY}, t=64, p=16; {MAKE}"),
        )),
        Ok(_) => Ok(()),
        Err(error) => Err((format!("not valid: {error}"), MAKE.into())),
    }
}

/// `forward_auth`.
pub fn forward(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&ForwardAuthFile>,
    scope: &Scope<'_>,
) -> Option<Option<ForwardAuthSpec>> {
    let table = match file? {
        ForwardAuthFile::Switch(false) => return Some(None),
        ForwardAuthFile::Switch(true) => {
            let found = context.report.error("auth::whom", "`true` does not say who is asked");
            found
                .at(place.span(), "whom?")
                .help("write `forward_auth = { app = \"auth\", path = \"/check\" }`");
            return Some(None);
        }
        ForwardAuthFile::Table(table) => table,
    };
    let upstream = match (place.key("app").given(), place.key("proxy").given()) {
        (true, true) => {
            context
                .report
                .error("auth::whom", "one of `app` and `proxy` is asked")
                .at(place.key("proxy").name_span(), "remove this")
                .at(place.key("app").name_span(), "or this");
            None
        }
        (false, false) => {
            let found = context.report.error("auth::whom", "nobody is asked");
            found.at(place.span(), "`app` or `proxy` is missing");
            None
        }
        (true, false) => table.app.as_deref().and_then(|name| {
            handler::to_app(context, place.key("app"), name, scope).map(|name| name.to_string())
        }),
        (false, true) => table.proxy.as_deref().and_then(|text| {
            handler::upstream(context, place.key("proxy"), text).map(|address| format!("={address}"))
        }),
    };
    let path = table.path.clone().unwrap_or_else(|| "/".into());
    context.url_path(place.key("path"), &path);
    let mut copy: Vec<String> = Vec::new();
    for (place, name) in items(place.key("copy"), table.copy.as_ref()) {
        if let Err(wrong) = web::header_name(name) {
            context.wrong("header::name", format!("{name:?} cannot be copied"), place, wrong);
        }
        copy.push(name.to_owned());
    }
    let timeout =
        context.duration(place.key("timeout"), table.timeout.as_ref(), Duration::from_secs(5), false);
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
    Some(Some(ForwardAuthSpec { upstream: upstream?, path, copy, timeout_ms }))
}
