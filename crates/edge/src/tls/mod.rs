//! TLS to clients (RFC 8446, RFC 5246): versions 1.2 and 1.3, forward secrecy and AEAD only, post-quantum key exchange first.
//!
//! ```text
//!   snapshot ──control thread──▶ Tls { config, names }   (a part of the table: swapped with it, without a lock)
//!   accept ──▶ [`welcome`]: PROXY header, handshake ──▶ Stream::Tls + Secure ──▶ HTTP as ever
//! ```
//! - [`certificates`]: which certificate a name gets; one that did not change is not parsed again.
//! - [`tickets`]: sessions are resumed by tickets alone, so that all cores and both edges of a hand-over share them.
//! - [`session`]: the bytes, over the nonblocking socket.
//! - [`misplaced`]: HTTP that belongs on HTTPS (301), requests on a connection that is not for their host (421).
//!
//! A connection keeps the configuration it began with: a swap cuts nothing.

mod certificates;
mod misplaced;
mod session;
mod tickets;
mod welcome;

pub use misplaced::misplaced;
pub use session::Session;
pub use welcome::{Door, welcome};

use crate::hosts::{Hosts, covers};
use certificates::{Certificate, Digest, Resolver};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use std::collections::HashMap;
use std::sync::Arc;
use tickets::Tickets;
use wire::snapshot::{Snapshot, TicketKey};

/// Tickets for each handshake of TLS 1.3: each costs an encryption, and one may be used more than once.
const TICKETS: usize = 1;
/// ALPN of HTTP/2 (RFC 9113 section 3.2).
const H2: &[u8] = b"h2";
/// Likewise of HTTP/1.1 (RFC 7301 section 6).
const HTTP11: &[u8] = b"http/1.1";

/// What TLS connections begin with: a part of the table.
pub struct Tls {
    config: Arc<ServerConfig>,
    names: Arc<Resolver>,
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
}

/// Makes [`Tls`] from snapshots, and remembers what was parsed.
pub struct Builder {
    provider: Arc<CryptoProvider>,
    known: HashMap<Digest, Arc<Certificate>>,
    last: Option<Last>,
}

/// What the last one was made from.
struct Last {
    digests: Vec<Digest>,
    keys: Vec<TicketKey>,
    tls: Arc<Tls>,
}

impl Builder {
    /// Nothing known yet.
    pub fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Self { provider, known: HashMap::new(), last: None }
    }

    /// For a snapshot; the former one where nothing of it has changed. `None`: no door speaks TLS.
    ///
    /// A certificate that cannot be used is left out, and logged: its own hosts are refused, all others are served. To refuse
    /// the snapshot would keep the health of every application from every site because of one file.
    ///
    /// # Errors
    /// Where the library has no such version of TLS, which it has.
    pub fn tls(&mut self, snapshot: &Snapshot) -> Result<Option<Arc<Tls>>, rustls::Error> {
        if !snapshot.doors.iter().any(|door| door.tls) {
            return Ok(None);
        }
        let digests: Vec<Digest> = snapshot.certificates.iter().map(certificates::digest).collect();
        if let Some(last) = &self.last
            && last.digests == digests
            && last.keys == snapshot.ticket_keys
        {
            return Ok(Some(Arc::clone(&last.tls)));
        }
        let mut names = Hosts::default();
        let mut known = HashMap::with_capacity(digests.len());
        for (digest, given) in digests.iter().zip(&snapshot.certificates) {
            let parsed = match self.known.get(digest) {
                Some(known) => Ok(Arc::clone(known)),
                None => Certificate::parse(given, &self.provider).map(Arc::new),
            };
            match parsed {
                Ok(certificate) => {
                    for host in &given.hosts {
                        names.insert(host, Arc::clone(&certificate));
                    }
                    known.insert(*digest, certificate);
                }
                Err(error) => tracing::error!(hosts = ?given.hosts, %error, "a certificate cannot be used"),
            }
        }
        self.known = known;
        let names = Arc::new(Resolver { names });
        let config = self.config(Arc::clone(&names), &snapshot.ticket_keys)?;
        let tls = Arc::new(Tls { config: Arc::new(config), names });
        self.last = Some(Last { digests, keys: snapshot.ticket_keys.clone(), tls: Arc::clone(&tls) });
        Ok(Some(tls))
    }

    fn config(&self, names: Arc<Resolver>, keys: &[TicketKey]) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(names);
        config.alpn_protocols = vec![H2.to_vec(), HTTP11.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets::new(keys));
        config.send_tls13_tickets = TICKETS;
        Ok(config)
    }
}
