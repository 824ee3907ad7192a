//! TLS to clients (RFC 8446, RFC 5246): versions 1.2 and 1.3, forward secrecy and AEAD only, post-quantum key exchange first.
//!
//! ```text
//!   snapshot ──[`builder`], control thread──▶ Tls   (a part of the table: swapped with it, without a lock)
//!   accept ──▶ [`welcome`]: PROXY header ──▶ [`handshake`]: [`hello`] ──▶ [`choice`] ──▶ [`session`] ──▶ Stream::Tls + Secure ──▶ HTTP as ever
//! ```
//! - [`certificates`]: which certificate a name gets; one that did not change is not parsed again.
//! - [`hello`]: the client's first message; [`choice`]: the configuration that it is answered with.
//! - [`tickets`]: sessions are resumed by tickets alone, so that all cores and both edges of a hand-over share them.
//! - [`session`]: the bytes, over the nonblocking socket.
//! - [`client_auth`], [`subject`]: clients that show a certificate; [`unknown`]: names that one is got for while they wait.
//! - [`misplaced`]: HTTP that belongs on HTTPS (301), requests on a connection that is not for their host, or did not begin with
//!   what its site asks for (421).
//!
//! A connection keeps the configuration it began with: a swap cuts nothing.

mod builder;
mod certificates;
mod choice;
mod client_auth;
mod handshake;
mod hello;
mod misplaced;
mod session;
mod subject;
mod tickets;
mod unknown;
mod welcome;

pub use builder::Builder;
pub use client_auth::ClientAuth;
pub use misplaced::misplaced;
pub use session::Session;
pub use unknown::Unknown;
pub use welcome::{Door, welcome};

use crate::hosts::{Hosts, covers};
use certificates::{Certificate, Digest};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::sync::Arc;
use tickets::Keys;

/// ALPN of HTTP/2 (RFC 9113 section 3.2).
const H2: &[u8] = b"h2";
/// Likewise of HTTP/1.1 (RFC 7301 section 6).
const HTTP11: &[u8] = b"http/1.1";
/// Likewise of an authority that wants to see that a name is ours (RFC 8737 section 6.2).
const ACME: &[u8] = b"acme-tls/1";

/// What TLS connections begin with: a part of the table.
pub struct Tls {
    /// Without a certificate: that, and the tickets that go with it, are each handshake's own.
    base: ServerConfig,
    names: Arc<Names>,
    keys: Arc<Keys>,
    /// By name: how an authority's challenge is answered.
    challenges: HashMap<String, Arc<ServerConfig>>,
}

/// Certificates. Of two for the same name the first stays.
#[derive(Default)]
struct Names {
    /// By the name that is asked for.
    by_host: Hosts<Arc<Certificate>>,
    /// For who names none and has come to an address that nothing is known of: the first that is for an address.
    of_address: Option<Arc<Certificate>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What is known of a client's TLS.
#[derive(Debug)]
pub struct Secure {
    /// `TLSv1.3` or `TLSv1.2`, as logs have it.
    pub version: &'static str,
    /// HTTP/2 was agreed on.
    pub h2: bool,
    /// The name it asked for, lower case.
    name: Option<Box<str>>,
    certificate: Option<Arc<Certificate>>,
    /// [`ClientAuth::digest`] of what it was asked for.
    asked: Option<Digest>,
    /// What it has shown, as lines of a head.
    shown: Box<[u8]>,
}

impl Secure {
    /// Whether this connection is one for that host (no port): its name, or one its certificate stands for too. Others are
    /// misdirected (RFC 9110 section 15.5.20).
    pub fn is_for(&self, host: &[u8]) -> bool {
        if self.name.as_ref().is_some_and(|name| name.as_bytes() == host) {
            return true;
        }
        self.certificate.as_ref().is_some_and(|own| own.hosts.iter().any(|name| covers(name, host)))
    }

    /// Whether this connection began with what a site asks for.
    pub fn was_asked(&self, asks: &ClientAuth) -> bool {
        self.asked == Some(asks.digest)
    }

    /// Lines that name the client's certificate; empty: it has shown none.
    pub fn shown(&self) -> &[u8] {
        &self.shown
    }
}
