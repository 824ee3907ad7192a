//! How a command fails: one cause, one next step, one exit code.

use crate::context::Context;
use crate::logs::printable;
use std::fmt;
use std::io::{self, Write};

/// Exit codes; the table stands in `--help` and in `docs/commands.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Wrong configuration; nothing was touched.
    Configuration,
    /// Wrong usage.
    Usage,
    /// Not running, or an unclean stop.
    Unclean,
    /// Something did not become healthy.
    Unhealthy,
    /// Another holder has the lock.
    Locked,
}

impl Code {
    /// As the shell sees it.
    pub fn number(self) -> u8 {
        match self {
            Self::Configuration => 1,
            Self::Usage => 2,
            Self::Unclean => 3,
            Self::Unhealthy => 4,
            Self::Locked => 5,
        }
    }
}

/// Why a command failed. Holds no secret: its parts are shown.
#[derive(Debug)]
pub struct Failure {
    /// What the shell gets.
    pub code: Code,
    /// What happened, in a line.
    pub cause: String,
    /// What to do about it.
    pub next: Option<String>,
    /// More to read before the cause: diagnostics, last lines of a log.
    pub detail: String,
    /// The manifest's diagnostics, for `--json`.
    pub diagnostics: Vec<serde_json::Value>,
    /// Whoever read standard output has enough (`mainstay status | head`): nothing went wrong.
    pub reader_left: bool,
}

impl Failure {
    /// A cause without a next step.
    pub fn new(code: Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
            next: None,
            detail: String::new(),
            diagnostics: Vec::new(),
            reader_left: false,
        }
    }

    /// Adds what to do about it.
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    /// Adds what to read before the cause.
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = text.into();
        self
    }

    /// To standard error, as people read it, or as JSON with `--json`.
    pub fn print(&self, context: &Context) {
        let mut out = io::stderr().lock();
        // nobody is left to tell when standard error is closed
        let _ = if context.json {
            // what stands in `diagnostics` is not said again as text
            let detail = if self.diagnostics.is_empty() { self.detail.as_str() } else { "" };
            let json = serde_json::json!({
                "error": self.cause, "next": self.next, "detail": detail, "code": self.code.number(),
                "diagnostics": self.diagnostics,
            });
            writeln!(out, "{json}")
        } else {
            self.write(&mut out, context)
        };
    }

    fn write(&self, out: &mut impl Write, context: &Context) -> io::Result<()> {
        let style = context.stderr_style();
        // An app's last words may be among them.
        let clean = |text: &str| {
            let lines: Vec<String> = text.lines().map(|line| printable(line, style.is_on())).collect();
            lines.join("\n")
        };
        if !self.detail.is_empty() {
            writeln!(out, "{}", clean(self.detail.trim_end()))?;
        }
        writeln!(out, "{} {}", style.red("error:"), clean(&self.cause))?;
        match &self.next {
            Some(next) => writeln!(out, "{} {}", style.bold(" next:"), clean(next)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let reader_left = error.kind() == io::ErrorKind::BrokenPipe;
        Self { reader_left, ..Self::new(Code::Unclean, error.to_string()) }
    }
}

impl From<keeper::KeeperError> for Failure {
    fn from(error: keeper::KeeperError) -> Self {
        let code = match error.exit_code() {
            1 => Code::Configuration,
            2 => Code::Usage,
            4 => Code::Unhealthy,
            5 => Code::Locked,
            _ => Code::Unclean,
        };
        let failure = Self::new(code, error.to_string());
        match error {
            keeper::KeeperError::Manifest { diagnostics } => failure.detail(diagnostics),
            keeper::KeeperError::Listen { cause, .. } => failure.next(match cause {
                cause if cause.contains("(mainstay") => {
                    "that is Mainstay itself: mainstay stop ends it, or listen elsewhere: --http 127.0.0.1:PORT, --https 127.0.0.1:PORT"
                }
                cause if cause.contains("taken by") => {
                    "end that process, or listen elsewhere: --http 127.0.0.1:PORT, --https 127.0.0.1:PORT"
                }
                cause if cause.contains("need root") => {
                    "start it as root, or listen elsewhere: --http 8080 --https 8443; or let this program have low ports: \
                     sudo setcap cap_net_bind_service=+ep PATH-OF-MAINSTAY"
                }
                _ => "listen elsewhere: --http 127.0.0.1:PORT, --https 127.0.0.1:PORT",
            }),
            keeper::KeeperError::Locked { .. } => {
                failure.next("mainstay status shows what it runs; mainstay stop ends it")
            }
            _ => failure,
        }
    }
}
