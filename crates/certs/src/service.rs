//! A certificate of the local authority for a data service, in files that its server reads.
//!
//! It lives far longer than a site's: a server takes another one only when it starts, and a database runs for months. It is looked at
//! whenever a manifest is loaded, and made anew when a third of its life is left or the authority is another one.

use crate::local::{self, LocalAuthority};
use crate::{CertError, files};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Life of such a certificate.
const LIFE: Duration = Duration::from_secs(3 * 365 * 24 * 3600);

/// Where it is, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, which only the service's user reads.
    pub key: PathBuf,
    /// The authority that clients verify it with.
    pub ca: PathBuf,
}

/// The files of a service: its own two in `folder`, the root in the authority's.
pub fn files(folder: &Path, authority: &Path) -> Files {
    let own = |name: &str| folder.join(name);
    Files { cert: own("cert.pem"), key: own("key.pem"), ca: local::root_file(authority) }
}

/// Makes the certificate, unless there is one of this authority's that is not due, with a key that `owner` (user, group) reads. It is for
/// this machine by its own names alone: the authority certifies no others, and a service listens nowhere else.
///
/// # Errors
/// Files that cannot be read or written. What was there stays then.
pub fn keep(at: &Files, owner: Option<(u32, u32)>, now: SystemTime) -> Result<(), CertError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| CertError::File { path, source, next: "the keeper has to be able to write it" }
    };
    let authority = LocalAuthority::open(at.ca.parent().unwrap_or(Path::new("/")))?;
    let readable = std::fs::metadata(&at.key).is_ok_and(|key| owner.is_none_or(|(uid, _)| key.uid() == uid));
    let kept = files::load(&at.cert, &at.key).ok().filter(|_| readable);
    if kept.is_some_and(|pair| is_of(&pair.chain, authority.root()) && !local::is_due(&pair.facts, now)) {
        return Ok(());
    }
    let pair = authority.issue_for(&["localhost", "127.0.0.1", "::1"].map(str::to_owned), now, LIFE)?;
    let folder = at.cert.parent().unwrap_or(Path::new("/"));
    sys::folder::make(folder, 0o711, None).map_err(unusable(folder))?;
    // Two files cannot be replaced at once: a pair that does not fit is made anew by the next look.
    sys::durable::write_for(&at.key, pair.key.as_bytes(), 0o600, owner).map_err(unusable(&at.key))?;
    sys::durable::write(&at.cert, pair.chain.as_bytes(), 0o644).map_err(unusable(&at.cert))
}

/// Whether a certificate says that this root's key signed it (RFC 5280 section 4.2.1.1).
fn is_of(leaf: &str, root: &str) -> bool {
    let ids = |pem: &str| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let (mut own, mut signer) = (None, None);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    signer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        Some((own, signer))
    };
    let (leaf, root) = (ids(leaf), ids(root));
    leaf.and_then(|(_, signer)| signer).is_some_and(|signer| root.and_then(|(own, _)| own) == Some(signer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_it_is_due_and_made_anew_under_another_authority() {
        let dir = tempfile::tempdir().unwrap();
        let at = files(&dir.path().join("services/shop/db"), dir.path());
        let now = SystemTime::now();
        let made = |now: SystemTime| {
            keep(&at, None, now).unwrap();
            std::fs::read_to_string(&at.cert).unwrap()
        };
        let first = made(now);
        assert_eq!(std::fs::metadata(&at.key).unwrap().mode() & 0o777, 0o600);
        assert_eq!(first, made(now + LIFE / 2));
        let second = made(now + LIFE * 9 / 10);
        assert_ne!(first, second);
        for file in ["ca.pem", "ca.key"] {
            std::fs::remove_file(dir.path().join(file)).unwrap();
        }
        assert_ne!(second, made(now + LIFE * 9 / 10));
        sys::durable::write(&at.key, b"cut", 0o600).unwrap();
        keep(&at, None, now).unwrap();
        assert!(files::load(&at.cert, &at.key).is_ok());
    }
}
