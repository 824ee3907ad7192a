//! Certificates and the names they are served for.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Of everything a certificate was given with.
pub type Digest = [u8; SHA256_OUTPUT_LEN];

/// A certificate, ready to be served.
#[derive(Debug)]
pub struct Certificate {
    /// Names it is served for, as in [`crate::hosts`].
    pub hosts: Box<[String]>,
    /// Of all it was given with.
    pub digest: Digest,
    key: Arc<CertifiedKey>,
}

/// Why a certificate cannot be used. Says nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No PEM, or not what it should hold.
    #[error("the chain is not PEM with a certificate")]
    Chain,
    /// Likewise.
    #[error("the key is not PEM with a private key")]
    Key,
    /// The key is of a kind that is not supported, or not the certificate's.
    #[error(transparent)]
    Pair(#[from] rustls::Error),
}

impl Certificate {
    /// Reads PEM, and makes sure that key and certificate are a pair.
    pub fn parse(
        given: &wire::snapshot::Certificate,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (chain, key) = read(given)?;
        let key = Arc::new(CertifiedKey::from_der(chain, key, provider)?);
        Ok(Self { hosts: given.hosts.clone().into(), digest: digest(given), key })
    }

    /// The same of one that answers a challenge of TLS-ALPN-01. Its critical extension (RFC 8737 section 3) is one that the library does not
    /// know, so the two are taken as the keeper made them.
    pub fn proof(
        given: &wire::snapshot::Certificate,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (chain, key) = read(given)?;
        let key = Arc::new(CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?));
        Ok(Self { hosts: given.hosts.clone().into(), digest: digest(given), key })
    }
}

type Read = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(given: &wire::snapshot::Certificate) -> Result<Read, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(given.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::Chain);
    }
    let key = PrivateKeyDer::from_pem_slice(given.key.as_bytes()).map_err(|_| CertificateError::Key)?;
    Ok((chain, key))
}

/// By which a certificate that did not change is known again, without its key being kept in words.
pub fn digest(given: &wire::snapshot::Certificate) -> Digest {
    let mut context = Context::new(&SHA256);
    for text in given.hosts.iter().chain([&given.chain, &given.key]) {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text.as_bytes());
    }
    let mut digest = Digest::default();
    if let Some(bytes) = context.finish().as_ref().get(..SHA256_OUTPUT_LEN) {
        digest.copy_from_slice(bytes);
    }
    digest
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }
}

/// Where there is none for who asks.
#[derive(Debug)]
pub struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_with_its_critical_extension_is_not_refused() {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        let given =
            wire::snapshot::Certificate { hosts: vec!["a.test".into()], chain, key: key.serialize_pem() };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        assert!(Certificate::proof(&given, &provider).is_ok());
        // As a site's own it could not be used by anybody.
        assert!(Certificate::parse(&given, &provider).is_err());
    }
}
