//! What stands for the edge in these tests: a door for plain HTTP and one for TLS that answer challenges, and a clock that the test moves.
#![allow(dead_code)] // each test binary uses a part of it

pub mod front;

use certs::acme::{Challenge, Doors, Host, Wish};
use model::acme::{AcmeSpec, AuthoritySpec, ChallengeKind, DnsSpec, KeyKind, SiteAcme};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use testkit::pebble::{Options, Pebble};

/// The doors and the clock. Its threads end with the test's process.
#[derive(Debug)]
pub struct Edge {
    pub doors: Doors,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    served: Vec<Challenge>,
    /// So many more times what is presented is not served.
    hidden: usize,
    /// How often something was presented.
    presented: usize,
    /// What is presented is never said to be served.
    hanging: bool,
    /// Why nothing can be presented.
    broken: Option<String>,
    /// The clock stands there; none: it is the host's.
    now: Option<SystemTime>,
    ahead: Duration,
    /// Where names lead, by this host's resolver; others lead nowhere.
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Edge {
    pub fn open() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let [http, tls] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let doors = Doors {
            http: Some(http.local_addr().unwrap().port()),
            https: Some(tls.local_addr().unwrap().port()),
        };
        let shared = Arc::clone(&state);
        std::thread::spawn(move || http.incoming().flatten().for_each(|socket| answer(socket, &shared)));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || serve_tls(&tls, &shared));
        Self { doors, state }
    }

    /// What is presented next is not served, so many times.
    pub fn hide(&self, times: usize) {
        self.state.lock().unwrap().hidden = times;
    }

    /// Where a name leads from now on.
    pub fn leads(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.state.lock().unwrap().names.insert(name.to_owned(), addresses);
    }

    /// Whoever presents something waits for ever.
    pub fn hang(&self, hanging: bool) {
        self.state.lock().unwrap().hanging = hanging;
    }

    pub fn break_with(&self, why: &str) {
        self.state.lock().unwrap().broken = Some(why.to_owned());
    }

    pub fn presented(&self) -> usize {
        self.state.lock().unwrap().presented
    }

    /// How many challenges are served.
    pub fn served(&self) -> usize {
        self.state.lock().unwrap().served.len()
    }

    pub fn set_clock(&self, now: SystemTime) {
        self.state.lock().unwrap().now = Some(now);
    }

    pub fn go_on(&self, by: Duration) {
        let mut state = self.state.lock().unwrap();
        match &mut state.now {
            Some(now) => *now += by,
            None => state.ahead += by,
        }
    }
}

#[async_trait::async_trait]
impl Host for Edge {
    async fn present(&self, challenges: &[Challenge]) -> Result<(), String> {
        let hanging = {
            let mut state = self.state.lock().unwrap();
            state.presented += 1;
            state.hanging
        };
        if hanging {
            std::future::pending::<()>().await;
        }
        let mut state = self.state.lock().unwrap();
        if let Some(why) = &state.broken {
            return Err(why.clone());
        }
        if state.hidden > 0 {
            state.hidden -= 1;
        } else {
            state.served.extend_from_slice(challenges);
        }
        Ok(())
    }

    async fn withdraw(&self, challenges: &[Challenge]) {
        self.state.lock().unwrap().served.retain(|served| !challenges.contains(served));
    }

    fn now(&self) -> SystemTime {
        let state = self.state.lock().unwrap();
        state.now.unwrap_or_else(|| SystemTime::now() + state.ahead)
    }

    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.state.lock().unwrap().names.get(name).cloned();
        found.ok_or_else(|| io::Error::other("no such name"))
    }
}

fn answer(mut socket: TcpStream, state: &Mutex<State>) {
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let mut lines = BufReader::new(&socket).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let found = state.lock().unwrap().served.iter().find_map(|challenge| match challenge {
        Challenge::Http(http) if path == format!("/.well-known/acme-challenge/{}", http.token) => {
            Some(http.answer.clone())
        }
        _ => None,
    });
    let (status, body) = found.map_or(("404 Not Found", "no".to_owned()), |body| ("200 OK", body));
    let length = body.len();
    let _ =
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

fn serve_tls(listener: &TcpListener, state: &Arc<Mutex<State>>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(Arc::clone(state))));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let config = Arc::new(config);
    for mut socket in listener.incoming().flatten() {
        let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut socket).is_ok() {}
    }
}

#[derive(Debug)]
struct Resolver(Arc<Mutex<State>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An address is asked for by its name of the reverse tree (RFC 8738 section 6).
        let name = hello.server_name()?.replace("1.0.0.127.in-addr.arpa", "127.0.0.1");
        let state = self.0.lock().unwrap();
        let certificate = state.served.iter().find_map(|challenge| match challenge {
            Challenge::Alpn(certificate) if certificate.hosts.contains(&name) => Some(certificate),
            _ => None,
        })?;
        let chain =
            CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        // Not `from_der`: its check refuses the critical extension of this very certificate.
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Some(Arc::new(CertifiedKey::new(chain, key)))
    }
}

/// An authority that looks at this edge.
pub fn pebble(edge: &Edge, options: Options) -> Pebble {
    let (http_port, tls_port) = (edge.doors.http.unwrap(), edge.doors.https.unwrap());
    Pebble::start(&Options { http_port, tls_port, ..options })
}

/// How it is asked.
pub fn authority(pebble: &Pebble) -> AuthoritySpec {
    AuthoritySpec {
        directory: pebble.directory(),
        email: Some("admin@example.org".to_owned()),
        root: Some(pebble.root()),
        eab: None,
        profile: None,
    }
}

/// These names from these authorities, each name proved as the host's doors allow.
pub fn wish(edge: &Edge, authorities: Vec<AuthoritySpec>, names: &[&str]) -> Wish {
    let acme = AcmeSpec {
        authorities,
        challenges: Vec::new(),
        dns: None,
        key: KeyKind::P256,
        check_names: false,
        wait: Duration::ZERO,
        export: None,
        hook: Vec::new(),
        on_demand: None,
    };
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Wish { names, acme, site: SiteAcme::default(), doors: edge.doors }
}

/// The same proved so.
pub fn by(wish: &Wish, challenges: &[ChallengeKind]) -> Wish {
    let mut wish = wish.clone();
    wish.acme.challenges = challenges.to_vec();
    wish
}

/// Records are made by this command, and seen at once.
pub fn dns(command: Vec<String>) -> DnsSpec {
    let (propagation, timeout) = (Duration::ZERO, Duration::from_secs(20));
    DnsSpec { command, env: BTreeMap::new(), propagation, timeout }
}
