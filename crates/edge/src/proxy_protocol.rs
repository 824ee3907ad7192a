//! The header by which a load balancer says for whom it connects (HAProxy's PROXY protocol, versions 1 and 2). Its parts are
//! read by `ppp`; here is what a stream needs: when it is whole, how long it is, whom it names.

use ppp::{PartialResult, v1, v2};
use std::net::IpAddr;

/// Longest header of version 1, with its line end.
const LONGEST_V1: usize = 107;

/// What the beginning of a connection is.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header of `len` bytes; the client it names, unless the connection is the balancer's own (`LOCAL`, `UNKNOWN`).
    Header {
        /// Bytes.
        len: usize,
        /// The client.
        client: Option<IpAddr>,
    },
    /// It may become one.
    Incomplete,
    /// It is none.
    Invalid,
}

/// Looks for a header at the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let common = bytes.len().min(v2::PROTOCOL_PREFIX.len());
    if bytes.get(..common) == v2::PROTOCOL_PREFIX.get(..common) { parse_v2(bytes) } else { parse_v1(bytes) }
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let common = bytes.len().min(v1::PROTOCOL_PREFIX.len());
    if bytes.get(..common) != v1::PROTOCOL_PREFIX.as_bytes().get(..common) {
        return Parsed::Invalid;
    }
    let window = bytes.get(..LONGEST_V1).unwrap_or(bytes);
    // Given half a line, the parser would refuse half an address.
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if window.len() < LONGEST_V1 { Parsed::Incomplete } else { Parsed::Invalid };
    };
    let len = end + 1;
    let Ok(header) = v1::Header::try_from(bytes.get(..len).unwrap_or_default()) else {
        return Parsed::Invalid;
    };
    let client = match header.addresses {
        v1::Addresses::Tcp4(addresses) => Some(IpAddr::V4(addresses.source_address)),
        v1::Addresses::Tcp6(addresses) => Some(IpAddr::V6(addresses.source_address)),
        v1::Addresses::Unknown => None,
    };
    // A carriage return in its midst would end it for the parser.
    if header.header.len() != len {
        return Parsed::Invalid;
    }
    Parsed::Header { len, client: client.map(|address| address.to_canonical()) }
}

fn parse_v2(bytes: &[u8]) -> Parsed {
    let header = v2::Header::try_from(bytes);
    if header.is_incomplete() {
        return Parsed::Incomplete;
    }
    let Ok(header) = header else { return Parsed::Invalid };
    let client = match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => Some(IpAddr::V4(addresses.source_address)),
        (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => Some(IpAddr::V6(addresses.source_address)),
        _ => None,
    };
    Parsed::Header { len: header.len(), client: client.map(|address| address.to_canonical()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(len: usize, client: Option<&str>) -> Parsed {
        Parsed::Header { len, client: client.map(|text| text.parse().unwrap()) }
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, payload].concat()
    }

    /// Every header of a few, with a request behind it.
    fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 4, 210, 1, 187];
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
        vec![
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 443\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::7 ::1 1234 443\r\n".to_vec(), Some("2001:db8::7")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 443\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.1")),
            (v2(0x21, 0x11, &[&v4[..], &[4, 0, 2, 1, 2]].concat()), Some("192.0.2.1")),
            (v2(0x21, 0x21, &v6), Some("2001:db8::7")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0, &[]), None),
            (v2(0x21, 0x31, &[7; 216]), None),
        ]
    }

    #[test]
    fn headers_are_read_whole_and_not_before() {
        for (header, client) in headers() {
            let bytes = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&bytes), whole(header.len(), client), "{header:?}");
            for length in 0..header.len() {
                assert_eq!(parse(&bytes[..length]), Parsed::Incomplete, "{length} of {header:?}");
            }
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 70000\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            b"PROXY UNKNOWN\rX\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            &[b'P'; 200],
            b"\x16\x03\x01",
        ] {
            assert_eq!(parse(bytes), Parsed::Invalid, "{bytes:?}");
        }
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        assert_eq!(parse(&long), Parsed::Invalid);
    }
}
