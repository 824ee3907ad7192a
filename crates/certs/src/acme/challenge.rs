//! Answers to an authority's challenges, as the edge or the user's command has to give them.

use super::Challenge;
use super::failure::Trouble;
use instant_acme::{ChallengeHandle, ChallengeType, Identifier};
use model::acme::ChallengeKind;
use model::site::address;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, SanType};
use wire::snapshot::{Certificate, HttpChallenge};

/// What has to be seen before an authority is told to look.
pub(super) enum Answer {
    /// At the edge.
    Edge(Challenge),
    /// A TXT record of this name with this value.
    Record { name: String, value: String },
}

/// How the protocol calls it.
pub(super) fn of_kind(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}

/// How people call it.
pub(super) fn called(kind: ChallengeKind) -> &'static str {
    match kind {
        ChallengeKind::Http01 => "HTTP-01",
        ChallengeKind::TlsAlpn01 => "TLS-ALPN-01",
        ChallengeKind::Dns01 => "DNS-01",
    }
}

/// Whether a name can be proved so: a wildcard by its record alone (RFC 8555 section 8.4), an address never by one
/// (RFC 8738 section 7).
pub(super) fn can_prove(kind: ChallengeKind, name: &str) -> bool {
    match kind {
        ChallengeKind::Dns01 => address(name).is_none(),
        ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !name.starts_with("*."),
    }
}

/// The answer to a challenge.
pub(super) fn answer(kind: ChallengeKind, challenge: &ChallengeHandle<'_>) -> Result<Answer, Trouble> {
    let proof = challenge.key_authorization();
    let identifier = challenge.identifier().identifier;
    Ok(match kind {
        ChallengeKind::Http01 => Answer::Edge(Challenge::Http(HttpChallenge {
            token: challenge.token.clone(),
            answer: proof.as_str().to_owned(),
        })),
        ChallengeKind::TlsAlpn01 => {
            Answer::Edge(Challenge::Alpn(alpn(identifier, proof.digest().as_ref()).map_err(Trouble::own)?))
        }
        ChallengeKind::Dns01 => {
            let name = match identifier {
                Identifier::Dns(name) => name.as_str(),
                _ => return Err(Trouble::own("an address cannot be proved by DNS-01")),
            };
            Answer::Record { name: format!("_acme-challenge.{name}"), value: proof.dns_value() }
        }
    })
}

/// The certificate of TLS-ALPN-01 (RFC 8737 section 3): the name, and a hash in an extension.
fn alpn(identifier: &Identifier, hash: &[u8]) -> Result<Certificate, rcgen::Error> {
    let (san, host) = match identifier {
        Identifier::Ip(address) => (SanType::IpAddress(*address), address.to_string()),
        Identifier::Dns(name) => (SanType::DnsName(name.as_str().try_into()?), name.clone()),
        _ => return Err(rcgen::Error::CouldNotParseCertificate),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![san];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(hash)];
    let key = KeyPair::generate()?;
    let chain = params.self_signed(&key)?.pem();
    Ok(Certificate { hosts: vec![host], chain, key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_need_records_and_addresses_have_none() {
        assert!(can_prove(ChallengeKind::Dns01, "*.a.test") && !can_prove(ChallengeKind::Http01, "*.a.test"));
        assert!(
            !can_prove(ChallengeKind::Dns01, "[::1]") && can_prove(ChallengeKind::TlsAlpn01, "192.0.2.1")
        );
    }
}
