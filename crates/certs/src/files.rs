//! Pairs from files that somebody else made (certbot, a company's authority) and replaces in place. A pair is used when both files
//! can be read, the chain and the key parse, and the key is the leaf's; what else is wrong (names, dates, who may read the key)
//! is a warning: serving is then better than not serving.

use crate::{CertError, Facts, Pair, covers};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Larger files are no certificates.
const MOST: u64 = 1 << 20;

/// Which file stood at a path, symbolic links followed: another one, or another content, has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Option<[i128; 5]>);

impl Stamp {
    /// Of the file that is there now.
    pub fn of(path: &Path) -> Self {
        let meta = std::fs::metadata(path).ok();
        Self(meta.map(|meta| {
            let numbers = [meta.dev(), meta.ino(), meta.len()].map(i128::from);
            // The time of change, which rights and every write move, not the time of content, which copies keep.
            [numbers[0], numbers[1], numbers[2], meta.ctime().into(), meta.ctime_nsec().into()]
        }))
    }
}

/// Loads a pair and checks it.
///
/// # Errors
/// It cannot be used; the text names the file, the cause and the next step.
pub fn load(cert: &Path, key: &Path) -> Result<Pair, CertError> {
    let (chain, private) = (read(cert)?, read(key)?);
    parse(chain, private).map_err(|fault| {
        let content =
            |path: &Path, cause: String, next| CertError::Content { path: path.to_owned(), cause, next };
        match fault {
            Fault::Chain => content(
                cert,
                "holds no certificate in PEM".to_owned(),
                "name the chain's file, such as certbot's fullchain.pem",
            ),
            Fault::Key => content(
                key,
                "holds no private key in PEM without a password".to_owned(),
                "name the key's file, such as certbot's privkey.pem",
            ),
            Fault::Two => content(
                key,
                format!("is not the key of the certificate in {}", cert.display()),
                "name the two files of one pair; the chain's file begins with the site's own certificate",
            ),
            Fault::Kind => content(
                key,
                "holds a key that TLS cannot use".to_owned(),
                "use RSA of 2048 bits or more, P-256, P-384 or Ed25519",
            ),
        }
    })
}

/// What is wrong with two texts that are to be a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The chain is none.
    Chain,
    /// The key is none.
    Key,
    /// They do not belong together.
    Two,
    /// TLS cannot use such a key.
    Kind,
}

/// Checks a chain and a key, both PEM. A fault says nothing of what the parser says: that could quote the key.
pub(crate) fn parse(chain_text: String, key_text: String) -> Result<Pair, Fault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::Chain)?;
    let facts = chain.first().and_then(|leaf| facts_of(leaf)).map(|(_, facts)| facts).ok_or(Fault::Chain)?;
    let private = PrivateKeyDer::from_pem_slice(key_text.as_bytes()).map_err(|_| Fault::Key)?;
    rustls::sign::CertifiedKey::from_der(chain, private, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Fault::Two,
            _ => Fault::Kind,
        })?;
    Ok(Pair { chain: chain_text, key: key_text, facts })
}

/// What is wrong with a pair that can be used all the same, a line each.
pub fn warnings(pair: &Pair, hosts: &[String], key: &Path, now: SystemTime) -> Vec<String> {
    let mut lines = Vec::new();
    let facts = &pair.facts;
    let uncovered: Vec<&str> = hosts
        .iter()
        .filter(|host| *host != "*" && !facts.names.iter().any(|name| covers(name, host)))
        .map(String::as_str)
        .collect();
    if !uncovered.is_empty() {
        lines.push(format!("does not name {}; it names {}", uncovered.join(", "), facts.names.join(", ")));
    }
    if facts.not_after < now {
        lines.push("has expired: renew it".to_owned());
    }
    if facts.not_before > now {
        lines.push("is not valid yet: look at this machine's clock".to_owned());
    }
    if std::fs::metadata(key).is_ok_and(|meta| meta.mode() & 0o007 != 0) {
        lines.push(format!("everybody on this machine can read {}: chmod 0600", key.display()));
    }
    lines
}

/// Public key and facts of the first certificate of a PEM text.
pub(crate) fn facts_of_pem(text: &[u8]) -> Option<(Vec<u8>, Facts)> {
    facts_of(&CertificateDer::from_pem_slice(text).ok()?)
}

fn facts_of(leaf: &CertificateDer<'_>) -> Option<(Vec<u8>, Facts)> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let names = parsed.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
    let issuer = parsed.issuer();
    let common =
        issuer.iter_common_name().chain(issuer.iter_organization()).find_map(|name| name.as_str().ok());
    let facts = Facts {
        names: names.into_iter().flatten().filter_map(name).collect(),
        issuer: common.unwrap_or("unnamed").to_owned(),
        not_before: time(parsed.validity().not_before.timestamp()),
        not_after: time(parsed.validity().not_after.timestamp()),
    };
    Some((parsed.public_key().subject_public_key.data.to_vec(), facts))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

pub(crate) fn read(path: &Path) -> Result<String, CertError> {
    let read = || {
        let bytes = sys::folder::read_plain(path, MOST)?;
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is no text"))
    };
    read().map_err(|source| CertError::File {
        path: path.to_owned(),
        source,
        next: "the keeper's user has to be able to read it",
    })
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
