//! One matcher of a rule: its name and values → [`Condition`].

use super::{all, any};
use crate::diagnostic::nearest;
use crate::values;
use model::condition::{Condition, REGEX_SIZE};
use regex::RegexBuilder;

/// Names, as they are written today.
const NAMES: [&str; 12] = [
    "Host",
    "HostRegexp",
    "Path",
    "PathPrefix",
    "PathRegexp",
    "Method",
    "Header",
    "HeaderRegexp",
    "Query",
    "QueryRegexp",
    "ClientIP",
    "Headers",
];

/// What is wrong, and what to do about it.
type Wrong = (String, Option<String>);

fn wrong<T>(what: impl Into<String>, help: Option<&str>) -> Result<T, Wrong> {
    Err((what.into(), help.map(str::to_owned)))
}

/// The condition that a matcher means.
pub fn condition(name: &str, values: &[String]) -> Result<Condition, Wrong> {
    let lower = name.to_ascii_lowercase();
    if values.is_empty() {
        return wrong(format!("`{name}` has no value"), None);
    }
    let each = |make: fn(&str) -> Result<Condition, Wrong>| {
        values.iter().map(|value| make(value)).collect::<Result<_, _>>().map(any)
    };
    match &*lower {
        "host" | "hostheader" => each(host),
        "hostregexp" => each(host_regexp),
        "path" => each(|path| path_of(path, Condition::Path, "$")),
        "pathprefix" => each(|path| path_of(path, Condition::PathPrefix, "")),
        "pathregexp" => each(|text| regex(text).map(Condition::PathRegexp)),
        "method" => each(|method| Ok(Condition::Method(method.to_ascii_uppercase()))),
        "clientip" => each(client),
        "header" | "headers" => match values {
            [name, value] if value.is_empty() => Ok(Condition::HeaderRegexp(field(name)?, String::new())),
            [name, value] => Ok(Condition::Header(field(name)?, value.clone())),
            _ => wrong(format!("`{name}` has a name and a value"), Some("write Header(`X-Name`, `value`)")),
        },
        "headerregexp" | "headersregexp" => match values {
            [name, text] => Ok(Condition::HeaderRegexp(field(name)?, regex(text)?)),
            _ => wrong(format!("`{name}` has a name and a regular expression"), None),
        },
        "query" => query(values),
        "queryregexp" => match values {
            [name, text] => Ok(Condition::QueryRegexp(name.clone(), regex(text)?)),
            _ => wrong("`QueryRegexp` has a name and a regular expression", None),
        },
        "hostsni" | "hostsniregexp" | "alpn" => {
            wrong(format!("`{name}` is of TCP routers, which see no HTTP"), Some("write Host(`…`)"))
        }
        _ => {
            let near = nearest(name, NAMES).map(|near| format!("did you mean `{near}`?"));
            Err((
                format!("there is no matcher `{name}`"),
                near.or(Some(format!("there are {}", NAMES.join(", ")))),
            ))
        }
    }
}

fn host(text: &str) -> Result<Condition, Wrong> {
    if text.contains('*') {
        return wrong(
            format!("{text:?} is no host name"),
            Some("write HostRegexp(`^[^.]+\\.example\\.com$`)"),
        );
    }
    match values::host(text) {
        Ok(host) => Ok(Condition::Host(host)),
        Err(error) => Err((format!("{text:?} is no host name: {}", error.what), error.help)),
    }
}

fn host_regexp(text: &str) -> Result<Condition, Wrong> {
    let text = match template(text, "[^.]+")? {
        Some(pattern) => format!("^{pattern}$"),
        None => text.to_owned(),
    };
    regex(&text).map(Condition::HostRegexp)
}

/// A path, or a template of one.
fn path_of(text: &str, plain: fn(String) -> Condition, end: &str) -> Result<Condition, Wrong> {
    if !text.starts_with('/') {
        return wrong(format!("{text:?} is no path: it begins with `/`"), None);
    }
    if text.contains(['?', '#']) || text.chars().any(|c| c.is_control() || c == ' ') {
        return wrong(format!("{text:?} is no path: it has no query and no spaces"), None);
    }
    match template(text, "[^/]+")? {
        Some(pattern) => regex(&format!("^{pattern}{end}")).map(Condition::PathRegexp),
        None => Ok(plain(text.to_owned())),
    }
}

/// A host or path of version 2 with `{name}` or `{name:regex}` in it, as a regular expression; none where there is none. Braces of a
/// regular expression (`{2,3}`, `\p{Lu}`) begin with no name or stand behind a backslash.
fn template(text: &str, default: &str) -> Result<Option<String>, Wrong> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((literal, body)) = next_variable(rest) {
        let Some(end) = closing(body) else {
            return wrong("`{` without `}`", None);
        };
        let (inner, after) = (body.get(..end).unwrap_or_default(), body.get(end + 1..).unwrap_or_default());
        let pattern = inner.split_once(':').map_or(default, |(_, pattern)| pattern);
        out += &regex::escape(literal);
        out += &format!("(?:{pattern})");
        (rest, found) = (after, true);
    }
    out += &regex::escape(rest);
    Ok(found.then_some(out))
}

/// What stands before the next variable, and what behind its brace.
fn next_variable(text: &str) -> Option<(&str, &str)> {
    text.match_indices('{').find_map(|(at, _)| {
        let (before, body) = (text.get(..at)?, text.get(at + 1..)?);
        let end = body.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(body.len());
        let named = body.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && matches!(body.as_bytes().get(end), Some(b':' | b'}'));
        let escaped = before.ends_with(['\\']) || before.ends_with("\\p") || before.ends_with("\\P");
        (named && !escaped && !before.ends_with("\\x")).then_some((before, body))
    })
}

/// Where the brace is closed that was opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at)
    })
}

fn regex(text: &str) -> Result<String, Wrong> {
    match RegexBuilder::new(text).size_limit(REGEX_SIZE).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err((format!("{text:?} is no regular expression: {last}"), None))
        }
    }
}

fn client(text: &str) -> Result<Condition, Wrong> {
    match values::network(text) {
        Ok(net) => Ok(Condition::ClientIp(net)),
        Err(error) => Err((format!("{text:?} is no address: {}", error.what), error.help)),
    }
}

fn field(name: &str) -> Result<String, Wrong> {
    match http1::is_token(name.as_bytes()) {
        true => Ok(name.to_owned()),
        false => wrong(format!("{name:?} is no name of a header"), None),
    }
}

/// `name`, `name`, `value`, or pairs `name=value` of version 2, of which all have to be there.
fn query(values: &[String]) -> Result<Condition, Wrong> {
    if values.iter().all(|value| value.contains('=')) {
        let pair = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok(match template(value, ".*")? {
                Some(pattern) => Condition::QueryRegexp(name.to_owned(), regex(&format!("^{pattern}$"))?),
                None => Condition::Query(
                    name.to_owned(),
                    Some(value.to_owned()).filter(|value| !value.is_empty()),
                ),
            })
        };
        return values.iter().map(pair).collect::<Result<_, _>>().map(all);
    }
    match values {
        [name] => Ok(Condition::Query(name.clone(), None)),
        [name, value] => Ok(Condition::Query(name.clone(), Some(value.clone()))),
        _ => wrong("`Query` has a name and a value", Some("write Query(`name`, `value`)")),
    }
}
