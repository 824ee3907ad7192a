//! A stack that is up under `mainstay up`, to send traffic through; it must end in peace.

use crate::http::{Connection, Response};
use crate::tls::Client;
use crate::{Running, Sandbox, wait_until};
use serde_json::Value;
use std::path::PathBuf;

/// Host name of the site that [`FrontDoor::to`] makes.
pub const HOST: &str = "t.localhost";

/// A sandbox whose stack is up.
#[derive(Debug)]
pub struct FrontDoor {
    up: Option<Running>,
    /// The port of 127.0.0.1 where the edge listens.
    pub port: u16,
    /// The port of 127.0.0.1 for HTTPS; 0: none.
    pub https: u16,
    /// Where it lives.
    pub sandbox: Sandbox,
}

impl FrontDoor {
    /// With one site for [`HOST`] and these routes, each the lines of a `[[site.route]]`.
    #[track_caller]
    pub fn to(routes: &[&str]) -> Self {
        let routes: String = routes.iter().map(|route| format!("[[site.route]]\n{route}\n")).collect();
        Self::open(&format!("[[site]]\nhosts = [\"{HOST}\"]\n{routes}"), &[])
    }

    /// With this manifest (which names no stack; keys of the top before the first site) and these files.
    #[track_caller]
    pub fn open(manifest: &str, files: &[(&str, &str)]) -> Self {
        Self::start(manifest, files, &[])
    }

    /// The same, with HTTPS beside it, for which the local authority gives the certificates unless the manifest does.
    #[track_caller]
    pub fn secure(manifest: &str, files: &[(&str, &str)]) -> Self {
        Self::start(manifest, files, &["--https", "127.0.0.1:0"])
    }

    #[track_caller]
    fn start(manifest: &str, files: &[(&str, &str)], more: &[&str]) -> Self {
        let sandbox = Sandbox::with_manifest(&named(manifest));
        for (name, text) in files {
            sandbox.write(name, text);
        }
        let mut up = sandbox.start(["up", "--http", "127.0.0.1:0"].iter().chain(more));
        up.wait_for(" is up: ");
        let (port, https) = sandbox.doors();
        Self { up: Some(up), port, https, sandbox }
    }

    /// A client that trusts the stack's local authority.
    #[track_caller]
    pub fn client(&self) -> Client {
        let home = self.sandbox.stack().join(".mainstay");
        let arguments =
            ["certs".as_ref(), "root".as_ref(), "--pem".as_ref(), "--home".as_ref(), home.as_os_str()];
        Client::trusting(&self.sandbox.run(arguments).expect_code(0).stdout)
    }

    /// Replaces the manifest (as for [`FrontDoor::open`]) and reloads it.
    #[track_caller]
    pub fn reload(&self, manifest: &str) {
        self.sandbox.write("mainstay.toml", named(manifest));
        self.sandbox.run(["reload"]).expect_code(0);
    }

    /// A connection to the edge.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(("127.0.0.1", self.port))
    }

    /// Sends this request on a connection of its own and gives the answer. `HOST` in it becomes [`HOST`].
    #[track_caller]
    pub fn ask(&self, request: &str) -> Response {
        let mut connection = self.connect();
        connection.send(request.replace("HOST", HOST));
        connection.response()
    }

    /// `GET` of a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"))
    }

    /// What `mainstay status` says of the edge.
    #[track_caller]
    pub fn edge(&self) -> Value {
        self.sandbox.status()["edge"].clone()
    }

    /// Process id of the edge.
    #[track_caller]
    pub fn edge_pid(&self) -> u32 {
        let pid = self.edge()["pid"].as_u64().expect("the edge's pid");
        u32::try_from(pid).expect("a pid")
    }

    /// Anonymous resident memory of the edge, in bytes.
    #[track_caller]
    pub fn edge_memory(&self, pid: u32) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the edge's status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes << 10
    }

    /// The access log's file.
    pub fn access_log(&self) -> PathBuf {
        self.sandbox.stack().join(".mainstay/logs/edge/access.log")
    }

    /// Lines of the access log, oldest first; every line has to be whole JSON.
    #[track_caller]
    pub fn log_lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.access_log()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        whole.lines().map(parse).collect()
    }

    /// Waits for the line of the request with this id.
    #[track_caller]
    pub fn log_line(&self, id: &str) -> Value {
        wait_until(&format!("the access log has a line for {id}"), || {
            self.log_lines().into_iter().find(|line| line["request_id"] == id)
        })
    }

    /// The line of the request that this answers.
    #[track_caller]
    pub fn line_of(&self, response: &Response) -> Value {
        self.log_line(response.header("x-request-id").expect("a request id"))
    }
}

fn named(manifest: &str) -> String {
    format!("stack = \"t\"\n{manifest}")
}

impl Drop for FrontDoor {
    /// A stack that does not end in peace fails a test that passed otherwise.
    fn drop(&mut self) {
        let Some(up) = self.up.take() else { return };
        if std::thread::panicking() {
            drop(up);
            // the first failure is what counts: what is left is waited for, not asserted
            let begun = std::time::Instant::now();
            while !self.sandbox.processes().is_empty() && begun.elapsed().as_secs() < 2 {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            return;
        }
        up.signal("INT");
        up.wait().expect_code(0);
        self.sandbox.wait_until_empty();
    }
}
