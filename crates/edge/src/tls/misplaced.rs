//! Requests that came by the wrong way: plain ones that belong on HTTPS, and those for a host that the connection is not for.

use crate::connection::Client;
use crate::error_page::Refusal;
use crate::table::Table;
use http1::{Method, RequestHead, TargetForm};
use wire::failure::Cause;

/// What a request is told that came by the wrong way. `https`: the client's own way, which may end at a trusted peer.
pub fn misplaced(
    client: &Client,
    table: &Table,
    https: bool,
    buf: &[u8],
    head: &RequestHead,
) -> Option<Refusal> {
    let host = head.host?.of(buf);
    if let Some(secure) = &client.secure {
        let cause = "the connection's certificate is not for this host";
        return (!secure.is_for(host)).then(|| Refusal::new(421, Cause::Misdirected, cause));
    }
    if https || head.form == TargetForm::Asterisk {
        return None;
    }
    let port = table.https_port(*client.door, host)?;
    // Others may not become GET on the way (RFC 9110 section 15.4.9).
    let status = if matches!(head.method, Method::Get | Method::Head) { 301 } else { 308 };
    let lines = Some(location(host, port, buf, head).into());
    Some(Refusal { lines, ..Refusal::new(status, Cause::Misdirected, "") })
}

/// The same address on HTTPS. Host and target were checked: no control character can be among them.
fn location(host: &[u8], port: u16, buf: &[u8], head: &RequestHead) -> Vec<u8> {
    let mut line = [b"Location: https://", host].concat();
    if port != 443 {
        line.extend_from_slice(format!(":{port}").as_bytes());
    }
    let path = head.path.of(buf);
    line.extend_from_slice(if path.is_empty() { b"/" } else { path });
    if let Some(query) = head.query {
        line.push(b'?');
        line.extend_from_slice(query.of(buf));
    }
    line.extend_from_slice(b"\r\n");
    line
}
