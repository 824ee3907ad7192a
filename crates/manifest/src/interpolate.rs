//! `${VAR}` in the strings of the parsed document, never in its text: a value can hold quotes, line ends or `#`
//! without changing what the manifest says.
//!
//! ```text
//! $$            a dollar sign
//! ${VAR}        its value; an error where there is none
//! ${VAR:-text}  its value, or `text` where it is unset or empty     ${VAR-text}  only where it is unset
//! ${VAR:?text}  its value, or the error `text` where unset or empty ${VAR?text}  only where it is unset
//! ```
//! `text` may hold further variables. `$PORT`, `$SOCKET`, `$HOST` and `$BUILD_DIRECTORY`, with braces or without, stay as they
//! are where a process gets them at its start ([`RUNTIME`]), the last in the steps of a build too ([`BUILD`]). Any other `$` stays.

use crate::tree::Origin;

/// Variables that are known only when an instance starts.
pub const RUNTIME: &[&str] = &["PORT", "SOCKET", "HOST", BUILD_DIRECTORY];

/// Variables that are known only when a build begins.
pub const BUILD: &[&str] = &[BUILD_DIRECTORY];

/// Where an app's build leaves what it makes.
pub const BUILD_DIRECTORY: &str = "BUILD_DIRECTORY";

/// Defaults nested deeper than this are refused.
const MAX_DEPTH: usize = 16;

/// A variable's value, and whether it may be shown.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<(String, Origin)>;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No value and no default.
    Unset(String),
    /// `${VAR:?message}` without a value.
    Required(String, String),
    /// Not one of the forms; the text says why.
    Syntax(String),
}

/// A text in which every variable is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpolated {
    /// The text.
    pub text: String,
    /// What was put in.
    pub origin: Origin,
    /// Names that stand behind a `$` without braces, as a shell would replace them and we do not.
    pub bare: Vec<String>,
}

/// Replaces every variable in `text` but those of `later`.
pub fn interpolate(text: &str, later: &[&str], lookup: Lookup<'_>) -> Result<Interpolated, Vec<Fault>> {
    let mut run = Run { later, lookup, origin: Origin::Written, bare: Vec::new(), faults: Vec::new() };
    let mut out = String::with_capacity(text.len());
    run.expand(text, 0, &mut out);
    match run.faults.is_empty() {
        true => Ok(Interpolated { text: out, origin: run.origin, bare: run.bare }),
        false => Err(run.faults),
    }
}

struct Run<'a> {
    later: &'a [&'a str],
    lookup: Lookup<'a>,
    origin: Origin,
    bare: Vec<String>,
    faults: Vec<Fault>,
}

impl Run<'_> {
    fn expand(&mut self, text: &str, depth: usize, out: &mut String) {
        if depth > MAX_DEPTH {
            return self.faults.push(Fault::Syntax("defaults are nested too deep".into()));
        }
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, dollar) = rest.split_at(at);
            out.push_str(before);
            rest = if let Some(after) = dollar.strip_prefix("$$") {
                out.push('$');
                after
            } else if let Some(body) = dollar.strip_prefix("${") {
                match closing(body) {
                    Some(end) => {
                        self.variable(&body[..end], depth, out);
                        &body[end + 1..]
                    }
                    None => {
                        self.faults
                            .push(Fault::Syntax("`${` without `}`; a dollar sign is written `$$`".into()));
                        ""
                    }
                }
            } else {
                out.push('$');
                self.note_bare(&dollar[1..]);
                &dollar[1..]
            };
        }
        out.push_str(rest);
    }

    fn note_bare(&mut self, after: &str) {
        let name = after.split_once(|c| !is_name(c)).map_or(after, |(name, _)| name);
        let like_a_variable = name.len() > 1
            && name.chars().all(|c| !c.is_ascii_lowercase())
            && !name.as_bytes()[0].is_ascii_digit();
        if like_a_variable && !self.later.contains(&name) {
            self.bare.push(name.to_owned());
        }
    }

    fn variable(&mut self, body: &str, depth: usize, out: &mut String) {
        let (name, operator) = body.split_at(body.find(|c: char| !is_name(c)).unwrap_or(body.len()));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.faults.push(Fault::Syntax(format!("`${{{body}}}` does not name a variable")));
        }
        if operator.is_empty() && self.later.contains(&name) {
            return out.push_str(&format!("${{{name}}}"));
        }
        let (operator, or_empty) = match operator.strip_prefix(':') {
            Some(rest) => (rest, true),
            None => (operator, false),
        };
        let value = (self.lookup)(name).filter(|(value, _)| !(or_empty && value.is_empty()));
        match (value, operator.chars().next()) {
            (value, Some('-')) => match value {
                Some(value) => self.value(value, out),
                None => {
                    self.origin = self.origin.max(Origin::Substituted);
                    self.expand(&operator[1..], depth + 1, out);
                }
            },
            (Some(value), Some('?')) => self.value(value, out),
            (None, Some('?')) => self.faults.push(Fault::Required(name.into(), operator[1..].into())),
            (_, None) if or_empty => self.syntax(body),
            (Some(value), None) => self.value(value, out),
            (None, None) => self.faults.push(Fault::Unset(name.into())),
            (_, Some(_)) => self.syntax(body),
        }
    }

    fn value(&mut self, (value, origin): (String, Origin), out: &mut String) {
        self.origin = self.origin.max(origin).max(Origin::Substituted);
        out.push_str(&value);
    }

    fn syntax(&mut self, body: &str) {
        let text = format!("`${{{body}}}` is none of `${{VAR}}`, `${{VAR:-default}}`, `${{VAR:?message}}`");
        self.faults.push(Fault::Syntax(text));
    }
}

/// Whether this can be in the name of a variable.
pub fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the brace that was opened before `body` closes.
pub fn closing(body: &str) -> Option<usize> {
    let mut open = 0;
    let mut previous = ' ';
    for (at, c) in body.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

/// Whether `text` names this variable of [`RUNTIME`], with or without braces.
pub fn mentions(text: &str, name: &str) -> bool {
    placeholders(text).any(|found| found == name)
}

/// Names that stand behind a `$`, with or without braces.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|after| {
        let after = after.strip_prefix('{').unwrap_or(after);
        after.split_once(|c| !is_name(c)).map_or(after, |(name, _)| name)
    })
}

/// The text that [`interpolate`] turns into `text` again: dollar signs doubled, but those of the variables of `later`.
pub fn escape(text: &str, later: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('$').enumerate() {
        if index > 0 {
            let names_later = {
                let bare = part.split_once(|c| !is_name(c)).map_or(part, |(name, _)| name);
                let braced =
                    part.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
                later.contains(&bare) || braced.is_some_and(|name| later.contains(&name))
            };
            out.push_str(if names_later { "$" } else { "$$" });
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(text: &str) -> Result<String, Vec<Fault>> {
        let lookup = |name: &str| match name {
            "A" => Some(("1".to_owned(), Origin::Substituted)),
            "EMPTY" => Some((String::new(), Origin::Substituted)),
            "HARD" => Some(("${A} $$ \"\n#".to_owned(), Origin::Substituted)),
            _ => None,
        };
        interpolate(text, RUNTIME, &lookup).map(|done| done.text)
    }

    #[test]
    fn every_form() {
        assert_eq!(run("x${A}y").unwrap(), "x1y");
        assert_eq!(run("${NO:-d}${NO-d}${EMPTY:-d}[${EMPTY-d}]").unwrap(), "ddd[]");
        assert_eq!(run("${NO:-a${A}${NO2:-{b}}c}").unwrap(), "a1{bc}");
        assert_eq!(run("${A:?missing}${EMPTY?missing}").unwrap(), "1");
        assert_eq!(run("$$A $${A} $A $5 $").unwrap(), "$A ${A} $A $5 $");
        assert_eq!(run("$PORT ${PORT} ${SOCKET} $HOST").unwrap(), "$PORT ${PORT} ${SOCKET} $HOST");
        assert_eq!(run("${NO}"), Err(vec![Fault::Unset("NO".into())]));
        assert_eq!(run("${EMPTY:?give it}"), Err(vec![Fault::Required("EMPTY".into(), "give it".into())]));
        for bad in ["${", "${}", "${1A}", "${A!x}", "${A:}", "${NO:-${A}"] {
            assert!(matches!(run(bad).unwrap_err()[..], [Fault::Syntax(_)]), "{bad}");
        }
    }

    #[test]
    fn a_value_is_never_interpolated_again() {
        assert_eq!(run("${HARD}").unwrap(), "${A} $$ \"\n#");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in "[${}:?A-Z_\\-a-z ]*") {
            let _ = run(&text);
        }

        #[test]
        fn text_without_a_dollar_stays(text in "[^$]*") {
            prop_assert_eq!(run(&text).unwrap(), text);
        }

        #[test]
        fn what_is_escaped_comes_back(text in "([${}A-Z]|PORT|HOST)*") {
            prop_assert_eq!(run(&escape(&text, RUNTIME)).unwrap(), text.clone());
            let none = interpolate(&escape(&text, &[]), &[], &|_| None).unwrap();
            prop_assert_eq!(none.text, text);
        }
    }
}
