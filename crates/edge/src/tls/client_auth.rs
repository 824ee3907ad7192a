//! Sites whose clients show a certificate (RFC 8446 section 4.4.2, RFC 5246 section 7.4.6).
//!
//! Who is asked is decided by the name in the first message; a request on a connection that was opened for somebody else is told to
//! come again (421). So what a site asks for holds for each of its requests, whatever else its connection is used for.

use super::certificates::Digest;
use super::subject::subject;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::io::Write as _;
use std::sync::Arc;
use wire::snapshot::ClientCerts;

/// What the clients of a site have to show.
pub struct ClientAuth {
    /// Of the authorities, and whether they must.
    pub digest: Digest,
    /// None: it cannot be checked, and nobody gets in.
    checked: Option<Checked>,
}

struct Checked {
    verifier: Arc<dyn ClientCertVerifier>,
    /// As the other one, and asks.
    base: ServerConfig,
    required: bool,
}

impl std::fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientAuth").finish_non_exhaustive()
    }
}

/// By which it is known again.
pub fn digest_of(given: &ClientCerts) -> Digest {
    let text = [&[u8::from(given.required)], given.roots.as_bytes()].concat();
    digest(&SHA256, &text).as_ref().try_into().unwrap_or_default()
}

impl ClientAuth {
    /// Where its authorities cannot be used, that is logged and nobody gets in. `config` makes a configuration that asks.
    pub fn new(
        given: &ClientCerts,
        provider: &Arc<CryptoProvider>,
        config: impl FnOnce(Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, rustls::Error>,
    ) -> Self {
        let checked = verifier(given, provider).and_then(|verifier| {
            let base = config(Arc::clone(&verifier)).map_err(|error| error.to_string())?;
            Ok(Checked { verifier, base, required: given.required })
        });
        let unusable = |error| tracing::error!(%error, "authorities of client certificates cannot be used: nobody gets in");
        Self { digest: digest_of(given), checked: checked.map_err(unusable).ok() }
    }

    /// What handshakes that ask begin with.
    pub fn base(&self) -> Option<&ServerConfig> {
        self.checked.as_ref().map(|checked| &checked.base)
    }

    /// Whether what a former connection has shown is still good now: a session is resumed without a further look.
    pub fn still_takes(&self, shown: Option<&[CertificateDer<'_>]>) -> bool {
        let Some(checked) = &self.checked else { return false };
        match shown.and_then(<[_]>::split_first) {
            Some((own, others)) => checked.verifier.verify_client_cert(own, others, UnixTime::now()).is_ok(),
            None => !checked.required,
        }
    }
}

fn verifier(
    given: &ClientCerts,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(given.roots.as_bytes()) {
        let root = root.map_err(|_| "not PEM with certificates".to_owned())?;
        roots.add(root).map_err(|error| error.to_string())?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if given.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| error.to_string())
}

/// The lines that tell an application which certificate was shown.
pub fn lines(shown: Option<&[CertificateDer<'_>]>) -> Box<[u8]> {
    let Some(own) = shown.and_then(<[_]>::first) else { return Box::default() };
    let mut lines = Vec::with_capacity(256);
    // Writing to a vector cannot fail.
    let _ = write!(lines, "X-Client-Cert-Subject: {}\r\nX-Client-Cert-Fingerprint: ", subject(own));
    for byte in digest(&SHA256, own).as_ref() {
        let _ = write!(lines, "{byte:02x}");
    }
    lines.extend_from_slice(b"\r\n");
    lines.into()
}
