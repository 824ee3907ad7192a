//! Why a request failed, as the edge saw it: one JSON line each in the two rings of `home/logs/edge/failures/` (the edge writes,
//! `mainstay why` reads). Nothing of a request's query, body, cookies or other headers is in it.
//!
//! ```text
//! errors-<milliseconds of its begin>-<pid>.jsonl     failures of applications and of the edge
//! refused-<milliseconds of its begin>-<pid>.jsonl    what clients can have as often as they like: scans, limits, their own going
//! ```
//! Two rings, so that a scan of a million addresses that are not there does not take the day's one crash away. A file has the
//! pid of its edge in its name: two edges write during an upgrade, each into its own.

use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Name of the folder, in the edge's folder of logs.
pub const FOLDER: &str = "failures";
/// How far a ring reaches back at most.
pub const AGE: Duration = Duration::from_secs(24 * 3600);

/// One of the two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// Failures of applications and of the edge.
    Errors,
    /// What clients can have as often as they like.
    Refused,
}

impl Ring {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Errors, Self::Refused];

    /// Bytes that it may hold: 256 MB in all.
    pub fn size(self) -> u64 {
        match self {
            Self::Errors => 192_000_000,
            Self::Refused => 64_000_000,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Refused => "refused",
        }
    }

    /// Name of a file of it.
    pub fn file(self, begun_ms: u64, pid: u32) -> String {
        format!("{}-{begun_ms:013}-{pid}.jsonl", self.word())
    }

    /// Which ring a file belongs to, and when it was begun; none: it is none of ours.
    pub fn of_file(path: &Path) -> Option<(Self, u64)> {
        let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
        let mut parts = name.split('-');
        let (word, begun, pid) = (parts.next()?, parts.next()?, parts.next()?);
        let ring = Self::ALL.into_iter().find(|ring| ring.word() == word)?;
        pid.parse::<u32>().ok()?;
        parts.next().is_none().then_some((ring, begun.parse().ok()?))
    }
}

/// Stands in a ring where failures are missing: they came faster than they could be written, or the disk was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub lost: u64,
    /// When it was noticed: milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One failed request: it got an answer of 5xx, or of the edge's own with 4xx, or was cut off. Or a handshake that failed for want of
/// a certificate: it has an id of its own, and neither method nor path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The request's id: `X-Request-Id`.
    pub id: String,
    /// When it came: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Stack whose site it asked; empty: none.
    pub stack: String,
    /// Host it named, masked as the access log is.
    pub host: String,
    /// Method.
    pub method: String,
    /// Path without its query, masked as the access log is.
    pub path: String,
    /// [`crate::snapshot::Route::path`] of the route that matched.
    pub route: Option<String>,
    /// Status it got; 499: its client had gone before; 0: no request was read.
    pub status: u16,
    /// It was cut off in the middle of its answer.
    #[serde(default)]
    pub cut: bool,
    /// Why.
    pub cause: Cause,
    /// In words, with figures.
    pub detail: String,
    /// [`crate::snapshot::Upstream::id`].
    pub upstream: Option<String>,
    /// Instances it was sent to, in order; the last one is where it failed.
    pub tries: Vec<Try>,
    /// Milliseconds that it waited for an instance.
    pub held_ms: u64,
    /// Milliseconds from its head to its end.
    pub took_ms: u64,
}

/// [`Failure::detail`] where instances were there, and each had as many requests as it may have at a time.
pub const BUSY: &str = "all instances are busy";

impl Failure {
    /// It waited in vain, or found no room to wait, and not because the app was not there.
    pub fn was_held_busy(&self) -> bool {
        matches!(self.cause, Cause::HoldFull | Cause::HoldTimeout) && self.detail == BUSY
    }

    /// Where it is kept.
    pub fn ring(&self) -> Ring {
        if self.cause.is_clients() && !self.cut { Ring::Refused } else { Ring::Errors }
    }

    /// When it ended: milliseconds since the Unix epoch.
    pub fn ended_ms(&self) -> u64 {
        self.at_ms.saturating_add(self.took_ms)
    }
}

/// One instance that a request was given to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// [`crate::snapshot::Endpoint::instance`].
    pub instance: String,
    /// [`crate::snapshot::Endpoint::release`].
    pub release: u64,
    /// Process id of the instance, if the edge was told.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Milliseconds from the request's head to the outcome.
    #[serde(default)]
    pub after_ms: u64,
    /// What became of it there.
    pub outcome: String,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No site has this host name.
    NoSite,
    /// The site has no route for it.
    NoRoute,
    /// No file, or one that is not for browsers.
    NoFile,
    /// The route answers that there is nothing any more.
    Gone,
    /// Ambiguous or malformed; too large a head; a protocol that is not passed on.
    Malformed,
    /// It came over a connection whose certificate is for other hosts.
    Misdirected,
    /// There is no certificate for the name that the client asked for.
    NoCertificate,
    /// Its head or body did not come in time.
    SlowClient,
    /// Its body is larger than the route lets it be.
    TooLarge,
    /// An address, method, type of file or origin that the route does not let in.
    Access,
    /// Its address is banned.
    Banned,
    /// No name and password, or wrong ones; another server said no.
    SignIn,
    /// Beyond a rate limit.
    RateLimit,
    /// Beyond a limit of requests at a time.
    Concurrency,
    /// The route is closed for maintenance.
    Maintenance,
    /// The edge itself is at its bounds.
    Overload,
    /// The app is stopped, or ended and is not started again.
    Down,
    /// All its instances fail their health checks.
    Unhealthy,
    /// None is ready yet, and the route holds no requests.
    Starting,
    /// All its instances have as many requests as they may have at a time.
    Busy,
    /// Too many wait already.
    HoldFull,
    /// It waited as long as the hold lets it.
    HoldTimeout,
    /// All instances are left alone after failures in a row.
    CircuitOpen,
    /// No connection: refused.
    Refused,
    /// No connection in time.
    ConnectTimeout,
    /// The instance took the request too slowly.
    SendTimeout,
    /// The instance was silent for too long.
    ReadTimeout,
    /// The connection ended before an answer, or in the middle of one: the instance may have died.
    BrokenOff,
    /// The instance's answer was no HTTP.
    BadAnswer,
    /// It still ran when the time to drain was over, and its instance was ended.
    DrainOverrun,
    /// It still ran when the edge itself ended.
    EdgeEnded,
    /// The application itself answered so.
    Application,
    /// Another server that had to be asked could not be.
    AuthServer,
    /// The client went away.
    ClientGone,
    /// A file could not be read, or changed while it was sent.
    FileFailed,
    /// Anything else of the edge's own.
    Other,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 36] = [
        Self::NoSite,
        Self::NoRoute,
        Self::NoFile,
        Self::Gone,
        Self::Malformed,
        Self::Misdirected,
        Self::NoCertificate,
        Self::SlowClient,
        Self::TooLarge,
        Self::Access,
        Self::Banned,
        Self::SignIn,
        Self::RateLimit,
        Self::Concurrency,
        Self::Maintenance,
        Self::Overload,
        Self::Down,
        Self::Unhealthy,
        Self::Starting,
        Self::Busy,
        Self::HoldFull,
        Self::HoldTimeout,
        Self::CircuitOpen,
        Self::Refused,
        Self::ConnectTimeout,
        Self::SendTimeout,
        Self::ReadTimeout,
        Self::BrokenOff,
        Self::BadAnswer,
        Self::DrainOverrun,
        Self::EdgeEnded,
        Self::Application,
        Self::AuthServer,
        Self::ClientGone,
        Self::FileFailed,
        Self::Other,
    ];

    /// Clients can have it as often as they like.
    pub fn is_clients(self) -> bool {
        matches!(
            self,
            Self::NoSite
                | Self::NoRoute
                | Self::NoFile
                | Self::Gone
                | Self::Malformed
                | Self::Misdirected
                | Self::NoCertificate
                | Self::SlowClient
                | Self::TooLarge
                | Self::Access
                | Self::Banned
                | Self::SignIn
                | Self::RateLimit
                | Self::Concurrency
                | Self::Maintenance
                | Self::Overload
                | Self::ClientGone
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_which_ring_it_belongs_to() {
        for ring in Ring::ALL {
            let name = ring.file(1_763_712_000_007, 4711);
            assert_eq!(
                Ring::of_file(Path::new("/x").join(&name).as_path()),
                Some((ring, 1_763_712_000_007)),
                "{name}"
            );
        }
        for name in
            ["errors.jsonl", "errors-1-2.log", "other-1-2.jsonl", "errors-1-2-3.jsonl", "errors-x-2.jsonl"]
        {
            assert_eq!(Ring::of_file(Path::new(name)), None, "{name}");
        }
        assert!(Ring::ALL.map(Ring::size).iter().sum::<u64>() <= 256_000_000);
    }

    #[test]
    fn all_causes_are_listed_once() {
        let words: std::collections::BTreeSet<String> =
            Cause::ALL.iter().map(|cause| serde_json::to_string(cause).unwrap()).collect();
        assert_eq!(words.len(), Cause::ALL.len());
        assert!(words.contains("\"drain_overrun\""));
    }
}
