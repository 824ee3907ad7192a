//! The configuration that a ClientHello is answered with.
//!
//! An authority's challenge (nothing is offered but `acme-tls/1`, for a name that one is waited for) gets the certificate made for it;
//! nobody else ever sees that protocol. Who names a host gets the certificate for it: an exact name before a wildcard before
//! any, and of several for one name the first of the snapshot. Who names none has asked for an address: its certificate, then the one
//! for any name, then the first for an address, as ours may not be the one that the world knows.

use super::certificates::Certificate;
use super::tickets::Tickets;
use super::{ACME, Tls};
use rustls::ServerConfig;
use rustls::server::ClientHello;
use std::net::IpAddr;
use std::sync::Arc;

/// How a handshake goes on.
pub struct Choice {
    /// Of this handshake alone. Without a certificate it fails.
    pub config: Arc<ServerConfig>,
    /// What the client is shown.
    pub certificate: Option<Arc<Certificate>>,
    /// With the handshake all is said.
    pub is_challenge: bool,
}

impl Choice {
    /// Whether there is anything to show to the client.
    pub fn has_certificate(&self) -> bool {
        self.is_challenge || self.certificate.is_some()
    }
}

impl Tls {
    /// For this client, which has connected to the address that `local` gives.
    pub fn choose(&self, hello: &ClientHello<'_>, local: impl FnOnce() -> Option<IpAddr>) -> Choice {
        if let Some(config) = self.challenge(hello) {
            return Choice { config: Arc::clone(config), certificate: None, is_challenge: true };
        }
        let found = match hello.server_name() {
            Some(name) => self.names.find(name.as_bytes()),
            None => self.unnamed(local()),
        };
        let mut config = self.base.clone();
        if let Some(certificate) = found {
            config.cert_resolver = Arc::clone(certificate) as Arc<_>;
            config.ticketer = Arc::new(Tickets::new(&self.keys, certificate.digest));
        }
        Choice { config: Arc::new(config), certificate: found.cloned(), is_challenge: false }
    }

    fn unnamed(&self, local: Option<IpAddr>) -> Option<&Arc<Certificate>> {
        let asked = local.map(|address| address.to_canonical().to_string()).unwrap_or_default();
        self.names.find(asked.as_bytes()).or(self.of_address.as_ref())
    }

    fn challenge(&self, hello: &ClientHello<'_>) -> Option<&Arc<ServerConfig>> {
        if self.challenges.is_empty() {
            return None;
        }
        let mut offered = hello.alpn()?;
        let is_alone = offered.next() == Some(ACME) && offered.next().is_none();
        self.challenges.get(hello.server_name()?).filter(|_| is_alone)
    }
}
