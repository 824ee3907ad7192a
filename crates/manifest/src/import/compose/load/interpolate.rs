//! Variables in the strings of a compose file, as the Compose Specification has them ("Interpolation"):
//!
//! ```text
//! $VAR  ${VAR}                  its value; where it is not set nothing, with a warning
//! ${VAR:-text}  ${VAR-text}     or `text`: where it is unset or empty; where it is unset
//! ${VAR:?text}  ${VAR?text}     or the error `text`
//! ${VAR:+text}  ${VAR+text}     `text` where it is set and not empty; where it is set; else nothing
//! $$                            a dollar sign
//! ```
//! `text` may hold further variables. Any other `$` is an error, as it is there. A value is never read for variables again.

use crate::interpolate::closing;
use crate::tree::Origin;

/// Defaults nested deeper than this are refused.
const MAX_DEPTH: usize = 16;

/// A variable's value, and whether it may be shown.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<(String, Origin)>;

/// A text in which every variable is replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The text.
    pub text: String,
    /// What was put in; none: there was no dollar sign.
    pub origin: Option<Origin>,
    /// Variables without a value and without a default.
    pub unset: Vec<String>,
}

/// What went wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// `${VAR:?message}` without a value.
    Required(String, String),
    /// None of the forms; the text says why.
    Syntax(String),
}

/// Replaces every variable.
pub fn interpolate(text: &str, lookup: Lookup<'_>) -> Result<Done, Fault> {
    let mut run = Run { lookup, done: Done::default() };
    let mut out = String::with_capacity(text.len());
    run.expand(text, 0, &mut out)?;
    Ok(Done { text: out, ..run.done })
}

struct Run<'a> {
    lookup: Lookup<'a>,
    done: Done,
}

impl Run<'_> {
    fn expand(&mut self, text: &str, depth: usize, out: &mut String) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Syntax("defaults are nested too deep".into()));
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            self.done.origin = self.done.origin.max(Some(Origin::Substituted));
            rest = match after.chars().next() {
                Some('$') => {
                    out.push('$');
                    &after[1..]
                }
                Some('{') => {
                    let body = &after[1..];
                    let Some(end) = closing(body) else {
                        return Err(Fault::Syntax("`${` without `}`".into()));
                    };
                    self.braced(&body[..end], depth, out)?;
                    &body[end + 1..]
                }
                _ => {
                    let end = name_end(after);
                    if end == 0 {
                        return Err(Fault::Syntax("a `$` that names no variable".into()));
                    }
                    self.plain(&after[..end], out);
                    &after[end..]
                }
            };
        }
        out.push_str(rest);
        Ok(())
    }

    fn plain(&mut self, name: &str, out: &mut String) {
        match (self.lookup)(name) {
            Some(value) => self.value(value, out),
            None => self.done.unset.push(name.to_owned()),
        }
    }

    fn braced(&mut self, body: &str, depth: usize, out: &mut String) -> Result<(), Fault> {
        let (name, operator) = body.split_at(name_end(body));
        if name.is_empty() {
            return Err(Fault::Syntax(format!("`${{{body}}}` names no variable")));
        }
        if operator.is_empty() {
            self.plain(name, out);
            return Ok(());
        }
        let (operator, or_empty) = operator.strip_prefix(':').map_or((operator, false), |rest| (rest, true));
        let value = (self.lookup)(name).filter(|(value, _)| !(or_empty && value.is_empty()));
        let text = operator.get(1..).unwrap_or_default();
        match (operator.chars().next(), value) {
            (Some('-' | '?'), Some(value)) => self.value(value, out),
            (Some('-'), None) | (Some('+'), Some(_)) => self.expand(text, depth + 1, out)?,
            (Some('+'), None) => {}
            (Some('?'), None) => {
                let mut message = String::new();
                self.expand(text, depth + 1, &mut message)?;
                return Err(Fault::Required(name.to_owned(), message));
            }
            _ => {
                let forms = "`${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${VAR:+replacement}`";
                return Err(Fault::Syntax(format!("`${{{body}}}` is none of {forms}")));
            }
        }
        Ok(())
    }

    fn value(&mut self, (value, origin): (String, Origin), out: &mut String) {
        self.done.origin = self.done.origin.max(Some(origin));
        out.push_str(&value);
    }
}

/// Where the name ends with which this begins: a letter or `_`, then digits too.
fn name_end(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(text: &str) -> Result<String, Fault> {
        let lookup = |name: &str| match name {
            "A" | "FOO" => Some(("1".to_owned(), Origin::Substituted)),
            "EMPTY" => Some((String::new(), Origin::Substituted)),
            "HARD" => Some(("${A} $$".to_owned(), Origin::Substituted)),
            _ => None,
        };
        interpolate(text, &lookup).map(|done| done.text)
    }

    /// The forms of the specification, and what Compose makes of them.
    // req: CONT-03
    #[test]
    fn every_form() {
        for (text, expected) in [
            ("x$A-y${A}z", "x1-y1z"),
            ("[$NO][${NO}]", "[][]"),
            ("${NO:-d}${NO-d}${EMPTY:-d}[${EMPTY-d}]", "ddd[]"),
            ("${A:-d}${A-d}", "11"),
            ("${A:+r}${A+r}[${EMPTY:+r}][${EMPTY+r}][${NO:+r}][${NO+r}]", "rr[][r][][]"),
            ("${A:?e}${EMPTY?e}", "1"),
            ("${NO:-${A}}${NO:-${NO2:-${NO3-x}}}", "1x"),
            ("${NO:-a b:c/d}", "a b:c/d"),
            // The first brace ends a default, as in a shell.
            ("${NO:-{}}", "{}"),
            ("${NO:-}", ""),
            ("$$A $${A} $$", "$A ${A} $"),
            ("${HARD}", "${A} $$"),
            ("${A:-${NO:?never asked}}", "1"),
        ] {
            assert_eq!(run(text).unwrap(), expected, "{text}");
        }
        assert_eq!(run("${NO:?set $A}"), Err(Fault::Required("NO".into(), "set 1".into())));
        assert_eq!(run("${EMPTY:?e}"), Err(Fault::Required("EMPTY".into(), "e".into())));
        for bad in ["${", "${}", "${1A}", "${A!x}", "${A:}", "$", "$(pwd)", "$ x", "$5"] {
            assert!(matches!(run(bad), Err(Fault::Syntax(_))), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in "([${}:?A-Z_+\\-a-z é])*") {
            let _ = run(&text);
        }

        #[test]
        fn text_without_a_dollar_stays(text in "[^$]*") {
            prop_assert_eq!(run(&text).unwrap(), text.clone());
            prop_assert_eq!(run(&text.replace('x', "$$")).unwrap(), text.replace('x', "$"));
        }
    }
}
