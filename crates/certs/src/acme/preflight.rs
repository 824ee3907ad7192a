//! Whether names lead to this host, before an authority is asked: what it would refuse is cheaper found here, and said better.
//!
//! An address of this host's own will do. Whether any other one leads here is asked through it: an answer to a challenge of our own making has to
//! come back, over plain HTTP, as the authority would fetch it. That is decisive behind address translation too, if the router leads back to
//! the host what the host itself sends to the public address; where it does not, `check_names = false` is for that.

use super::{Challenge, Host, Wish};
use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use wire::snapshot::HttpChallenge;

/// For one question, its connection included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is looked at, in bytes.
const MOST: usize = 64 << 10;

/// Looks at each of these names.
///
/// # Errors
/// A sentence for each that does not lead here, with where it leads and what this host is.
pub(super) async fn look(names: &[&str], wish: &Wish, host: &dyn Host) -> Result<(), String> {
    let random = || sys::random::hex(16).map_err(|error| format!("this host gives no random bytes: {error}"));
    let ours = HttpChallenge { token: format!("mainstay-{}", random()?), answer: random()? };
    let shown = [Challenge::Http(ours.clone())];
    if wish.doors.http.is_some() {
        host.present(&shown).await?;
    }
    let mut wrong = Vec::new();
    for name in names {
        if let Err(sentence) = one(name, wish.doors.http, &ours, host).await {
            wrong.push(sentence);
        }
    }
    if wish.doors.http.is_some() {
        host.withdraw(&shown).await;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; mend the names' records (A and AAAA), or set check_names = false where a router does not lead back to this host",
        wrong.join("; ")
    ))
}

async fn one(name: &str, door: Option<u16>, ours: &HttpChallenge, host: &dyn Host) -> Result<(), String> {
    let found = host.addresses(name).await.map_err(|error| format!("{name} leads nowhere: {error}"))?;
    if found.is_empty() {
        return Err(format!("{name} leads nowhere: it has no address"));
    }
    for address in found {
        let Some(port) = door else {
            if is_own(address) || may_be_translated(address) {
                continue;
            }
            return Err(format!("{name} leads to {address}, this host is {}", own(address)));
        };
        if let Err(cause) = comes_back(name, SocketAddr::new(address, port), ours).await {
            return Err(if is_own(address) {
                format!("{name} leads to this host ({address}), but port {port} there {cause}")
            } else {
                format!("{name} leads to {address}, this host is {}: port {port} there {cause}", own(address))
            });
        }
    }
    Ok(())
}

/// Whether our own answer comes back from there; else what comes instead.
async fn comes_back(name: &str, at: SocketAddr, ours: &HttpChallenge) -> Result<(), String> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(PATIENCE / 2));
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let ask = async {
        let request = Request::get(format!("http://{at}/.well-known/acme-challenge/{}", ours.token))
            .header(HOST, name)
            .body(Empty::new())
            .map_err(|error| format!("cannot be asked: {error}"))?;
        let answer = client.request(request).await.map_err(|_| "does not answer".to_owned())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MOST).collect().await;
        match body.map(http_body_util::Collected::to_bytes) {
            Ok(body) if status == 200 && body == ours.answer => Ok(()),
            _ => Err(format!("answers with what is not ours (status {status})")),
        }
    };
    tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| Err("does not answer".to_owned()))
}

/// Whether an interface of this host has it: a socket can be bound there.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Which address this host would send from to get there: what it is, as far as it knows itself.
fn own(towards: IpAddr) -> String {
    let any: IpAddr = if towards.is_ipv4() { [0, 0, 0, 0].into() } else { [0; 16].into() };
    let sent_from = || {
        // Nothing is sent: the kernel only chooses.
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((towards, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let family = if towards.is_ipv4() { "IPv4" } else { "IPv6" };
    sent_from().map_or_else(|| format!("without {family}"), |own| own.to_string())
}

/// Whether this host's own address is a private one, so that a public one may be led to it.
fn may_be_translated(towards: IpAddr) -> bool {
    match own(towards).parse::<IpAddr>() {
        Ok(IpAddr::V4(own)) => own.is_private() || own.is_link_local(),
        Ok(IpAddr::V6(own)) => own.is_unique_local(),
        Err(_) => false,
    }
}
