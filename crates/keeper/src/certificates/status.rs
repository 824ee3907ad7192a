//! What `status` and `certs` show of certificates.

use super::Certificates;
use super::held::Held;
use super::wanted::{Source, Wanted};
use crate::api::CertificateStatus;
use std::time::SystemTime;

impl Certificates {
    /// Of all.
    pub(crate) fn status(&self, now: SystemTime) -> Vec<CertificateStatus> {
        self.held.iter().map(|(wanted, held)| status(wanted, held, now)).collect()
    }
}

fn status(wanted: &Wanted, held: &Held, now: SystemTime) -> CertificateStatus {
    let facts = held.pair.as_ref().map(|pair| &pair.facts);
    let warned = held.pair.as_ref().map(|pair| wanted.warnings(pair, now)).unwrap_or_default();
    let names = facts.map(|facts| facts.names.clone()).unwrap_or_default();
    CertificateStatus {
        stack: wanted.stack.clone().unwrap_or_default(),
        hosts: if wanted.is_custom() { names.clone() } else { wanted.hosts.clone() },
        names,
        issuer: facts.map(|facts| facts.issuer.clone()),
        local: wanted.source == Source::Local,
        file: match &wanted.source {
            Source::Local | Source::Authority => None,
            Source::Files { cert, .. } | Source::Custom { cert, .. } => Some(cert.clone()),
        },
        not_after: facts.and_then(|facts| time(facts.not_after)),
        problems: held.problem.iter().cloned().chain(warned).collect(),
    }
}

/// RFC 3339, UTC, to the second.
pub(super) fn time(at: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(at).map(|at| format!("{at:.0}")).ok()
}
