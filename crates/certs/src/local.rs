//! The local certificate authority: made once in a home, for development and for names that no public authority certifies.
//!
//! Whoever trusts its root trusts whoever can read its key. So the root itself says that it certifies local names alone
//! (RFC 5280 section 4.2.1.10; browsers, OpenSSL, Go and rustls hold a root of their user's to that): a stolen key is worth nothing against
//! anybody's bank. A site with a public name gets a certificate all the same, which clients that check refuse; it needs one from
//! files, and `status` says so.
//!
//! Keys of leaves live in memory only; the root's key is `ca.key`, 0600.

use crate::{CertError, Facts, Pair};
use model::site::{LOCAL_NAMES, address};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Loopback and private networks.
const NETWORKS: [(IpAddr, u8); 6] = [
    (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Life of the root.
const ROOT_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Life of a leaf; it is renewed when two thirds are over.
const LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
const ISSUER: &str = "Mainstay local authority";

/// Whether this host name is one that the local authority certifies.
pub fn is_local(host: &str) -> bool {
    let host = host.strip_prefix("*.").unwrap_or(host);
    address(host).is_some_and(|ip| NETWORKS.iter().any(|(net, prefix)| holds(*net, *prefix, ip)))
        || LOCAL_NAMES
            .iter()
            .any(|name| host == *name || host.strip_suffix(name).is_some_and(|it| it.ends_with('.')))
}

fn holds(net: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    ipnet::IpNet::new(net, prefix).is_ok_and(|net| net.contains(&ip))
}

/// The authority, ready to sign.
pub struct LocalAuthority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl std::fmt::Debug for LocalAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAuthority").finish_non_exhaustive()
    }
}

/// The root certificate's file in this folder.
pub fn root_file(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

impl LocalAuthority {
    /// Loads the authority of this folder, or makes it. The key is written first: a certificate is there only with its key.
    ///
    /// # Errors
    /// Files that cannot be read, written or understood. One that is there is never overwritten: others may trust it.
    pub fn open(folder: &Path) -> Result<Self, CertError> {
        let (cert_path, key_path) = (root_file(folder), folder.join("ca.key"));
        let unusable = |source| CertError::File {
            path: folder.to_owned(),
            source,
            next: "give the folder back to the keeper's user, or remove it: a new authority is made then",
        };
        // The root is for everybody to read, wherever the home itself can be entered.
        sys::folder::make(folder, 0o711, None).map_err(unusable)?;
        match std::fs::read_to_string(&cert_path) {
            Ok(root) => Self::load(root, &cert_path, &key_path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (key, root) = make()?;
                sys::durable::write(&key_path, key.serialize_pem().as_bytes(), 0o600).map_err(unusable)?;
                sys::durable::write(&cert_path, root.as_bytes(), 0o644).map_err(unusable)?;
                Ok(Self { issuer: Issuer::from_ca_cert_pem(&root, key)?, root })
            }
            Err(error) => Err(unusable(error)),
        }
    }

    fn load(root: String, cert_path: &Path, key_path: &Path) -> Result<Self, CertError> {
        let next = "restore the pair ca.pem and ca.key, or remove both: a new authority is made then";
        let key = std::fs::read_to_string(key_path).map_err(|source| CertError::File {
            path: key_path.to_owned(),
            source,
            next,
        })?;
        // What the parser says could quote the file.
        let content = |path: &Path, cause: &str| CertError::Content {
            path: path.to_owned(),
            cause: cause.into(),
            next,
        };
        let key = KeyPair::from_pem(&key).map_err(|_| content(key_path, "is no private key"))?;
        let facts = crate::files::facts_of_pem(root.as_bytes())
            .ok_or_else(|| content(cert_path, "is no certificate"))?;
        if facts.0 != key.public_key_raw() {
            return Err(content(key_path, "is not the key of ca.pem"));
        }
        let issuer =
            Issuer::from_ca_cert_pem(&root, key).map_err(|_| content(cert_path, "is no certificate"))?;
        Ok(Self { issuer, root })
    }

    /// The root certificate, PEM: what clients have to trust.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A certificate for these hosts, valid from now on. `*` (any name) stands for this machine: `localhost` and its addresses.
    ///
    /// # Errors
    /// Where the system gives no random bytes, or a host is none.
    pub fn issue(&self, hosts: &[String], now: SystemTime) -> Result<Pair, CertError> {
        self.issue_for(hosts, now, LEAF_LIFE)
    }

    /// The same with a life of its own.
    pub(crate) fn issue_for(
        &self,
        hosts: &[String],
        now: SystemTime,
        length: Duration,
    ) -> Result<Pair, CertError> {
        let this_machine = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut names: Vec<String> = hosts.iter().filter(|host| *host != "*").cloned().collect();
        if hosts.iter().any(|host| host == "*") {
            names.extend(this_machine.into_iter().filter(|name| !hosts.contains(name)));
        }
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        params.distinguished_name = DistinguishedName::new();
        // A common name has 64 characters at most (RFC 5280, appendix A.1); nobody reads it for anything else than display.
        if let Some(first) = names.iter().find(|name| name.len() <= 64) {
            params.distinguished_name.push(DnType::CommonName, first.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = life(now, length);
        (params.not_before, params.not_after) = (not_before.into(), not_after.into());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let chain = params.signed_by(&key, &self.issuer)?.pem();
        let facts = Facts { names, issuer: ISSUER.to_owned(), not_before, not_after };
        Ok(Pair { chain, key: key.serialize_pem(), facts })
    }
}

/// Whether two thirds of a certificate's life are over.
pub fn is_due(facts: &Facts, now: SystemTime) -> bool {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    facts.not_after.duration_since(now).unwrap_or_default() < life / 3
}

/// From a day ago (clocks differ, in virtual machines and containers above all) on.
fn life(now: SystemTime, length: Duration) -> (SystemTime, SystemTime) {
    let begin = now - DAY;
    (begin, begin + length)
}

fn san(name: &str) -> Result<SanType, rcgen::Error> {
    match address(name) {
        Some(ip) => Ok(SanType::IpAddress(ip)),
        None => Ok(SanType::DnsName(name.try_into()?)),
    }
}

fn make() -> Result<(KeyPair, String), CertError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Mainstay");
    params.distinguished_name.push(DnType::CommonName, ISSUER);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let names = LOCAL_NAMES.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let networks = NETWORKS
        .iter()
        .map(|(net, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*net, *prefix)));
    let permitted_subtrees = names.chain(networks).collect();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let (not_before, not_after) = life(SystemTime::now(), ROOT_LIFE);
    (params.not_before, params.not_after) = (not_before.into(), not_after.into());
    let root = params.self_signed(&key)?.pem();
    Ok((key, root))
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
