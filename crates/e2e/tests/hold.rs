//! An app that takes its time to start dies while requests come: they wait for it, and none is done twice.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use stage::{HOST, QUICK, Stage};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use testkit::http::Connection;
use testkit::wait_until;

/// Notes each request that it does.
const APP: &str = "import http.server, os, time
time.sleep(2)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1 # in one piece: of an answer that breaks off in its middle nothing can be saved
    def do_GET(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        ledger = os.open('ledger', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(ledger, (self.path + '\\n').encode())
        os.close(ledger)
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
    do_POST = do_GET
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()";

const CLIENTS: u64 = 4;
const KILLS: u64 = 2;

#[test]
fn a_crash_fails_no_request_that_was_not_sent_and_does_none_twice() {
    let stage = Stage::new(&format!("[app.web]\nrun = \"python3 -S held.py\"\n{QUICK}"));
    stage.sandbox.write("held.py", APP);
    stage.sandbox.start_daemon(stage.port);
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (stop, answered, port) = (Arc::clone(&stop), Arc::clone(&answered), stage.port);
            std::thread::spawn(move || ask(port, client, &stop, &answered))
        })
        .collect();
    let more = |count| {
        let goal = answered.load(Ordering::Relaxed) + count;
        wait_until("more requests are answered", || (answered.load(Ordering::Relaxed) >= goal).then_some(()));
    };
    more(20);
    for _ in 0..KILLS {
        stage.kill(stage.pids("web")[0]);
        // More than can have been under way: the next instance answers, on another port.
        more(20 + CLIENTS);
    }
    stop.store(true, Ordering::Relaxed);
    let asked: Vec<(String, u16)> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();

    let ledger = std::fs::read_to_string(stage.sandbox.stack().join("ledger")).unwrap();
    let mut done: HashMap<&str, u32> = HashMap::new();
    ledger.lines().for_each(|path| *done.entry(path).or_default() += 1);
    let times = |path: &str| done.get(path).copied().unwrap_or_default();
    let mut cut = 0;
    for (path, status) in &asked {
        let is_post = path.starts_with("/post");
        match status {
            200 => assert!(times(path) == 1 || !is_post && times(path) == 2, "{path}: {} times", times(path)),
            502 if is_post => {
                assert!(times(path) <= 1, "{path} was done twice");
                cut += 1;
            }
            _ => panic!("{path}: {status}"),
        }
    }
    assert!(cut <= CLIENTS * KILLS, "{cut} requests failed, and no more were under way");
    let held = stage.access_log().iter().filter(|line| line["held_ms"].as_f64() > Some(500.0)).count();
    assert!(held as u64 >= KILLS, "{held} waited");
}

/// Asks, by turns so that it may be repeated and so that it may not; each request on a connection of its own.
fn ask(port: u16, client: u64, stop: &AtomicBool, answered: &AtomicU64) -> Vec<(String, u16)> {
    let mut asked = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (method, body) = if n % 2 == 0 { ("GET", "") } else { ("POST", "Content-Length: 4\r\n") };
        let path = format!("/{}/{client}/{n}", method.to_ascii_lowercase());
        let mut connection = Connection::open(("127.0.0.1", port));
        let sent = if body.is_empty() { "" } else { "body" };
        connection.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{body}\r\n{sent}"
        ));
        asked.push((path, connection.response().status));
        answered.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(3));
    }
    asked
}
