//! Words of HTTP: header names and values, methods, origins, media types, patterns. Pure, as [`crate::values`].

use crate::values::{Wrong, wrong};
use model::site::LOCAL_NAMES;

/// Headers that belong to a connection or to Mainstay itself.
const OURS: [&str; 16] = [
    "connection",
    "content-length",
    "date",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-request-id",
];

/// A token (RFC 9110 section 5.6.2).
pub fn is_token(text: &str) -> bool {
    http1::is_token(text.as_bytes())
}

/// The name of a header that may be changed.
pub fn header_name(text: &str) -> Result<(), Wrong> {
    let lower = text.to_ascii_lowercase();
    if let Some(name) = lower.strip_suffix(':').filter(|name| is_token(name)) {
        return wrong("a name has no `:`", Some(&format!("write `{}`", &text[..name.len()])));
    }
    if !is_token(text) {
        return wrong("a name has letters, digits and `-`", None);
    }
    if OURS.contains(&&*lower) || lower.starts_with("x-forwarded-") {
        return wrong("Mainstay sets this itself", Some("remove it"));
    }
    Ok(())
}

/// A header's value (RFC 9110 section 5.5).
pub fn header_value(text: &str) -> Result<(), Wrong> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return wrong("line ends and controls cannot be in a header", None);
    }
    if text.trim() != text {
        return wrong("spaces around a value do not belong to it", Some(&format!("write {:?}", text.trim())));
    }
    if !text.is_ascii() {
        return wrong("only ASCII can be in a header", None);
    }
    Ok(())
}

/// A method, upper case.
pub fn method(text: &str) -> Result<(), Wrong> {
    let upper = text.to_ascii_uppercase();
    if upper != text && is_token(&upper) {
        return wrong("methods are written in capitals", Some(&format!("write `{upper}`")));
    }
    if !is_token(text) {
        return wrong("a method is one word", None);
    }
    if text == "CONNECT" {
        return wrong("Mainstay is no forward proxy", Some("remove it"));
    }
    Ok(())
}

/// An origin as browsers send it: scheme, host and, if it is not the scheme's own, port. Or `*`.
pub fn origin(text: &str) -> Result<(), Wrong> {
    if text == "*" {
        return Ok(());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("an origin begins with `https://`", Some(&format!("write `https://{text}`")));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.len() != rest.len() {
        return wrong("an origin has no path", Some(&format!("write `{scheme}://{authority}`")));
    }
    if text != text.to_ascii_lowercase() {
        return wrong(
            "browsers send it in small letters",
            Some(&format!("write `{}`", text.to_ascii_lowercase())),
        );
    }
    let own_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    if let Some(host) = authority.strip_suffix(own_port).filter(|_| !own_port.is_empty()) {
        return wrong("browsers leave out the usual port", Some(&format!("write `{scheme}://{host}`")));
    }
    if authority.contains('*') {
        return wrong("each origin is written out", None);
    }
    let host = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = host.map_or(authority, |(host, _)| host);
    if host.is_empty()
        || authority.contains(|c: char| c.is_whitespace() || c.is_control() || "@\"',".contains(c))
    {
        return wrong("not an origin", Some("write `https://app.example.org`"));
    }
    Ok(())
}

/// A media type: `text/html`, `text/*`.
pub fn media_type(text: &str) -> Result<(), Wrong> {
    match text.split_once('/') {
        Some((kind, sub)) if is_token(kind) && is_token(sub) && !kind.contains('*') => Ok(()),
        _ => wrong("a media type is two words and `/`", Some("write `text/html` or `text/*`")),
    }
}

/// A pattern of paths or files.
pub fn glob(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return wrong("empty", None);
    }
    match globset::Glob::new(text) {
        Ok(_) => Ok(()),
        Err(error) => wrong(error.kind().to_string(), None),
    }
}

/// Names that mean this machine or this network, addresses and single labels too: no certificate of the public kind, no HSTS.
pub fn is_local(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.')
        || name.starts_with('[')
        || name.parse::<std::net::IpAddr>().is_ok()
        || LOCAL_NAMES.iter().any(|end| is(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for good in ["X-Frame-Options", "server", "X_1"] {
            assert!(header_name(good).is_ok(), "{good}");
        }
        for bad in
            ["", "A B", "A:", "Ä", "Connection", "content-length", "X-Forwarded-For", "X-Request-Id", "Host"]
        {
            assert!(header_name(bad).is_err(), "{bad}");
        }
        assert!(header_value("max-age=60, \"x\"\ty").is_ok() && header_value("").is_ok());
        for bad in ["a\r\nB: c", "a\0", " a", "ä"] {
            assert!(header_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_and_types() {
        for good in
            ["*", "https://a.org", "http://localhost:3000", "capacitor://localhost", "http://[::1]:8080"]
        {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "a.org",
            "https://a.org/",
            "https://A.org",
            "https://a.org:443",
            "https://*.a.org",
            "https://",
            "https://u@a",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
        assert!(
            media_type("image/svg+xml").is_ok() && media_type("text/*").is_ok() && media_type("*/*").is_err()
        );
        assert!(method("PROPFIND").is_ok() && method("get").is_err() && method("").is_err());
        assert!(glob("**/*.js").is_ok() && glob("a[").is_err());
    }

    #[test]
    fn local_names() {
        for local in [
            "localhost",
            "a.localhost",
            "nas.local",
            "10.0.0.1",
            "[::1]",
            "*",
            "intranet",
            "*.test",
            "x.home.arpa",
        ] {
            assert!(is_local(local), "{local}");
        }
        for public in ["shop.de", "*.shop.de", "localhost.de", "mylocal.org"] {
            assert!(!is_local(public), "{public}");
        }
    }
}
