//! What went wrong with an authority, in words that name it, the identifier, the problem and the next step, and when it is tried again.

use super::backoff;
use super::client::Unreached;
use instant_acme::{Error, Problem};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Longest quotation of what an authority or a command said, in characters.
const QUOTED: usize = 500;

/// Why there is no new certificate. What is stored stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    /// Who, what, and the next step; no secrets.
    pub cause: String,
    /// Whether it is worth another try.
    pub retry: Retry,
}

/// Whether and when the same is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Then, and not before.
    At(SystemTime),
    /// Only after somebody changed something: the cause says what.
    Never,
}

/// What kind of failure it is: what is tried next depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The authority was not reached, or what answered was none.
    Unreachable,
    /// It does not want to, and says why.
    Refused,
    /// It does not want to now.
    Limited,
    /// It did not find what it should have found at this host.
    Validation,
    /// It does not know the account any more.
    Gone,
    /// This host's own fault: a disk, a command, an edge.
    Own,
}

/// What went wrong at one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub kind: Kind,
    /// With the next step.
    pub text: String,
    /// Not tried again before, counted from now.
    pub wait: Option<Duration>,
    /// Whose validation failed.
    pub names: Vec<String>,
}

impl Trouble {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), wait: None, names: Vec::new() }
    }

    /// Of this host's own.
    pub(super) fn own(error: impl fmt::Display) -> Self {
        Self::new(Kind::Own, error.to_string())
    }

    /// From what the library says.
    pub(super) fn of(error: &Error, wait: Option<Duration>) -> Self {
        let trouble = match error {
            Error::Api(problem) => Self::of_problem(problem),
            Error::Other(inner) if inner.is::<Unreached>() => Self::new(Kind::Unreachable, inner.to_string()),
            Error::Unsupported(what) => Self::new(Kind::Refused, format!("it does not support {what}")),
            // What the parser says may quote an answer at length.
            Error::Json(_) => Self::new(
                Kind::Unreachable,
                "answers with what is no ACME; look at `authority`, else ask who runs it",
            ),
            error => Self::new(Kind::Unreachable, quoted(&error.to_string())),
        };
        Self { wait, ..trouble }
    }

    /// From a problem document (RFC 8555 section 6.7).
    pub(super) fn of_problem(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let short = kind.rsplit(':').next().unwrap_or_default();
        let (class, next) = match short {
            // Of an account, not of a name.
            "unauthorized" => {
                (Kind::Refused, "the account may not do that: see what the authority's documents say of it")
            }
            _ => judged(short),
        };
        Self::new(class, format!("{}; {next}", told(problem)))
    }

    /// The same of a challenge: of one name.
    pub(super) fn of_validation(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().unwrap_or_default();
        let (class, next) = judged(kind.rsplit(':').next().unwrap_or_default());
        Self::new(class, format!("{}; {next}", told(problem)))
    }
}

impl From<Unreached> for Trouble {
    fn from(error: Unreached) -> Self {
        Self::new(Kind::Unreachable, error.to_string())
    }
}

impl From<crate::CertError> for Trouble {
    fn from(error: crate::CertError) -> Self {
        Self::own(error)
    }
}

/// Type and detail, and those of each identifier (RFC 8555 section 6.7.1).
pub(super) fn told(problem: &Problem) -> String {
    let one = |kind: &Option<String>, detail: &Option<String>| {
        let kind = quoted(kind.as_deref().unwrap_or("no type"));
        format!("{kind}: {}", quoted(detail.as_deref().unwrap_or("no detail")))
    };
    let mut text = one(&problem.r#type, &problem.detail);
    for sub in problem.subproblems.iter().take(10) {
        let name =
            sub.identifier.as_ref().map_or_else(String::new, |name| name.authorized(false).to_string());
        text.push_str(&format!("; {}: {}", quoted(&name), one(&sub.r#type, &sub.detail)));
    }
    text
}

/// What a type of problem means here, and what to do about it.
fn judged(short: &str) -> (Kind, &'static str) {
    match short {
        "rateLimited" => (Kind::Limited, "it is tried again when the authority allows it"),
        "connection" => (
            Kind::Validation,
            "the authority has to reach this host by that name: look at its address and at firewalls",
        ),
        "dns" => (Kind::Validation, "look at the name's records"),
        "incorrectResponse" | "unauthorized" | "tls" => (
            Kind::Validation,
            "somebody else answered for that name: does it lead to this host, and to it alone (A and AAAA)?",
        ),
        "caa" => (
            Kind::Refused,
            "the domain's CAA record names other authorities: add this one, or use one of those",
        ),
        "externalAccountRequired" => {
            (Kind::Refused, "give the authority's `eab`: its `key_id` and `hmac_key`")
        }
        "badPublicKey" | "badCSR" | "badSignatureAlgorithm" => (Kind::Refused, "another `key` may be taken"),
        "invalidContact" | "unsupportedContact" => (Kind::Refused, "give another `email`"),
        "rejectedIdentifier" | "unsupportedIdentifier" => (
            Kind::Refused,
            "it gives no certificate for that name: use another authority, or leave the name out",
        ),
        "invalidProfile" => {
            (Kind::Refused, "give another `profile`: the authority's directory lists those it has")
        }
        "userActionRequired" => (Kind::Refused, "agree to the authority's new terms"),
        "accountDoesNotExist" => (Kind::Gone, "another account is made"),
        "serverInternal" => {
            (Kind::Unreachable, "the authority itself has failed: look at its own status page")
        }
        _ => (Kind::Refused, "see what the authority's documents say of it"),
    }
}

/// A text from elsewhere, on one line and no longer than is good for a status.
pub(super) fn quoted(text: &str) -> String {
    let line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(QUOTED).collect();
    if text.chars().nth(QUOTED).is_some() { format!("{line}…") } else { line }
}

/// When a failed try is repeated.
pub(super) fn again(now: SystemTime, failures: u32, wait: Option<Duration>) -> Retry {
    let own = backoff::after(failures);
    Retry::At(now + wait.map_or(own, |wait| wait.max(own)))
}
