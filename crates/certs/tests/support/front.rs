//! A server of the tests' own before pebble: it passes requests on, and adds what pebble 2.4 lacks, from the RFCs: renewal information
//! (RFC 9773: `renewalInfo`, `replaces`) and profiles (draft-ietf-acme-profiles). It can also answer in pebble's place, and lose answers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use testkit::pebble::Pebble;
use testkit::tls::Client;

/// A running one. Its threads end with the test's process.
#[derive(Debug, Clone)]
pub struct Front {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// What it does beside passing on.
#[derive(Debug, Default)]
struct State {
    /// Window of renewal: begin and end as RFC 3339, and `Retry-After`.
    window: Option<(String, String, Option<u64>)>,
    profiles: Vec<String>,
    /// Requests whose path has this in it: passed on, and the answer is lost.
    lost: Option<&'static str>,
    /// Those that are answered here: part of the path, status, fields, body.
    instead: Option<(&'static str, u16, String, String)>,
    /// An order that replaces something is refused.
    no_replacement: bool,
    /// Contents of `newOrder`.
    orders: Vec<Value>,
    /// Certificates that were asked about.
    asked: Vec<String>,
}

struct Request {
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

impl Front {
    pub fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let read = |name: &str| std::fs::read(pebble.folder().join(name)).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("cert.pem")).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let config = Arc::new(config);
        let behind = (Client::trusting(&String::from_utf8(read("root.pem")).unwrap()), pebble.port());
        let shared = front.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (front, config, behind) = (shared.clone(), Arc::clone(&config), behind.clone());
                std::thread::spawn(move || front.serve(socket, config, &behind));
            }
        });
        front
    }

    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Suggests this window (RFC 3339), and to ask again after so many seconds.
    pub fn suggest(&self, start: &str, end: &str, again: Option<u64>) {
        self.state.lock().unwrap().window = Some((start.to_owned(), end.to_owned(), again));
    }

    pub fn offer(&self, profiles: &[&str]) {
        self.state.lock().unwrap().profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Answers to such requests are lost from now on: whoever waits for one waits for ever.
    pub fn lose(&self, part: Option<&'static str>) {
        self.state.lock().unwrap().lost = part;
    }

    /// Answers such requests itself.
    pub fn instead(&self, part: &'static str, status: u16, fields: &str, body: &str) {
        let answer = (part, status, fields.to_owned(), body.to_owned());
        self.state.lock().unwrap().instead = Some(answer);
    }

    /// Passes them on again.
    pub fn pass(&self) {
        self.state.lock().unwrap().instead = None;
    }

    /// Refuses orders that replace something, as one does that was replaced already (RFC 9773 section 5).
    pub fn refuse_replacement(&self) {
        self.state.lock().unwrap().no_replacement = true;
    }

    /// What was ordered.
    pub fn orders(&self) -> Vec<Value> {
        self.state.lock().unwrap().orders.clone()
    }

    /// Which certificates were asked about.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    fn serve(&self, socket: TcpStream, config: Arc<ServerConfig>, behind: &(Client, u16)) {
        let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), socket));
        while let Some(request) = read(&mut stream) {
            let answer = self.own(&request).unwrap_or_else(|| self.passed(&request, behind));
            if self.state.lock().unwrap().lost.is_some_and(|part| request.path.contains(part)) {
                std::thread::park();
            }
            let tls = stream.get_mut();
            if tls.write_all(&answer).and_then(|()| tls.flush()).is_err() {
                return;
            }
        }
    }

    fn own(&self, request: &Request) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        if let Some((part, status, fields, body)) = &state.instead
            && request.path.contains(part)
        {
            return Some(answer(*status, fields, body.as_bytes()));
        }
        if state.no_replacement
            && request.path == "/order-plz"
            && payload(&request.body).get("replaces").is_some()
        {
            let problem =
                r#"{"type":"urn:ietf:params:acme:error:alreadyReplaced","detail":"it was replaced"}"#;
            return Some(answer(409, "Replay-Nonce: none\r\n", problem.as_bytes()));
        }
        let id = request.path.strip_prefix("/renewal-info/")?;
        state.asked.push(id.to_owned());
        let (start, end, again) = state.window.clone()?;
        let again = again.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
        let window = json!({ "suggestedWindow": { "start": start, "end": end }, "explanationURL": "https://a.test/why" });
        Some(answer(
            200,
            &format!("{again}Content-Type: application/json\r\n"),
            window.to_string().as_bytes(),
        ))
    }

    fn passed(&self, request: &Request, (client, port): &(Client, u16)) -> Vec<u8> {
        let mut connection = client.connect(("127.0.0.1", *port), "localhost").unwrap();
        connection.send([request.head.as_bytes(), &request.body].concat());
        let response = match request.method.as_str() {
            "HEAD" => connection.head(),
            _ => connection.response(),
        };
        let mut body = response.body.clone();
        let edit = |add: &dyn Fn(&mut Value)| {
            let mut json: Value = serde_json::from_slice(&response.body).unwrap();
            add(&mut json);
            json.to_string().into_bytes()
        };
        let mut state = self.state.lock().unwrap();
        if request.path == "/dir" {
            body = edit(&|json| {
                if state.window.is_some() {
                    json["renewalInfo"] = format!("https://localhost:{}/renewal-info", self.port).into();
                }
                for profile in &state.profiles {
                    json["meta"]["profiles"][profile] = "described elsewhere".into();
                }
            });
        } else if request.path == "/order-plz" && response.status == 201 {
            let order = payload(&request.body);
            // What was asked for is said again (RFC 9773 section 5).
            body = edit(&|json| {
                for key in ["replaces", "profile"] {
                    if let Some(value) = order.get(key) {
                        json[key] = value.clone();
                    }
                }
            });
            state.orders.push(order);
        }
        let kept = ["replay-nonce", "location", "content-type", "link", "retry-after"];
        let fields: String = response
            .headers
            .iter()
            .filter(|(name, _)| kept.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let body = if request.method == "HEAD" { Vec::new() } else { body };
        answer(response.status, &fields, &body)
    }
}

/// What is in a signed request (RFC 7515 section 7.2.2).
fn payload(body: &[u8]) -> Value {
    let jws: Value = serde_json::from_slice(body).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(jws["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn answer(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Whatever\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let mut words = head.split(' ').map(str::to_owned);
    Some(Request { method: words.next()?, path: words.next()?, head: head.clone(), body })
}
