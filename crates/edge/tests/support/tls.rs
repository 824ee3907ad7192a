//! Clients over TLS, and certificates made for a test.
#![allow(dead_code)]

use super::{Door, Edge, PATIENCE, Reply};
use edge::Deadlines;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use wire::snapshot::{Certificate, Snapshot, TicketKey};

pub const TLS12: &SupportedProtocolVersion = &rustls::version::TLS12;
pub const TLS13: &SupportedProtocolVersion = &rustls::version::TLS13;

/// A door for TLS alone.
pub const SECURE: Door = Door { tls: true, proxy_protocol: false };

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A self-signed pair, and what a client trusts it by.
pub fn pair(hosts: &[&str]) -> (Certificate, CertificateDer<'static>) {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let names = if hosts == ["*"] { vec!["any.test".to_owned()] } else { hosts.clone() };
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let given = Certificate { hosts, chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    (given, made.cert.der().clone())
}

pub fn ticket_key(number: u8) -> TicketKey {
    TicketKey { name: [number; 16], secret: [number ^ 0x5a; 32] }
}

/// A client that trusts these, and keeps its sessions.
pub fn client(
    trusted: &[&CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|&der| roots.add(der.clone()).unwrap());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects and shakes hands.
pub fn connect(config: &Arc<ClientConfig>, address: SocketAddr, name: &str) -> io::Result<TlsStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// The reason that a handshake fails for.
pub fn refusal(config: &Arc<ClientConfig>, address: SocketAddr, name: &str) -> rustls::Error {
    let error = connect(config, address, name).map(drop).unwrap_err();
    let inner = error.into_inner().and_then(|inner| inner.downcast::<rustls::Error>().ok());
    *inner.expect("an error of TLS")
}

/// Sends these bytes and reads until the end, which must be a proper one.
pub fn exchange(stream: &mut TlsStream, bytes: &str) -> Reply {
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(at + 4);
    let head = String::from_utf8(answer).unwrap();
    Reply { status: head[9..12].parse().unwrap(), head, body }
}

pub fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// An edge with a plain door and these.
pub fn behind(doors: &[Door], snapshot: &Snapshot) -> Edge {
    Edge::with_doors(Deadlines::default(), 1, doors, snapshot)
}
