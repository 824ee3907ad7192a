//! Certificates from authorities that speak ACME (RFC 8555): whom to ask, how names are proved, what is done with what came.

use crate::spec::EnvValue;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[acme]` of a stack, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcmeSpec {
    /// Whom to ask, at least one; each next one where the former gives nothing.
    pub authorities: Vec<AuthoritySpec>,
    /// How names are proved, best first; empty: HTTP-01 where the stack listens on port 80, else TLS-ALPN-01; a wildcard by DNS-01.
    pub challenges: Vec<ChallengeKind>,
    /// How records of DNS-01 are made.
    pub dns: Option<DnsSpec>,
    /// Of new certificates.
    pub key: KeyKind,
    /// Before an order: does each name lead to this host?
    pub check_names: bool,
    /// How long a name may take to lead here; zero: looked at once, and again with the back-off of failures.
    pub wait: Duration,
    /// Folder where each certificate lies for other programs too, as `NAME/fullchain.pem` and `NAME/privkey.pem`.
    pub export: Option<PathBuf>,
    /// Command that is run when one has changed there; empty: none.
    pub hook: Vec<String>,
    /// Certificates for names that no site has, when somebody comes with them; none: never.
    pub on_demand: Option<OnDemandSpec>,
}

/// An authority, and what one is to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthoritySpec {
    /// URL of its directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Where it writes to, without `mailto:`.
    pub email: Option<String>,
    /// PEM file of the root that its directory's own certificate is checked with; none: the public ones of this host.
    pub root: Option<PathBuf>,
    /// External account binding (RFC 8555 section 7.3.4).
    pub eab: Option<EabSpec>,
    /// Which of its profiles (draft-ietf-acme-profiles); none: its default.
    pub profile: Option<String>,
}

/// External account binding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EabSpec {
    /// Key identifier.
    pub key_id: String,
    /// HMAC key, in base64url.
    pub hmac_key: EnvValue,
}

/// How a name is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeKind {
    /// An answer on port 80 (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// A certificate in a handshake on port 443 (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A TXT record (RFC 8555 section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
}

/// A command of the user's that makes and removes TXT records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// Called with `set NAME VALUE` or `unset NAME VALUE` behind its own arguments: `set _acme-challenge.example.com Xyz…`.
    pub command: Vec<String>,
    /// Variables it gets beside `PATH` and `HOME`.
    pub env: std::collections::BTreeMap<String, EnvValue>,
    /// How long a record takes to be seen everywhere.
    pub propagation: Duration,
    /// How long the command may take.
    pub timeout: Duration,
}

/// Key of a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits, for clients of another age.
    Rsa2048,
}

/// Certificates for names that no site has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnDemandSpec {
    /// `http://host:port/path` that is asked with `?domain=NAME` before anything is ordered: 200 is yes, all else no.
    pub ask: String,
}

/// What a site says beside [`AcmeSpec`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SiteAcme {
    /// Which profile; none: [`AuthoritySpec::profile`].
    pub profile: Option<String>,
    /// How its names are proved; empty: [`AcmeSpec::challenges`].
    pub challenges: Vec<ChallengeKind>,
}

/// Let's Encrypt.
pub const LETSENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Its authority for trials, whom no browser believes.
pub const LETSENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// ZeroSSL; asks for [`AuthoritySpec::eab`].
pub const ZEROSSL: &str = "https://acme.zerossl.com/v2/DV90";
/// Google Trust Services; likewise.
pub const GOOGLE: &str = "https://dv.acme-v02.api.pki.goog/directory";
