//! `uri-host [ ":" port ]` (RFC 9110 §4.2, §7.2; RFC 3986 §3.2), narrower than the grammar: what no name server, certificate or
//! router ever holds (percent-encoding, `sub-delims`, user information) is refused, as it only serves to be read in two ways.

use std::net::Ipv6Addr;

use crate::{Reject, Span};

/// A host with its port, as offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Without the port; an IP literal keeps its brackets.
    pub host: Span,
    /// `None` where none was written; `host:` counts as none (RFC 3986 §3.2.3).
    pub port: Option<u16>,
}

impl Authority {
    /// Reads `text`, which starts at offset `at` of the buffer.
    pub(crate) fn parse(text: &[u8], at: usize) -> Result<Authority, Reject> {
        let host_len = if text.first() == Some(&b'[') { literal(text)? } else { name(text) };
        let (host, rest) = text.split_at_checked(host_len).ok_or(Reject::HostInvalid)?;
        if host.is_empty() {
            return Err(Reject::HostInvalid);
        }
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return Err(Reject::HostInvalid),
        };
        Ok(Authority { host: Span::new(at, at + host_len), port })
    }

    /// Whether both name the same place, where `default_port` is what a missing port means.
    pub(crate) fn same(&self, other: &Authority, buf: &[u8], default_port: u16) -> bool {
        self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
            && self.host.of(buf).eq_ignore_ascii_case(other.host.of(buf))
    }
}

/// Length of the host name at the start of `text`.
fn name(text: &[u8]) -> usize {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.iter().position(|b| !allowed(b)).unwrap_or(text.len())
}

/// Length of the IPv6 address in brackets at the start of `text`.
fn literal(text: &[u8]) -> Result<usize, Reject> {
    let close = memchr::memchr(b']', text).ok_or(Reject::HostInvalid)?;
    text.get(1..close)
        .and_then(|address| std::str::from_utf8(address).ok())
        .and_then(|address| address.parse::<Ipv6Addr>().ok())
        .map(|_| close + 1)
        .ok_or(Reject::HostInvalid)
}

/// At most five digits, so that no reader has to decide about leading zeros beyond that.
fn port(digits: &[u8]) -> Result<u16, Reject> {
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reject::HostInvalid);
    }
    let value = digits.iter().fold(0u32, |sum, d| sum * 10 + u32::from(d - b'0'));
    u16::try_from(value).map_err(|_| Reject::HostInvalid)
}
