//! Snapshot → [`Tls`], on the control thread.

use super::certificates::{self, Certificate, CertificateError, Digest, Nobody};
use super::client_auth::{ClientAuth, digest_of};
use super::tickets::Keys;
use super::{ACME, H2, HTTP11, Names, Tls};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WantsServerCert};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use wire::snapshot::{ClientCerts, Snapshot, TicketKey};

/// Tickets for each handshake of TLS 1.3: each costs an encryption, and one may be used more than once.
const TICKETS: usize = 1;

/// Makes [`Tls`] from snapshots, and remembers what was parsed.
pub struct Builder {
    provider: Arc<CryptoProvider>,
    known: HashMap<Digest, Arc<Certificate>>,
    auths: HashMap<Digest, Arc<ClientAuth>>,
    /// The last names, and what they were made from.
    names: (Origin, Arc<Names>),
    last: Option<Last>,
}

/// Where certificates came from.
#[derive(PartialEq, Eq)]
enum Origin {
    /// By themselves, with this revision.
    Apart(u64),
    /// In a snapshot.
    Within(Vec<Digest>),
}

/// What the last one was made from.
struct Last {
    challenges: Vec<wire::snapshot::Certificate>,
    keys: Vec<TicketKey>,
    tls: Arc<Tls>,
}

impl Builder {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            known: HashMap::new(),
            auths: HashMap::new(),
            names: (Origin::Within(Vec::new()), Arc::default()),
            last: None,
        }
    }

    /// Takes certificates that came apart from the snapshots they are for.
    pub fn take(&mut self, revision: u64, given: &[wire::snapshot::Certificate]) {
        let digests: Vec<Digest> = given.iter().map(certificates::digest).collect();
        self.names = (Origin::Apart(revision), self.parse(given, &digests));
    }

    /// Whether those of this revision came.
    pub fn has(&self, revision: u64) -> bool {
        self.names.0 == Origin::Apart(revision)
    }

    /// For a snapshot, whose certificates are here if they came apart; the former one where nothing of it has changed. `None`: no door
    /// speaks TLS.
    ///
    /// # Errors
    /// Where the library has no such version of TLS, which it has.
    pub fn tls(&mut self, snapshot: &Snapshot) -> Result<Option<Arc<Tls>>, rustls::Error> {
        if !snapshot.doors.iter().any(|door| door.tls) {
            return Ok(None);
        }
        if snapshot.certificates_of.is_none() {
            let digests: Vec<Digest> = snapshot.certificates.iter().map(certificates::digest).collect();
            if self.names.0 != Origin::Within(digests.clone()) {
                let names = self.parse(&snapshot.certificates, &digests);
                self.names = (Origin::Within(digests), names);
            }
        }
        let names = &self.names.1;
        if let Some(last) = &self.last
            && Arc::ptr_eq(&last.tls.names, names)
            && last.challenges == snapshot.alpn_challenges
            && last.keys == snapshot.ticket_keys
        {
            return Ok(Some(Arc::clone(&last.tls)));
        }
        let base = config(&self.provider, |builder| builder.with_no_client_auth())?;
        let tls = Arc::new(Tls {
            challenges: self.challenges(&base, &snapshot.alpn_challenges),
            base,
            names: Arc::clone(names),
            keys: Arc::new(Keys::new(&snapshot.ticket_keys)),
        });
        self.last = Some(Last {
            challenges: snapshot.alpn_challenges.clone(),
            keys: snapshot.ticket_keys.clone(),
            tls: Arc::clone(&tls),
        });
        Ok(Some(tls))
    }

    /// What a site's clients have to show; the former where it is the same.
    pub fn asks(&mut self, given: &ClientCerts) -> Arc<ClientAuth> {
        if let Some(known) = self.auths.get(&digest_of(given)) {
            return Arc::clone(known);
        }
        let asking = |verifier| config(&self.provider, |builder| builder.with_client_cert_verifier(verifier));
        let auth = Arc::new(ClientAuth::new(given, &self.provider, asking));
        self.auths.insert(auth.digest, Arc::clone(&auth));
        auth
    }

    /// Drops what no site asks for any more.
    pub fn forget(&mut self) {
        self.auths.retain(|_, auth| Arc::strong_count(auth) > 1);
    }

    /// Certificates by name; those that are known are not parsed again.
    ///
    /// One that cannot be used is left out, and logged: its own hosts are refused, all others are served. To refuse the snapshot would
    /// keep the health of every application from every site because of one file.
    fn parse(&mut self, given: &[wire::snapshot::Certificate], digests: &[Digest]) -> Arc<Names> {
        let mut names = Names::default();
        let mut known = HashMap::with_capacity(digests.len());
        for (digest, given) in digests.iter().zip(given) {
            let parsed = match self.known.get(digest) {
                Some(known) => Some(Arc::clone(known)),
                None => self.usable(given, Certificate::parse(given, &self.provider)),
            };
            let Some(certificate) = parsed else { continue };
            for host in &given.hosts {
                names.by_host.insert(host, Arc::clone(&certificate));
                if names.of_address.is_none() && model::site::address(host).is_some() {
                    names.of_address = Some(Arc::clone(&certificate));
                }
            }
            known.insert(*digest, certificate);
        }
        self.known = known;
        Arc::new(names)
    }

    fn usable(
        &self,
        given: &wire::snapshot::Certificate,
        parsed: Result<Certificate, CertificateError>,
    ) -> Option<Arc<Certificate>> {
        let unusable = |error| tracing::error!(hosts = ?given.hosts, %error, "a certificate cannot be used");
        parsed.map(Arc::new).map_err(unusable).ok()
    }

    /// How authorities are answered, by the name they ask with.
    fn challenges(
        &self,
        base: &ServerConfig,
        given: &[wire::snapshot::Certificate],
    ) -> HashMap<String, Arc<ServerConfig>> {
        let mut challenges = HashMap::new();
        for given in given {
            let proof = Certificate::proof(given, &self.provider);
            let Some(certificate) = self.usable(given, proof) else { continue };
            let mut config = base.clone();
            config.cert_resolver = certificate;
            config.alpn_protocols = vec![ACME.to_vec()];
            config.send_tls13_tickets = 0;
            let config = Arc::new(config);
            for host in &given.hosts {
                challenges.insert(asked_with(host), Arc::clone(&config));
            }
        }
        challenges
    }
}

/// Without a certificate; `clients`: what of theirs is looked at.
fn config(
    provider: &Arc<CryptoProvider>,
    clients: impl FnOnce(
        ConfigBuilder<ServerConfig, WantsVerifier>,
    ) -> ConfigBuilder<ServerConfig, WantsServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = clients(builder).with_cert_resolver(Arc::new(Nobody));
    config.alpn_protocols = vec![H2.to_vec(), HTTP11.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

/// The name that an authority asks with: an address in its reverse form (RFC 8738 section 6), for it cannot stand where names do.
fn asked_with(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = (0..32).map(|at| format!("{:x}.", address.to_bits() >> (4 * at) & 0xf));
            format!("{}ip6.arpa", nibbles.collect::<String>())
        }
        Err(_) => host.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_in_reverse() {
        assert_eq!(asked_with("192.0.2.17"), "17.2.0.192.in-addr.arpa");
        let reverse = "1.0.0.0.".to_owned() + &"0.".repeat(20) + "8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(asked_with("2001:db8::1"), reverse);
        assert_eq!(asked_with("17.2.0.192.in-addr.arpa"), "17.2.0.192.in-addr.arpa");
        assert_eq!(asked_with("A.test"), "a.test");
    }
}
