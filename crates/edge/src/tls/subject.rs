//! The name of a certificate's owner as text that fits into a header: RFC 4514, as nginx has it in `$ssl_client_s_dn`.
//!
//! Whatever could be taken for another part of the name, or is no visible ASCII, is escaped (RFC 4514 section 2.4): an authority that
//! lets its clients choose a name gives them no way to have another one read from it.

use rustls_pki_types::CertificateDer;
use std::fmt::Write as _;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

/// Longest text; a longer name is left out, as its certificate's fingerprint is there too.
const LONGEST: usize = 2048;

/// `CN=alice,O=Example`; empty: it has none that can be told.
pub fn subject(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return String::new() };
    let mut parts: Vec<String> = Vec::new();
    for name in parsed.subject().iter_rdn() {
        let attributes: Vec<String> = name.iter().map(attribute).collect();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(",")).filter(|text| text.len() <= LONGEST).unwrap_or_default()
}

fn attribute(given: &AttributeTypeAndValue<'_>) -> String {
    let kind = given.attr_type();
    let mut text = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
    text.push('=');
    match given.as_str() {
        Ok(value) => escape(&mut text, value),
        Err(_) => {
            text.push('#');
            for byte in given.as_slice() {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    text
}

fn escape(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let special = match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => true,
            b'#' => at == 0,
            b' ' => at == 0 || at == last,
            _ => false,
        };
        if special {
            text.push('\\');
            text.push(char::from(byte));
        } else if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    #[test]
    fn a_name_is_read_as_it_was_given_and_as_nothing_else() {
        for (name, text) in [
            ("alice", "CN=alice"),
            ("alice,O=Admins", "CN=alice\\,O\\=Admins"),
            ("a\r\nX-User: root", "CN=a\\0d\\0aX-User: root"),
            (" a ", "CN=\\ a\\ "),
            ("#a\\", "CN=\\#a\\\\"),
            ("zoë", "CN=zo\\c3\\ab"),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Example");
            params.distinguished_name.push(DnType::CommonName, name);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(subject(made.der()), format!("{text},O=Example"));
        }
        assert_eq!(subject(&CertificateDer::from(vec![1, 2, 3])), "");
    }
}
