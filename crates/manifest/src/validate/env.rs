//! Environment of an app: `env_file`s in order, then `env` over them. Values of `{ secret = … }` and `{ file = … }`, of variables
//! whose name says so, and those whose name or form tells, are [`EnvValue::Secret`]; the rest of what came from files of variables is
//! [`EnvValue::Kept`].

use super::{Context, container, items};
use crate::diagnostic::Source;
use crate::dotenv;
use crate::file::{AppFile, EnvFileValue, EnvSecretFile, SecretFile};
use crate::place::Place;
use crate::tree::Origin;
use crate::values;
use model::Secret;
use model::spec::EnvValue;
use std::collections::BTreeMap;
use std::path::Path;

/// Variables that Mainstay sets itself, by how the instance listens; in a container it sets none.
const RESERVED: [&str; 2] = ["PORT", "SOCKET"];

/// All variables of an app.
pub fn env(context: &mut Context<'_>, place: Place<'_>, file: &AppFile) -> BTreeMap<String, EnvValue> {
    let mut env = BTreeMap::new();
    for (place, text) in items(place.key("env_file"), file.env_file.as_ref()) {
        let Some(path) = context.path(place, text) else { continue };
        match context.disk.read(&path) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let variables = dotenv::read(&path, &text, context.report);
                dotenv::guard(&path, &variables, context.disk, context.report);
                env.extend(variables.into_iter().map(|(key, value)| {
                    let value = hidden(&key, value);
                    (key, value)
                }));
            }
            Err(reason) => {
                context
                    .report
                    .error("env_file::unreadable", format!("the environment file {text:?} cannot be read"))
                    .at(place.span(), reason)
                    .help(format!("looked for {}", path.display()));
            }
        }
    }
    let (contained, place) = (container::is(place), place.key("env"));
    for (name, value) in &file.env {
        let place = place.key(name);
        check_name(context, place, name, contained);
        if let Some(value) = self::value(context, place, name, value) {
            env.insert(name.clone(), value);
        }
    }
    env
}

fn check_name(context: &mut Context<'_>, place: Place<'_>, name: &str, contained: bool) {
    if name.is_empty() || name.contains(['=', '\0']) {
        context
            .report
            .error("name::bad", format!("{name:?} cannot name a variable"))
            .at(place.name_span(), "a name is not empty and holds no `=`");
    } else if RESERVED.contains(&name) && !contained {
        context
            .report
            .error("env::reserved", format!("`{name}` is set by Mainstay"))
            .at(place.name_span(), "would be replaced")
            .help("to fix the port write `port = …` beside `run`");
    }
}

/// One value of a variable.
pub fn value(
    context: &mut Context<'_>,
    place: Place<'_>,
    name: &str,
    value: &EnvFileValue,
) -> Option<EnvValue> {
    let text = match value {
        EnvFileValue::Text(text) => text.clone(),
        EnvFileValue::Integer(number) => number.to_string(),
        EnvFileValue::Float(number) => place.float().map_or_else(|| number.to_string(), str::to_owned),
        EnvFileValue::Bool(flag) => flag.to_string(),
        EnvFileValue::Secret(file) => return made_or_given(context, place, file),
    };
    check_text(context, place, &text);
    Some(match place.origin() {
        Origin::Secret => EnvValue::Secret(Secret::new(text)),
        Origin::File => hidden(name, text),
        _ if tells(name, &text) => EnvValue::Secret(Secret::new(text)),
        _ => EnvValue::Plain(text),
    })
}

fn tells(name: &str, text: &str) -> bool {
    values::sounds_secret(name) || values::holds_password(text)
}

/// What stood in a file of variables.
fn hidden(name: &str, text: String) -> EnvValue {
    let telling = tells(name, &text);
    let value = Secret::new(text);
    if telling { EnvValue::Secret(value) } else { EnvValue::Kept(value) }
}

fn check_text(context: &mut Context<'_>, place: Place<'_>, text: &str) {
    if text.contains('\0') {
        context
            .report
            .error("text::nul", "a value cannot hold a NUL character")
            .at(place.span(), "NUL in here");
    }
    if values::looks_double_encoded(text) {
        context
            .report
            .warning("text::double-encoded", "this value looks double-encoded")
            .at(place.span(), "UTF-8 that was read as Windows-1252 and encoded again")
            .help("save the original text as UTF-8 once");
    }
}

/// A secret value that may be one that is made.
fn made_or_given(context: &mut Context<'_>, place: Place<'_>, file: &EnvSecretFile) -> Option<EnvValue> {
    let generate = place.key("generate");
    if !generate.given() {
        let given = SecretFile { file: file.file.clone(), secret: file.secret.clone() };
        return secret(context, place, &given);
    }
    if let Some(other) = ["file", "secret"].into_iter().find(|key| place.key(key).given()) {
        let message = "a secret comes from one place: `file`, `secret` or `generate`";
        let found = context.report.error("secret::ambiguous", message);
        found.at(generate.name_span(), "remove this").at(place.key(other).name_span(), "or this");
        return None;
    }
    file.generate.and_then(|bytes| u32::try_from(bytes).ok()).map(EnvValue::Generate)
}

/// A secret value.
pub fn secret(context: &mut Context<'_>, place: Place<'_>, file: &SecretFile) -> Option<EnvValue> {
    match (place.key("file").given(), place.key("secret").given()) {
        (true, true) => {
            context
                .report
                .error("secret::ambiguous", "a secret comes from one place: `file` or `secret`")
                .at(place.key("secret").name_span(), "remove this")
                .at(place.key("file").name_span(), "or this");
            return None;
        }
        (false, false) => {
            let found = context.report.error("secret::empty", "`file` or `secret` is missing");
            found.at(place.span(), "no value in here");
            return None;
        }
        _ => {}
    }
    if let Some(text) = &file.secret {
        check_text(context, place.key("secret"), text);
        return Some(EnvValue::Secret(Secret::new(text.clone())));
    }
    let place = place.key("file");
    let path = context.path(place, file.file.as_deref()?)?;
    secret_file(context, place, &path).map(|text| EnvValue::Secret(Secret::new(text)))
}

/// A file is one value. One line end at its end does not belong to it: editors add it, `docker secret` users do not.
pub fn secret_file(context: &mut Context<'_>, place: Place<'_>, path: &Path) -> Option<String> {
    let text = match context.disk.read(path) {
        Ok(text) => text.unwrap_or_default(),
        Err(reason) => {
            let found = context.report.error("secret::unreadable", "the file of a secret cannot be read");
            found.at(place.span(), reason).help(format!("looked for {}", path.display()));
            return None;
        }
    };
    if context.disk.others_may_read(path) {
        context
            .report
            .warning("secret::readable", "every user of this machine can read this secret")
            .at(place.span(), "readable by others")
            .help(format!("chmod o-rwx {}", path.display()));
    }
    let value = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    if value.contains('\0') {
        let source = Source::masked(path, "", &[]);
        let message = "a secret cannot hold a NUL character".to_owned();
        context.report.push(crate::diagnostic::Severity::Error, "text::nul", message, source);
        return None;
    }
    Some(value.to_owned())
}
