//! The deployed stack: a copy of `stacks/plot-palette` in a sandbox, its ports, its doors, and what runs of it.

use crate::database::Database;
use serde_json::Value;
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::http::Response;
use testkit::tls::{Client, TlsConnection};
use testkit::{Output, Running, Sandbox, binary, free_port, wait_until, wait_within};

/// The stack's name in development.
pub const DOMAIN: &str = "plot-palette.localhost";
/// Workers of Gunicorn, as the manifest has it by default.
pub const WORKERS: u64 = 4;
/// Longest time that a start of the whole stack may take, packages included.
pub const START: Duration = Duration::from_secs(240);
/// Longest wait for an answer while the machine is busy.
const ANSWER: Duration = Duration::from_secs(60);

/// Where the stack runs.
pub struct Stage {
    /// Its folder.
    pub sandbox: Sandbox,
    /// Port of 127.0.0.1 for plain HTTP.
    pub http: u16,
    /// Port of 127.0.0.1 for HTTPS.
    pub https: u16,
    client: OnceLock<Client>,
    visitors: AtomicU32,
}

/// Asks one thing after the other on one connection, or the next one where the answer ended it.
pub struct Reader<'a> {
    stage: &'a Stage,
    connection: Option<TlsConnection>,
}

impl Reader<'_> {
    /// `GET`.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        let mut connection = self.connection.take().unwrap_or_else(|| self.stage.connect());
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {DOMAIN}:{}\r\n\r\n", self.stage.https));
        let answer = connection.response();
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        answer
    }
}

impl Stage {
    /// The stack's folder, with ports of its own in `.env`; nothing runs yet.
    pub fn prepare() -> Self {
        let sandbox = Sandbox::with_stack("plot-palette");
        // three tries in a row are what makes it unhealthy, and no less here: they only come sooner
        let manifest = std::fs::read_to_string(sandbox.stack().join("mainstay.toml")).unwrap();
        let sooner = manifest.replace(
            "\"/api/emotions\", interval = \"5s\"",
            "\"/api/emotions\", interval = \"1s\", timeout = \"3s\"",
        );
        assert_ne!(sooner, manifest, "the manifest has another health check");
        sandbox.write("mainstay.toml", sooner);
        let (http, https, web, storyteller) = (free_port(), free_port(), free_port(), free_port());
        let settings = format!(
            "PLOT_PALETTE_PORT={web}\nSTORYTELLER_PORT={storyteller}\nWEB_CONCURRENCY={WORKERS}\n\
             ANTHROPIC_BASE_URL=http://127.0.0.1:{storyteller}\n"
        );
        sandbox.write(".env", settings);
        std::fs::create_dir(sandbox.home()).unwrap();
        let stage = Self { sandbox, http, https, client: OnceLock::new(), visitors: AtomicU32::new(0) };
        stage.write_program();
        stage
    }

    /// `mainstay` with a home of the sandbox, for `deploy.sh`, which has one word for it.
    fn write_program(&self) {
        let (program, home) = (binary().display(), self.sandbox.home());
        let text = format!("#!/bin/sh\nexec '{program}' \"$@\" --home '{}'\n", home.display());
        #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
        std::fs::write(self.program(), text).unwrap();
        let made = Command::new("chmod").arg("755").arg(self.program()).status().unwrap();
        assert!(made.success());
    }

    fn program(&self) -> PathBuf {
        self.sandbox.folder().join("mainstay.sh")
    }

    /// Folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.sandbox.folder().join("var-log/plot-palette")
    }

    /// A command in the stack's folder that knows where the front door is to be.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.sandbox.stack()).env("NO_COLOR", "1").env("MAINSTAY", self.program());
        command.env("HTTP", format!("127.0.0.1:{}", self.http));
        command.env("HTTPS", format!("127.0.0.1:{}", self.https));
        command.env("LOGS", self.logs());
        command
    }

    /// `./deploy.sh` with these words, run to its end.
    #[track_caller]
    pub fn deploy(&self, words: &[&str]) -> Output {
        let mut command = self.command("./deploy.sh");
        command.args(words);
        Running::start(command).wait_within(START)
    }

    /// `mainstay` with these words, run to its end.
    #[track_caller]
    pub fn mainstay(&self, words: &[&str]) -> Output {
        let mut command = self.command(self.program());
        command.args(words);
        Running::start(command).wait_within(START)
    }

    /// It is deployed: from now on it can be asked. Panics with what the deployment said where it cannot.
    #[track_caller]
    pub fn open(&self, deployed: &str) {
        let root = self.mainstay(&["certs", "root", "--pem"]);
        assert_eq!(root.code, Some(0), "{}\nafter:\n{deployed}", root.stderr);
        assert!(self.client.set(Client::trusting(&root.stdout)).is_ok(), "opened twice");
    }

    /// A connection over TLS, verified against the local root.
    #[track_caller]
    pub fn connect(&self) -> TlsConnection {
        self.try_connect().unwrap_or_else(|error| panic!("https://{DOMAIN}:{}: {error}", self.https))
    }

    /// The same, if somebody listens. Each comes from another address, as visitors do: the front door's limits are for one of them.
    pub fn try_connect(&self) -> std::io::Result<TlsConnection> {
        let client = self.client.get().expect("the stack is deployed");
        let [.., high, low] = self.visitors.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let source = Ipv4Addr::new(127, 1 + low % 100, high, 2 + low / 100);
        let connection = client.connect_from(source, self.https, DOMAIN)?;
        connection.stream().sock.set_read_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    /// Somebody who asks much.
    pub fn reader(&self) -> Reader<'_> {
        Reader { stage: self, connection: None }
    }

    /// The page's own origin.
    pub fn origin(&self) -> String {
        format!("https://{DOMAIN}:{}", self.https)
    }

    /// One request on a connection of its own; `fields` are whole lines.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, fields: &str, body: &[u8]) -> Response {
        let mut connection = self.connect();
        let length =
            if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let host = format!("{DOMAIN}:{}", self.https);
        connection.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}{fields}\r\n"
        ));
        connection.send(body);
        connection.response()
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.ask("GET", path, "", b"")
    }

    /// What `status` says of an app or service of the stack.
    #[track_caller]
    pub fn app(&self, name: &str) -> Value {
        let status = self.sandbox.status();
        let apps = status["stacks"][0]["apps"].as_array().cloned().unwrap_or_default();
        let found = apps.into_iter().find(|app| app["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {status:#}"))
    }

    /// Process id of the only instance.
    #[track_caller]
    pub fn pid(&self, name: &str) -> u32 {
        wait_until(&format!("{name} has a process"), || {
            let app = self.app(name);
            let running = app["instances"].as_array()?.iter().find_map(|instance| instance["pid"].as_u64());
            running.and_then(|pid| u32::try_from(pid).ok())
        })
    }

    /// Gunicorn's workers.
    #[track_caller]
    pub fn workers(&self) -> Vec<u32> {
        testkit::descendants(self.pid("web"))
    }

    /// A variable of a process.
    #[track_caller]
    pub fn variable(&self, pid: u32, name: &str) -> Option<String> {
        let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.split('\0').find_map(|pair| Some(pair.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    /// The database as the application reaches it.
    #[track_caller]
    pub fn database(&self) -> Database {
        let pid = self.pid("web");
        Database::new(|name| {
            self.variable(pid, name).unwrap_or_else(|| panic!("the application has no {name}"))
        })
    }

    /// The stack's own Python, with its packages.
    #[track_caller]
    pub fn python(&self) -> PathBuf {
        let words = sys::proc::cmdline(self.pid("web")).expect("Gunicorn's command line");
        let gunicorn = words.iter().find(|word| word.ends_with("/gunicorn")).expect("gunicorn");
        Path::new(gunicorn).with_file_name("python3")
    }

    /// Waits until health says 200.
    #[track_caller]
    pub fn wait_until_healthy(&self, limit: Duration) {
        wait_within(limit, "GET /api/health answers 200", || {
            let mut connection = self.try_connect().ok()?;
            connection
                .send(format!("GET /api/health HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"));
            (connection.response().status == 200).then_some(())
        });
    }

    /// All that the stack has printed, and what the keeper noted: for a step that failed.
    pub fn show_logs(&self) {
        for folder in [self.logs(), self.sandbox.home().join("logs")] {
            let _ = Command::new("find")
                .arg(folder)
                .args(["-type", "f", "-size", "+0", "-exec", "tail", "-vn", "40", "{}", "+"])
                .status(); // it is only shown
        }
    }

    /// Stops the stack; nothing of it stays.
    pub fn end(&self) {
        self.mainstay(&["stop"]).expect_code(0);
        self.sandbox.wait_until_empty();
    }
}
