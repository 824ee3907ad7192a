//! A TLS client that trusts one root and checks names, and certificates of a test's own authority.

use crate::http::{Connection, Response, socket_from};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io;
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// A connection over TLS.
pub type TlsConnection = Connection<StreamOwned<ClientConnection, TcpStream>>;

/// Trusts one root, keeps session tickets.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// Trusts this root certificate (PEM), and nobody else.
    #[track_caller]
    pub fn trusting(root: &str) -> Self {
        Self::trusting_all(&[root])
    }

    /// Trusts these root certificates.
    #[track_caller]
    pub fn trusting_all(pems: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        for pem in pems {
            let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a root certificate");
            roots.add(root).expect("a usable root");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config: Arc::new(config) }
    }

    /// The same for a client of another library that speaks `h2` alone.
    pub fn http2(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Connects and shakes hands with `host`, at most ten seconds each.
    pub fn connect(&self, address: impl ToSocketAddrs, host: &str) -> io::Result<TlsConnection> {
        self.shake_hands(TcpStream::connect(address)?, host)
    }

    /// The same from this address of loopback's: another client, for who counts them.
    pub fn connect_from(&self, source: Ipv4Addr, port: u16, host: &str) -> io::Result<TlsConnection> {
        self.shake_hands(socket_from(source, port)?, host)
    }

    fn shake_hands(&self, mut socket: TcpStream, host: &str) -> io::Result<TlsConnection> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.set_write_timeout(Some(Duration::from_secs(10)))?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Connection::over(StreamOwned::new(tls, socket)))
    }

    /// `GET`, on a connection of its own.
    pub fn get(&self, port: u16, host: &str, path: &str) -> io::Result<Response> {
        let mut connection = self.connect(("127.0.0.1", port), host)?;
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        Ok(connection.response())
    }
}

/// Certificate and key in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The root that signed it.
    pub root: String,
    /// The leaf.
    pub cert: String,
    /// Its key.
    pub key: String,
}

/// A certificate for these hosts by an authority made for it alone.
#[track_caller]
pub fn pair(hosts: &[&str]) -> Pair {
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the leaf's: OpenSSL takes a certificate for self-signed whose issuer is called as it is.
    root.distinguished_name.push(DnType::CommonName, "a test's root");
    let root_cert = root.self_signed(&root_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let leaf = CertificateParams::new(hosts).expect("names");
    let cert = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a leaf");
    Pair { root: root_cert.pem(), cert: cert.pem(), key: key.serialize_pem() }
}
