//! Changes of the path: prefixes first, then regular expressions.

use crate::file::RewriteFile;
use crate::place::Place;
use crate::validate::site::Scope;
use crate::validate::{Context, missing};
use crate::values;
use model::policy::RewriteSpec;
use regex::Regex;

/// `strip_prefix`; an empty one takes away what the site says.
pub fn strip(
    context: &mut Context<'_>,
    place: Place<'_>,
    text: Option<&str>,
    scope: &Scope<'_>,
) -> Option<Option<RewriteSpec>> {
    let prefix = prefix(context, place, text?)?;
    let never = |path: &&str| {
        let below = path.strip_suffix("/*");
        let is_below = |path: &str, prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !is_below(below.unwrap_or(path), &prefix) && below.is_none_or(|stem| !is_below(&prefix, stem))
    };
    if let Some(path) = scope.path.filter(never) {
        context
            .report
            .error("prefix::never", format!("no request of this route begins with `{prefix}`"))
            .at(place.span(), format!("the route answers `{path}`"));
    }
    Some((!prefix.is_empty()).then_some(RewriteSpec::StripPrefix(prefix)))
}

/// `add_prefix`; an empty one takes away what the site says.
pub fn add(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<Option<RewriteSpec>> {
    let prefix = prefix(context, place, text?)?;
    Some((!prefix.is_empty()).then_some(RewriteSpec::AddPrefix(prefix)))
}

/// Without slashes at its end.
fn prefix(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Option<String> {
    let plain = text.strip_suffix("/*").unwrap_or(text).trim_end_matches('/');
    if plain.is_empty() {
        return Some(String::new());
    }
    match values::pattern(plain) {
        Ok(()) => Some(plain.to_owned()),
        Err(wrong) => {
            context.wrong("path::bad", format!("{text:?} is not the beginning of a path"), place, wrong);
            None
        }
    }
}

/// `rewrite`.
pub fn rewrite(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&[RewriteFile]>,
) -> Option<Vec<RewriteSpec>> {
    let mut list = Vec::new();
    for (index, file) in file?.iter().enumerate() {
        let place = place.item(index);
        for key in ["match", "with"] {
            missing(
                context,
                place,
                key,
                "a table of `rewrite`",
                "write `{ match = \"^/old/(.*)\", with = \"/new/$1\" }`",
            );
        }
        let (Some(pattern), Some(with)) = (&file.pattern, &file.with) else { continue };
        match Regex::new(pattern) {
            Ok(regex) => {
                groups(context, place.key("with"), &regex, with);
                list.push(RewriteSpec::Replace { pattern: pattern.clone(), with: with.clone() });
            }
            Err(error) => {
                let text = error.to_string();
                // The last line says what; those before show the expression once more.
                let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let found =
                    context.report.error("regex::bad", format!("{pattern:?} is not a regular expression"));
                found.at(place.key("match").span(), what);
            }
        }
    }
    Some(list)
}

/// A group that is named and not there would silently become nothing.
fn groups(context: &mut Context<'_>, place: Place<'_>, regex: &Regex, with: &str) {
    let mut rest = with;
    while let Some((_, after)) = rest.split_once('$') {
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|body| body.split_once('}')).map(|(name, _)| name);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let name = braced.or(after.get(..end)).unwrap_or_default();
        let there = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => name.is_empty() || regex.capture_names().flatten().any(|own| own == name),
        };
        if !there {
            let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, letters) = name.split_at(digits);
            let help = match number {
                "" => format!("groups are counted from 1, or named by `(?<{name}>…)`"),
                _ if letters.is_empty() => {
                    "groups are the parts of `match` in parentheses, counted from 1".into()
                }
                number => format!("write `$${{{number}}}{letters}` if `${number}` is meant"),
            };
            let found =
                context.report.error("rewrite::group", format!("there is no group `{name}` in `match`"));
            found.at(place.span(), format!("`${name}` would be nothing")).help(help);
        }
    }
}
