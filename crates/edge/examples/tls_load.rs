//! Load over TLS for `bench/edge/tls` and `bench/certs/handshakes`: connections one after the other in a few threads, each with its own sessions.
//!
//!     tls_load certificate HOST FOLDER                       writes FOLDER/cert.pem, key.pem and both.pem
//!     tls_load certificates NUMBER FOLDER                    writes FOLDER/root.pem, and N.pem and N.key for hN.test, N from
//!                                                            0; of the first and the last another pair, N.new.pem and N.new.key
//!     tls_load full|resumed|bulk ADDRESS HOST CERT PATH THREADS SECONDS
//!
//! A HOST of the form `h*.test/NUMBER` is another one for each connection, its `*` a number below that. `full` and `resumed` make a connection for each request and make sure that its handshake was of that kind; `bulk` keeps its
//! connections. Writes one JSON object: requests, seconds, milliseconds of the 99th percentile, version and suite. Whatever is not as it
//! should be (another certificate, a status other than 200, half a body) ends it with an error.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::borrow::Cow;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;
type Stream = StreamOwned<ClientConnection, TcpStream>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Full,
    Resumed,
    Bulk,
}

#[derive(Clone)]
struct Plan {
    mode: Mode,
    address: String,
    host: String,
    /// How many hosts there are in its place.
    hosts: Option<usize>,
    config: ClientConfig,
    path: String,
    end: Instant,
}

impl Plan {
    fn host(&self) -> Cow<'_, str> {
        match self.hosts {
            Some(number) => self.host.replace('*', &fastrand::usize(..number).to_string()).into(),
            None => self.host.as_str().into(),
        }
    }

    fn request(&self, host: &str) -> String {
        format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", self.path)
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["certificate", host, folder] => certificate(host, folder),
        ["certificates", number, folder] => certificates(number.parse()?, folder),
        [mode, address, host, cert, path, threads, seconds] => {
            let mode = match mode {
                "full" => Mode::Full,
                "resumed" => Mode::Resumed,
                "bulk" => Mode::Bulk,
                other => return Err(format!("no such load: {other}").into()),
            };
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(cert)?)?;
            let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            let began = Instant::now();
            let (host, hosts) = match host.split_once('/') {
                Some((host, number)) => (host, Some(number.parse()?)),
                None => (host, None),
            };
            let plan = Plan {
                mode,
                address: address.to_owned(),
                host: host.to_owned(),
                hosts,
                config,
                path: path.to_owned(),
                end: began + Duration::from_secs_f64(seconds.parse()?),
            };
            load(&plan, threads.parse()?, began)
        }
        _ => Err("see the head of the source for its arguments".into()),
    }
}

fn certificate(host: &str, folder: &str) -> Result<(), Failure> {
    let made = rcgen::generate_simple_self_signed([host.to_owned()])?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [("cert.pem", &cert), ("key.pem", &key), ("both.pem", &[&*cert, &*key].concat())] {
        write(&format!("{folder}/{name}"), text)?;
    }
    Ok(())
}

fn certificates(number: usize, folder: &str) -> Result<(), Failure> {
    let root_key = KeyPair::generate()?;
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "a benchmark's root");
    let root_cert = root.self_signed(&root_key)?;
    let issuer = Issuer::new(root, root_key);
    write(&format!("{folder}/root.pem"), &root_cert.pem())?;
    let again = [0, number.saturating_sub(1)].map(|at| (at, format!("{at}.new")));
    for (at, name) in (0..number).map(|at| (at, at.to_string())).chain(again) {
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec![format!("h{at}.test")])?.signed_by(&key, &issuer)?;
        // With its issuer behind it, as an authority's chain has it.
        write(&format!("{folder}/{name}.pem"), &[leaf.pem(), root_cert.pem()].concat())?;
        write(&format!("{folder}/{name}.key"), &key.serialize_pem())?;
    }
    Ok(())
}

fn write(path: &str, text: &str) -> Result<(), Failure> {
    Ok(std::fs::File::create(path)?.write_all(text.as_bytes())?)
}

fn load(plan: &Plan, threads: usize, began: Instant) -> Result<(), Failure> {
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let plan = plan.clone();
            std::thread::spawn(move || work(plan))
        })
        .collect();
    let (mut times, mut spoken) = (Vec::new(), String::new());
    for worker in workers {
        let (own, said) = worker.join().map_err(|_| "a thread panicked")??;
        times.extend(own);
        spoken = said;
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{{\"requests\": {}, \"seconds\": {seconds}, \"p99_ms\": {p99}, \"spoken\": \"{spoken}\"}}",
        times.len()
    );
    Ok(())
}

/// One thread's requests: how long each took, and what was spoken.
fn work(mut plan: Plan) -> Result<(Vec<Duration>, String), Failure> {
    if plan.mode != Mode::Resumed {
        plan.config.resumption = Resumption::disabled();
    }
    let config = Arc::new(plan.config.clone());
    let mut kept = None;
    if plan.mode == Mode::Resumed {
        ask(&mut connect(&plan, &plan.host, &config)?, &plan.request(&plan.host))?;
    }
    let (mut times, mut spoken) = (Vec::new(), String::new());
    while Instant::now() < plan.end {
        let host = plan.host();
        let began = Instant::now();
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect(&plan, &host, &config)?,
        };
        ask(&mut stream, &plan.request(&host))?;
        times.push(began.elapsed());
        let kind = stream.conn.handshake_kind();
        if (plan.mode == Mode::Resumed) != (kind == Some(HandshakeKind::Resumed)) {
            return Err(format!("a handshake of another kind: {kind:?}").into());
        }
        if spoken.is_empty() {
            spoken = format!(
                "{:?} {:?} {:?}",
                stream.conn.protocol_version().ok_or("no version")?,
                stream.conn.negotiated_cipher_suite().ok_or("no suite")?.suite(),
                stream.conn.negotiated_key_exchange_group().map(|group| group.name())
            );
        }
        if plan.mode == Mode::Bulk {
            kept = Some(stream);
        }
    }
    Ok((times, spoken))
}

fn connect(plan: &Plan, host: &str, config: &Arc<ClientConfig>) -> Result<Stream, Failure> {
    let socket = TcpStream::connect(&plan.address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let name = ServerName::try_from(host.to_owned())?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, socket))
}

/// One request, its answer read whole.
fn ask(stream: &mut Stream, request: &str) -> Result<(), Failure> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = vec![0; 64 << 10];
    let (mut had, mut head) = (0, None);
    let end = loop {
        let count = stream.read(bytes.get_mut(had..).unwrap_or_default())?;
        if count == 0 {
            return Err("the answer ended before its end".into());
        }
        had += count;
        let read = bytes.get(..had).unwrap_or_default();
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            head.replace(String::from_utf8_lossy(read.get(..at).unwrap_or_default()).to_ascii_lowercase());
            break at + 4;
        }
    };
    let head = head.unwrap_or_default();
    if !head.starts_with("http/1.1 200 ") {
        return Err(format!("not what was asked for: {head}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
    let mut left: usize =
        length.trim().parse::<usize>()?.checked_sub(had - end).ok_or("more than its length")?;
    while left > 0 {
        match stream.read(&mut bytes)? {
            0 => return Err("the answer ended before its end".into()),
            count => left = left.checked_sub(count).ok_or("more than its length")?,
        }
    }
    Ok(())
}
