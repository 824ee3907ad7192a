//! `[acme]`: certificates from authorities.

use super::{DurationText, EnvFileValue, OneOrMany, SecretFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Certificates from an authority that speaks ACME, for the sites with public names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Acme", extend("additionalProperties" = false))]
pub struct AcmeFile {
    /// The first authority to ask.
    #[serde(flatten)]
    pub first: AuthorityFile,
    /// Those that are asked when it gives nothing, in order.
    pub fallback: Vec<FallbackFile>,
    /// How names are proved, best first: `http-01`, `tls-alpn-01`, `dns-01`. Default: `http-01` where the stack listens on port 80, else
    /// `tls-alpn-01`; wildcards, and everything where nobody listens on either, by `dns-01`.
    pub challenge: Option<ChallengesFile>,
    /// How TXT records are made, for `dns-01`.
    pub dns: Option<DnsFile>,
    /// Key of new certificates: `p256`, `p384` or `rsa2048`. Default: `p256`.
    pub key: Option<KeyKindFile>,
    /// Before anything is ordered, does each name lead to this host? Default: `true`.
    pub check_names: Option<bool>,
    /// How long a name may take to lead here, such as `60m` after a change of DNS. Default: looked at once, and again as after any failure.
    pub wait: Option<DurationText>,
    /// Folder where certificates lie for other programs too, as `NAME/fullchain.pem` and `NAME/privkey.pem`. Default: nowhere.
    pub export: Option<String>,
    /// Command that is run when a certificate has changed. It gets `MAINSTAY_CERTIFICATE` (the name) and `MAINSTAY_CERTIFICATE_DIR`. Default: none.
    pub hook: Option<OneOrMany>,
    /// Certificates for names that no site has, when somebody comes with them. Default: never.
    pub on_demand: Option<OnDemandFile>,
}

/// An authority, and what one is to it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Authority")]
pub struct AuthorityFile {
    /// `letsencrypt`, `letsencrypt-staging`, `zerossl`, `google`, or the URL of an ACME directory. Default: `letsencrypt`. To name one is to
    /// agree to its terms.
    pub authority: Option<String>,
    /// Where it writes to when something is wrong. Default: none.
    pub email: Option<String>,
    /// PEM file of the root certificate that the directory's own is checked with, relative to the manifest. Default: the roots of this host.
    pub root: Option<String>,
    /// External account binding, where the authority wants one.
    pub eab: Option<EabFile>,
    /// Which of its profiles, such as `shortlived`. Default: its own choice.
    pub profile: Option<String>,
}

/// An authority that is asked when the one before gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Fallback", extend("required" = ["authority"], "additionalProperties" = false))]
pub struct FallbackFile {
    /// As in `[acme]`.
    #[serde(flatten)]
    pub authority: AuthorityFile,
}

/// External account binding.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Eab", extend("required" = ["key_id", "hmac_key"]))]
pub struct EabFile {
    /// Key identifier, from the authority.
    pub key_id: Option<String>,
    /// HMAC key in base64url, from the authority.
    pub hmac_key: Option<SecretFile>,
}

/// A kind of challenge, or a list of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Challenges")]
pub enum ChallengesFile {
    /// One.
    One(ChallengeFile),
    /// Any number.
    Many(Vec<ChallengeFile>),
}

/// How a name is proved.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[schemars(rename = "Challenge")]
pub enum ChallengeFile {
    /// An answer on port 80.
    #[serde(rename = "http-01")]
    Http01,
    /// A handshake on port 443.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A TXT record.
    #[serde(rename = "dns-01")]
    Dns01,
}

/// A command that makes and removes TXT records.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Dns", extend("required" = ["command"]))]
pub struct DnsFile {
    /// It gets `set NAME VALUE` or `unset NAME VALUE` as its last arguments.
    pub command: Option<OneOrMany>,
    /// Its environment beside `PATH`, `HOME` and `LANG`.
    pub env: BTreeMap<String, EnvFileValue>,
    /// How long a record takes to be seen everywhere. Default: `30s`.
    pub propagation: Option<DurationText>,
    /// How long the command may take. Default: `60s`.
    pub timeout: Option<DurationText>,
}

/// Key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KeyKind")]
pub enum KeyKindFile {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
}

/// Certificates for names that no site has.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OnDemand", extend("required" = ["ask"]))]
pub struct OnDemandFile {
    /// `http://host:port/path` that is asked with `?domain=NAME` before anything is ordered: 200 is yes, all else no.
    pub ask: Option<String>,
}
