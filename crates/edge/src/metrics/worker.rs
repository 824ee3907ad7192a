//! Figures of a worker itself.

use super::{Count, SharedSites};
use std::sync::Arc;

/// A version of HTTP, as clients speak it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// RFC 1945, or 9112 with a client of before.
    Http10,
    /// RFC 9112.
    #[default]
    Http11,
    /// RFC 9113.
    Http2,
}

impl Version {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// As the access log and the metrics' label have it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With a new session.
    Full,
    /// With one resumed from a ticket.
    Resumed,
    /// Not at all.
    Failed,
}

impl Handshake {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Full, Self::Resumed, Self::Failed];

    /// As the metrics' label has it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
        }
    }
}

/// Figures that one worker writes and others read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerStats {
    /// Client connections open now.
    pub connections: Count,
    /// Requests under way now.
    pub in_flight: Count,
    /// Requests that have ended.
    pub requests: Count,
    /// Bytes of buffers lent now.
    pub buffers: Arc<Count>,
    /// By site.
    pub sites: SharedSites,
    versions: [Count; Version::ALL.len()],
    handshakes: [Count; Handshake::ALL.len()],
}

impl WorkerStats {
    /// An exchange begins.
    pub fn begin(&self) {
        self.in_flight.add(1);
    }

    /// An exchange has ended.
    pub fn end(&self, version: Version) {
        self.in_flight.sub(1);
        self.requests.add(1);
        self.versions.get(version as usize).inspect(|count| count.add(1));
    }

    /// A TLS handshake has ended.
    pub fn handshake(&self, how: Handshake) {
        self.handshakes.get(how as usize).inspect(|count| count.add(1));
    }

    /// Requests in this version.
    pub fn version(&self, version: Version) -> u64 {
        self.versions.get(version as usize).map_or(0, Count::get)
    }

    /// Handshakes that ended so.
    pub fn handshakes(&self, how: Handshake) -> u64 {
        self.handshakes.get(how as usize).map_or(0, Count::get)
    }

    /// Adds these figures to a sum.
    pub fn add_to(&self, sum: &mut wire::edge::Stats) {
        sum.connections += self.connections.get();
        sum.in_flight += self.in_flight.get();
        sum.requests += self.requests.get();
    }
}
