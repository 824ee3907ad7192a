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
    let host = head.host.map(|host| host.of(buf));
    let misdirected = |cause| Some(Refusal::new(421, Cause::Misdirected, cause));
    if let (Some(secure), Some(host)) = (&client.secure, host)
        && !secure.is_for(host)
    {
        return misdirected("the connection's certificate is not for this host");
    }
    if client.secure.is_none()
        && !https
        && head.form != TargetForm::Asterisk
        && let Some(host) = host
        && let Some(port) = table.https_port(*client.door, host)
    {
        return Some(led_to_https(host, port, buf, head));
    }
    let asks = table.asks(*client.door, host.unwrap_or_default())?;
    if client.secure.as_ref().is_some_and(|secure| secure.was_asked(asks)) {
        return None;
    }
    misdirected("the connection began without the certificate that the site asks its clients for")
}

/// The same address on HTTPS.
fn led_to_https(host: &[u8], port: u16, buf: &[u8], head: &RequestHead) -> Refusal {
    // Others may not become GET on the way (RFC 9110 section 15.4.9).
    let status = if matches!(head.method, Method::Get | Method::Head) { 301 } else { 308 };
    let lines = Some(location(host, port, buf, head).into());
    Refusal { lines, ..Refusal::new(status, Cause::Misdirected, "") }
}

/// Host and target were checked: no control character can be among them.
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
