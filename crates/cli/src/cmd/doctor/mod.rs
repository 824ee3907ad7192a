//! `mainstay doctor`: what this host can do for Mainstay, what it cannot, why, and the command that mends it. Looks by trying where that leaves
//! nothing behind; changes nothing.

mod engine;
mod host;

use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::words::count;
use serde::Serialize;
use std::io::{self, Write};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Good,
    /// Something does less than it could, and Mainstay goes on without.
    Limited,
    /// Something that is installed cannot work.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What, in a word or two.
    about: &'static str,
    state: State,
    /// How it is.
    found: String,
    /// What that means, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    means: Option<String>,
    /// The command that mends it, or what else does.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn good(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, state: State::Good, found: found.into(), means: None, mend: None }
    }

    fn limited(about: &'static str, found: impl Into<String>, means: &str, mend: impl Into<String>) -> Self {
        let (means, mend) = (Some(means.to_owned()), Some(mend.into()));
        Self { about, state: State::Limited, found: found.into(), means, mend }
    }

    fn broken(about: &'static str, found: impl Into<String>, means: &str, mend: impl Into<String>) -> Self {
        Self { state: State::Broken, ..Self::limited(about, found, means, mend) }
    }
}

/// Shows all that was found; fails where something that is installed cannot work.
pub fn run(context: &Context) -> Result<(), Failure> {
    let mut findings = host::look();
    findings.extend(engine::look());
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&findings).unwrap_or_default())?;
    } else {
        write!(out, "{}", text(&findings, context))?;
    }
    match findings.iter().filter(|it| it.state == State::Broken).count() {
        0 => Ok(()),
        broken => {
            let what = format!("{} of this host cannot work as it is", count(broken, "part"));
            Err(Failure::new(Code::Configuration, what).next("the commands above; then mainstay doctor"))
        }
    }
}

fn text(findings: &[Finding], context: &Context) -> String {
    let style = context.style();
    let width = findings.iter().map(|it| it.about.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { about, state, found, means, mend } in findings {
        let word = match state {
            State::Good => style.green("good   "),
            State::Limited => style.yellow("limited"),
            State::Broken => style.red("broken "),
        };
        text += &format!("{word}  {about:width$}  {found}\n");
        let more = [("means", means), ("next", mend)].into_iter();
        for (what, line) in more.filter_map(|(what, line)| Some((what, line.as_ref()?))) {
            text += &format!("{:9}{:width$}  {}\n", "", "", style.dim(&format!("{what}: {line}")));
        }
    }
    text
}
