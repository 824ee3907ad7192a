//! Certificates: the local certificate authority for development, and pairs from files, checked before they are used.
//!
//! - [`acme`]: authorities that everybody trusts, and others that speak the same protocol.
//! - [`local`]: an authority of this home's own, which signs local names only.
//! - [`files`]: pairs that somebody else made.
//! - [`roots`]: authorities of clients' certificates.
//! - [`service`]: certificates of data services, in files that their servers read.
//! - [`trust`]: whether this host trusts the local authority, and how that is brought about.
//! - [`ticket`]: keys of resumption tickets.
//!
//! Everything ends in a [`Pair`]: nothing that was not checked becomes one. Private keys are never shown and, but for the
//! local authority's own, those of data services and those of [`acme`]'s store, never written.

pub mod acme;
mod error;
pub mod files;
pub mod local;
pub mod roots;
pub mod service;
pub mod ticket;
pub mod trust;

pub use error::CertError;
use std::fmt;
use std::time::SystemTime;

/// A certificate with its private key: both can be read, and they belong together.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM, the leaf first.
    pub chain: String,
    /// PEM.
    pub key: String,
    /// What is said of it.
    pub facts: Facts,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// What a leaf certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Host names and addresses it is valid for.
    pub names: Vec<String>,
    /// Who signed it, for people.
    pub issuer: String,
    /// Not valid before …
    pub not_before: SystemTime,
    /// … nor after.
    pub not_after: SystemTime,
}

/// Whether a certificate's `name` covers `host`: equal, or `*.` in place of its first label (RFC 9525 section 6.3). A host `*`
/// (any name) is covered by nothing: which names people come with is not known. An address is covered however it is written.
pub fn covers(name: &str, host: &str) -> bool {
    let rest = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_ascii_lowercase());
    let address = model::site::address(name);
    name.eq_ignore_ascii_case(host)
        || address.is_some() && address == model::site::address(host)
        || name.starts_with("*.") && !host.starts_with("*.") && rest(name) == rest(host)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn an_ipv6_host_in_brackets_is_the_address_that_a_certificate_names() {
        assert!(covers("::1", "[::1]") && covers("2001:db8::1", "[2001:db8:0::1]"));
        assert!(!covers("::1", "[::2]") && !covers("192.0.2.1", "[192.0.2.1]"));
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(
            covers("a.test", "A.test") && covers("*.a.test", "b.a.test") && covers("*.a.test", "*.a.test")
        );
        assert!(
            !covers("*.a.test", "a.test")
                && !covers("*.a.test", "c.b.a.test")
                && !covers("b.a.test", "*.a.test")
        );
        assert!(!covers("*.test", "*.a.test"));
    }
}
