//! What the API says of certificates. Times are RFC 3339, UTC.

use model::acme::AcmeSpec;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A certificate of a site, of a pair of the user's own, or one that is to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateStatus {
    /// The site's stack; empty: it belongs to the home.
    pub stack: String,
    /// Host names it is for.
    pub hosts: Vec<String>,
    /// Names that the certificate is valid for; empty while there is none.
    pub names: Vec<String>,
    /// Who signed it; none while there is none.
    pub issuer: Option<String>,
    /// From the local authority.
    pub local: bool,
    /// `files` (of a site), `own` (a pair for the names in it), `acme` (an authority), `local`.
    pub source: String,
    /// `valid`, `expired`, `ordering` (asked for now), `waiting` (tried again at `next_try`), `failed` (somebody has to see to it),
    /// `missing` (its files cannot be used).
    pub state: String,
    /// Of an authority: the one that is asked first, as its URL.
    pub authority: Option<String>,
    /// The chain's file, where it comes from one.
    pub file: Option<PathBuf>,
    /// When it expires.
    pub not_after: Option<String>,
    /// When it is renewed, where Mainstay does that.
    pub renewal: Option<String>,
    /// Why the last try to have a new one failed.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_try: Option<String>,
    /// Tries that failed, in a row.
    pub failures: u32,
    /// What is wrong with it, a line each.
    pub problems: Vec<String>,
}

/// Have new certificates from authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Of the site that has this host; none: all.
    pub name: Option<String>,
    /// Also those that are good for a while.
    #[serde(default)]
    pub force: bool,
}

/// What is done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// First hosts of those that are ordered now.
    pub ordered: Vec<String>,
    /// First hosts of those that are not due.
    pub left: Vec<String>,
}

/// Have a certificate for these names, whether or not a site has them, from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssueRequest {
    /// All in one; the first is what it is called.
    pub names: Vec<String>,
    /// From whom, and how.
    pub acme: AcmeSpec,
}

/// Take a certificate back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    /// Of the site that has this host.
    pub name: String,
    /// Why, by the names of RFC 5280 section 5.3.1: `unspecified`, `key-compromise`, `affiliation-changed`, `superseded`,
    /// `cessation-of-operation`.
    pub reason: String,
}

/// A pair of the user's own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPair {
    /// PEM, the leaf first.
    pub chain: String,
    /// PEM.
    pub key: String,
}

impl std::fmt::Debug for NewPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPair").finish_non_exhaustive()
    }
}

/// It is served, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What it is called here: its first name.
    pub name: String,
    /// Names it is valid for.
    pub names: Vec<String>,
}
