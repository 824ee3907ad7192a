//! An authority of a test's own: Let's Encrypt's `pebble`, with `pebble-challtestsrv` as its name server (Debian's package `pebble`), both on
//! free ports. All names lead to 127.0.0.1; it looks at the ports it was told. Pebble 2.4 knows neither ARI nor profiles.

use crate::http::Connection;
use crate::{Running, free_port, is_alive, tls, wait_until};
use serde_json::json;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is asked of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it looks for HTTP-01.
    pub http_port: u16,
    /// Where it looks for TLS-ALPN-01.
    pub tls_port: u16,
    /// How many of a hundred good nonces it refuses.
    pub nonce_reject: u8,
    /// Accounts need one of these: key id and key in base64url.
    pub external: Vec<(String, String)>,
    /// How long its certificates are valid, in seconds; none: five years.
    pub validity: Option<u64>,
    /// Names it gives no certificate for, and those below them.
    pub blocked: Vec<String>,
    /// A port of its own; none: a free one. A second authority at the first one's place needs it.
    pub port: Option<u16>,
}

/// A running one; dropped, it is ended.
#[derive(Debug)]
pub struct Pebble {
    folder: tempfile::TempDir,
    authority: Running,
    _names: Running,
    port: u16,
    management: u16,
    names: u16,
    root: String,
}

impl Pebble {
    /// Starts both, and waits until they answer. A port that was free may be somebody else's a moment later: then with others.
    #[track_caller]
    pub fn start(options: &Options) -> Self {
        (0..10).find_map(|_| Self::try_start(options)).expect("pebble on free ports")
    }

    /// None: one of them ended at once.
    #[track_caller]
    fn try_start(options: &Options) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let [port, management, dns, names] = [(); 4].map(|()| free_port());
        let port = options.port.unwrap_or(port);
        let own = tls::pair(&["localhost", "127.0.0.1"]);
        for (name, text) in [("root.pem", &own.root), ("cert.pem", &own.cert), ("key.pem", &own.key)] {
            sys::durable::write(&folder.path().join(name), text.as_bytes(), 0o600).expect("a file");
        }
        let mut config = json!({
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.path().join("cert.pem"),
            "privateKey": folder.path().join("key.pem"),
            "httpPort": options.http_port,
            "tlsPort": options.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": !options.external.is_empty(),
            "domainBlocklist": options.blocked,
        });
        if !options.external.is_empty() {
            let keys: serde_json::Map<_, _> =
                options.external.iter().map(|(id, key)| (id.clone(), json!(key))).collect();
            config["externalAccountMACKeys"] = keys.into();
        }
        if let Some(seconds) = options.validity {
            config["certificateValidityPeriod"] = seconds.into();
        }
        let path = folder.path().join("pebble.json");
        let text = json!({ "pebble": config }).to_string();
        sys::durable::write(&path, text.as_bytes(), 0o600).expect("a file");

        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new("pebble-challtestsrv");
        command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", ""]);
        command.args(["-tlsalpn01", "", "-dns01", &local(dns), "-management", &local(names)]);
        let name_server = Running::start(command);
        let mut command = Command::new("pebble");
        command.arg("-config").arg(&path).args(["-strict", "-dnsserver", &local(dns)]);
        command.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")]);
        command.env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string());
        let authority = Running::start(command);
        // The name server only says that a port was taken.
        let bound = || !(name_server.stdout() + &name_server.stderr()).contains("bind: ");
        let alive = || is_alive(authority.pid()) && is_alive(name_server.pid()) && bound();
        for port in [port, management, names] {
            wait_until("pebble listens", || {
                (TcpStream::connect(("127.0.0.1", port)).is_ok() || !alive()).then_some(())
            });
        }
        if !alive() {
            return None;
        }
        Some(Self { folder, authority, _names: name_server, port, management, names, root: own.root })
    }

    /// URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// PEM file of the root that its directory's certificate is checked with.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// PEM of the root that its certificates are checked with.
    #[track_caller]
    pub fn issuer(&self) -> String {
        let answer = tls::Client::trusting(&self.root).get(self.management, "localhost", "/roots/0");
        answer.expect("pebble's root").text()
    }

    /// How many orders were placed since it began.
    pub fn orders(&self) -> usize {
        self.said("orders in the db")
    }

    /// How many certificates it gave.
    pub fn certificates(&self) -> usize {
        self.said("Issued certificate serial")
    }

    /// How often it has said this.
    pub fn said(&self, text: &str) -> usize {
        [self.authority.stdout(), self.authority.stderr()].iter().map(|said| said.matches(text).count()).sum()
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.authority.stdout() + &self.authority.stderr()
    }

    /// A command for records, as a user would write it: `COMMAND… set|unset NAME VALUE`.
    #[track_caller]
    pub fn dns_command(&self) -> Vec<String> {
        let script = self.folder.path().join("record.py");
        let text = format!(
            "import json, sys, urllib.request\n\
             verb, name, value = sys.argv[1:]\n\
             path = {{'set': 'set-txt', 'unset': 'clear-txt'}}[verb]\n\
             body = json.dumps({{'host': name + '.', 'value': value}}).encode()\n\
             urllib.request.urlopen('http://127.0.0.1:{}/' + path, body, 5)\n",
            self.names
        );
        sys::durable::write(&script, text.as_bytes(), 0o600).expect("a script");
        ["python3".to_owned(), script.display().to_string()].into()
    }

    /// Where a name leads for it, in place of 127.0.0.1.
    #[track_caller]
    pub fn leads_to(&self, name: &str, address: &str) {
        let body = json!({ "host": format!("{name}."), "addresses": [address] }).to_string();
        let mut connection = Connection::open(("127.0.0.1", self.names));
        let length = body.len();
        connection.send(format!(
            "POST /add-a HTTP/1.1\r\nHost: names\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        assert_eq!(connection.response().status, 200);
    }

    /// The folder with its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
