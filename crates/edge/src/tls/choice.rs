//! The configuration that a ClientHello is answered with.
//!
//! An authority's challenge (nothing is offered but `acme-tls/1`, for a name that one is waited for) gets the certificate made for it;
//! nobody else ever sees that protocol. Who names a host gets the certificate for it: an exact name before a wildcard before
//! any, and of several for one name the first of the snapshot. Who names none has asked for an address: its certificate, then the one
//! for any name, then the first for an address, as ours may not be the one that the world knows.

use super::certificates::Certificate;
use super::client_auth::ClientAuth;
use super::tickets::Tickets;
use super::{ACME, Tls};
use rustls::ServerConfig;
use rustls::server::ClientHello;
use std::sync::Arc;

/// How a handshake goes on.
pub struct Choice {
    /// Of this handshake alone. Without a certificate it fails.
    pub config: Arc<ServerConfig>,
    /// What the client is shown.
    pub certificate: Option<Arc<Certificate>>,
    /// What it has to show.
    pub asks: Option<Arc<ClientAuth>>,
    /// With the handshake all is said.
    pub is_challenge: bool,
}

impl Choice {
    /// There is nothing to show to the client.
    pub fn is_empty(&self) -> bool {
        !self.is_challenge && self.certificate.is_none()
    }
}

impl Tls {
    /// For a client that asks for this name, or has named none and connected to this address; `asks`: what the site of that name wants
    /// to be shown.
    pub fn choose(&self, hello: &ClientHello<'_>, asked: &str, asks: Option<&Arc<ClientAuth>>) -> Choice {
        if let Some(config) = self.challenge(hello) {
            let config = Arc::clone(config);
            return Choice { config, certificate: None, asks: None, is_challenge: true };
        }
        let found = self.names.by_host.find(asked.as_bytes());
        let found = found.or(self.names.of_address.as_ref().filter(|_| hello.server_name().is_none()));
        let base = asks.map_or(Some(&self.base), |asks| asks.base());
        let mut config = base.unwrap_or(&self.base).clone();
        // Where what clients show cannot be checked, nobody gets in.
        let certificate = found.filter(|_| base.is_some()).map(Arc::clone);
        if let Some(certificate) = &certificate {
            let scope = [certificate.digest, asks.map(|asks| asks.digest).unwrap_or_default()];
            config.cert_resolver = Arc::clone(certificate) as Arc<_>;
            config.ticketer = Arc::new(Tickets::new(&self.keys, scope));
        }
        Choice { config: Arc::new(config), certificate, asks: asks.map(Arc::clone), is_challenge: false }
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
