//! Why a request failed, as the edge saw it: one JSON line each in the ring of `home/logs/edge/failures/` (the edge writes,
//! `mainstay why` reads). Nothing of a request's query, body, cookies or other headers is in it.

use serde::{Deserialize, Serialize};

/// One failed request: it got an answer of 5xx, or of the edge's own with 4xx, or was cut off.
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
    /// Status it got; 0: it was cut off before a status, or in the middle of an answer.
    pub status: u16,
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

/// One instance that a request was given to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// [`crate::snapshot::Endpoint::instance`].
    pub instance: String,
    /// [`crate::snapshot::Endpoint::release`].
    pub release: u64,
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
    /// Ambiguous or malformed; too large a head; the wrong way.
    Malformed,
    /// Its head or body did not come in time.
    SlowClient,
    /// Its body is larger than the route lets it be.
    TooLarge,
    /// An address, method, type of file or origin that the route does not let in.
    Access,
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
    /// The application itself answered so.
    Application,
    /// Another server that had to be asked could not be.
    AuthServer,
    /// The client went away.
    ClientGone,
    /// Anything else of the edge's own.
    Other,
}
