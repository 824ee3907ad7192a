//! What is masked in logs before it reaches a disk.

use serde::{Deserialize, Serialize};

/// A kind of text that is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedactKind {
    /// Values of the app's own secrets, where they are long enough not to stand for something else.
    Secrets,
    /// E-mail addresses.
    Email,
    /// Payment card numbers (by their check digit, ISO/IEC 7812-1).
    Card,
    /// Telephone numbers in international form (E.164).
    Phone,
    /// Network addresses of clients: the last part of an IPv4 address, the last 80 bits of an IPv6 address.
    Ip,
    /// Bearer tokens, JSON web tokens, and values of parameters whose name says that they are secret.
    Token,
}

/// What is masked where nothing is said.
pub fn default() -> Vec<RedactKind> {
    vec![RedactKind::Secrets]
}

/// Whether this is the default: then it is not serialised, so that fingerprints of older versions stay.
pub fn is_default(kinds: &[RedactKind]) -> bool {
    kinds == [RedactKind::Secrets]
}
