//! Recognising field names: by length, then first letter, then one comparison. Nothing is allocated and most names
//! cost at most one comparison.

use crate::FieldId;

/// The id of a name, in any case.
pub(crate) fn recognise(name: &[u8]) -> FieldId {
    if let Some(id) = listed(name) {
        return id;
    }
    if memchr::memchr(b'_', name).is_some() {
        return underscored(name);
    }
    forwarded(name)
}

/// `X-Forwarded-` with any ending.
fn forwarded(name: &[u8]) -> FieldId {
    const PREFIX: &[u8] = b"x-forwarded-";
    match name.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => FieldId::XForwardedOther,
        _ => FieldId::Other,
    }
}

/// What CGI, WSGI and their kin would make of a name with underscores.
fn underscored(name: &[u8]) -> FieldId {
    let mut dashed = [0u8; 64];
    let Some(dashed) = dashed.get_mut(..name.len()) else { return FieldId::Other };
    for (to, &from) in dashed.iter_mut().zip(name) {
        *to = if from == b'_' { b'-' } else { from };
    }
    let known = listed(dashed).is_some() || forwarded(dashed) != FieldId::Other;
    if known { FieldId::UnderscoreAlias } else { FieldId::Other }
}

/// The first of `names` that equals `name`; all of them are as long as it and in lower case.
#[inline]
fn pick(name: &[u8], names: &[(&str, FieldId)]) -> Option<FieldId> {
    let first = name.first()? | 0x20;
    names
        .iter()
        .find(|(known, _)| {
            known.as_bytes().first() == Some(&first) && known.as_bytes().eq_ignore_ascii_case(name)
        })
        .map(|(_, id)| *id)
}

#[rustfmt::skip] // one length a line
fn listed(name: &[u8]) -> Option<FieldId> {
    use FieldId::*;
    match name.len() {
        2 => pick(name, &[("te", Te)]),
        3 => pick(name, &[("age", Age)]),
        4 => pick(name, &[("host", Host), ("date", Date), ("etag", Etag), ("vary", Vary), ("link", Link)]),
        5 => pick(name, &[("range", Range)]),
        6 => pick(name, &[("accept", Accept), ("cookie", Cookie), ("origin", Origin), ("server", Server), ("expect", Expect)]),
        7 => pick(name, &[("referer", Referer), ("upgrade", Upgrade), ("trailer", Trailer), ("expires", Expires)]),
        8 => pick(name, &[("location", Location), ("if-match", IfMatch), ("if-range", IfRange)]),
        9 => pick(name, &[("forwarded", Forwarded), ("x-real-ip", XRealIp)]),
        10 => pick(name, &[("connection", Connection), ("user-agent", UserAgent), ("keep-alive", KeepAlive), ("set-cookie", SetCookie)]),
        11 => pick(name, &[("retry-after", RetryAfter), ("traceparent", Traceparent)]),
        12 => pick(name, &[("content-type", ContentType), ("x-request-id", XRequestId)]),
        13 => pick(name, &[("cache-control", CacheControl), ("if-none-match", IfNoneMatch), ("authorization", Authorization), ("last-modified", LastModified), ("accept-ranges", AcceptRanges), ("content-range", ContentRange)]),
        14 => pick(name, &[("content-length", ContentLength), ("sec-fetch-mode", SecFetchMode), ("sec-fetch-dest", SecFetchDest), ("http2-settings", Http2Settings)]),
        15 => pick(name, &[("accept-encoding", AcceptEncoding), ("accept-language", AcceptLanguage), ("x-forwarded-for", XForwardedFor)]),
        16 => pick(name, &[("content-encoding", ContentEncoding), ("x-forwarded-host", XForwardedHost), ("x-forwarded-port", XForwardedPort), ("www-authenticate", WwwAuthenticate), ("proxy-connection", ProxyConnection)]),
        17 => pick(name, &[("transfer-encoding", TransferEncoding), ("if-modified-since", IfModifiedSince), ("x-forwarded-proto", XForwardedProto), ("x-accel-buffering", XAccelBuffering)]),
        18 => pick(name, &[("proxy-authenticate", ProxyAuthenticate)]),
        19 => pick(name, &[("if-unmodified-since", IfUnmodifiedSince), ("proxy-authorization", ProxyAuthorization), ("content-disposition", ContentDisposition)]),
        21 => pick(name, &[("x-client-cert-subject", XClientCertSubject)]),
        22 => pick(name, &[("x-content-type-options", XContentTypeOptions)]),
        23 => pick(name, &[("content-security-policy", ContentSecurityPolicy)]),
        25 => pick(name, &[("strict-transport-security", StrictTransportSecurity), ("x-client-cert-fingerprint", XClientCertFingerprint)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case() {
        for (name, id) in [
            ("Host", FieldId::Host),
            ("hOST", FieldId::Host),
            ("X-Forwarded-For", FieldId::XForwardedFor),
            ("x-forwarded-prefix", FieldId::XForwardedOther),
            ("X-Forwarded-", FieldId::XForwardedOther),
            ("Transfer-Encoding", FieldId::TransferEncoding),
            ("TE", FieldId::Te),
            ("Strict-Transport-Security", FieldId::StrictTransportSecurity),
            ("X-Custom", FieldId::Other),
            ("", FieldId::Other),
        ] {
            assert_eq!(recognise(name.as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn underscores_that_cgi_would_read_as_dashes_are_told() {
        for name in
            ["Content_Length", "x_real_ip", "X_Forwarded-For", "X-Forwarded_Prefix", "Transfer_Encoding"]
        {
            assert_eq!(recognise(name.as_bytes()), FieldId::UnderscoreAlias, "{name}");
        }
        assert_eq!(recognise(b"my_header"), FieldId::Other);
        assert_eq!(recognise(&[b'_'; 300]), FieldId::Other);
    }

    #[test]
    fn no_listed_name_hides_behind_its_length() {
        // each is found under its own length: a name in the wrong row would be dead
        let source = include_str!("names.rs");
        let mut seen = 0;
        for row in source.lines().filter(|l| l.trim().starts_with(|c: char| c.is_ascii_digit())) {
            let length: usize = row.trim().split(' ').next().unwrap().parse().unwrap();
            for name in row.split("(\"").skip(1).map(|r| r.split('"').next().unwrap()) {
                assert_eq!(name.len(), length, "{name}");
                assert_eq!(name, name.to_ascii_lowercase());
                assert_ne!(recognise(name.as_bytes()), FieldId::Other, "{name}");
                seen += 1;
            }
        }
        assert_eq!(
            seen,
            FieldId::XRequestId as usize - 2,
            "every id but the three without a name of their own"
        );
    }
}
