//! The language of a route's `when`: Traefik's rules, of version 2 and of version 3.
//!
//! ```text
//! any    = all { "||" all }          all  = one { "&&" one }
//! one    = "!" one | "(" any ")" | NAME "(" text { "," text } ")"
//! text   = `as it stands` | "with \" and \\"
//! ```
//! Names in any case. Where a matcher takes several values (`Host`, `Path`, `Method`, `ClientIP` …) one of them is enough. Version 2 has
//! `{name}` and `{name:regex}` in hosts and paths; version 3 has whole regular expressions there. [`text`] prints what [`parse`] reads.

mod matcher;

use model::condition::Condition;
use std::ops::Range;

/// Expressions nested deeper than this are refused.
const MAX_DEPTH: usize = 32;
/// Longest expression, in bytes.
const MAX_LEN: usize = 16 << 10;

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the expression.
    pub at: Range<usize>,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    fn new<T>(at: Range<usize>, what: impl Into<String>, help: Option<&str>) -> Result<T, Self> {
        Err(Self { at, what: what.into(), help: help.map(str::to_owned) })
    }
}

/// All of them, flat.
pub fn all(list: Vec<Condition>) -> Condition {
    let flat = list.into_iter().flat_map(|one| match one {
        Condition::All(all) => all,
        one => vec![one],
    });
    let mut flat: Vec<Condition> = flat.collect();
    if flat.len() == 1 { flat.remove(0) } else { Condition::All(flat) }
}

/// One of them, flat.
pub fn any(list: Vec<Condition>) -> Condition {
    let flat = list.into_iter().flat_map(|one| match one {
        Condition::Any(any) => any,
        one => vec![one],
    });
    let mut flat: Vec<Condition> = flat.collect();
    if flat.len() == 1 { flat.remove(0) } else { Condition::Any(flat) }
}

/// What an expression says.
pub fn parse(text: &str) -> Result<Condition, Fault> {
    if text.len() > MAX_LEN {
        return Fault::new(0..0, format!("an expression has at most {MAX_LEN} bytes"), None);
    }
    let mut parser = Parser { text, at: 0 };
    let condition = parser.any(0)?;
    parser.space();
    match parser.rest().chars().next() {
        None => Ok(condition),
        Some(')') => Fault::new(parser.here(), "this parenthesis closes nothing", None),
        Some(_) => Fault::new(parser.here(), "`&&` or `||` is expected here", None),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character.
    fn here(&self) -> Range<usize> {
        self.at..self.at + self.rest().chars().next().map_or(0, char::len_utf8)
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn takes(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut list = vec![self.all(depth)?];
        while self.takes("||") {
            list.push(self.all(depth)?);
        }
        Ok(any(list))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut list = vec![self.one(depth)?];
        while self.takes("&&") {
            list.push(self.one(depth)?);
        }
        Ok(all(list))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, Fault> {
        if depth > MAX_DEPTH {
            return Fault::new(self.here(), "parentheses are nested too deep", None);
        }
        if self.takes("!") {
            return Ok(match self.one(depth + 1)? {
                Condition::Not(inner) => *inner,
                other => Condition::Not(Box::new(other)),
            });
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            if !self.takes(")") {
                return Fault::new(self.here(), "`)` is expected here", None);
            }
            return Ok(inner);
        }
        self.matcher()
    }

    fn matcher(&mut self) -> Result<Condition, Fault> {
        let start = self.at;
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or_default();
        if name.is_empty() {
            let help = "write a matcher with its values in back-quotes: Host(`example.com`)";
            return Fault::new(self.here(), "a matcher is expected here", Some(help));
        }
        self.at += len;
        let at = start..self.at;
        if self.rest().starts_with(':') {
            let help = "write Host(`example.com`) && PathPrefix(`/api`)";
            return Fault::new(at, "this is the form of version 1 of Traefik", Some(help));
        }
        if !self.takes("(") {
            return Fault::new(self.here(), format!("`(` is expected behind `{name}`"), None);
        }
        let mut values = Vec::new();
        while !self.takes(")") {
            if !values.is_empty() && !self.takes(",") {
                return Fault::new(self.here(), "`,` or `)` is expected here", None);
            }
            self.space();
            values.push(self.value()?);
        }
        matcher::condition(name, &values).or_else(|(what, help)| Fault::new(at, what, help.as_deref()))
    }

    /// A text in quotes.
    fn value(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '`' | '"')) else {
            return Fault::new(self.here(), "a value in back-quotes is expected here", None);
        };
        self.at += 1;
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    _ => {
                        let help = "write it in back-quotes: there every character stands for itself";
                        let at = self.at + at;
                        return Fault::new(at..at + 1, "behind `\\` comes `\\` or `\"`", Some(help));
                    }
                },
                c => value.push(c),
            }
        }
        Fault::new(start..self.text.len(), "these quotes are not closed", None)
    }
}

/// A condition as [`parse`] reads it.
pub fn text(condition: &Condition) -> String {
    condition.to_string()
}

#[cfg(test)]
mod tests;
