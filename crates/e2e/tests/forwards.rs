//! Ports beside the site's own: sites that have one to themselves, connections and datagrams that are passed on unseen.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{Stage, WEB, instances};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use testkit::http::get;
use testkit::{DEADLINE, free_port, wait_until};

/// Answers each line, and each datagram, with its process id and what was said.
const SPEAKER: &str = r#"
import os, socket, socketserver, threading
port = int(os.environ["PORT"])
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"%d %s" % (os.getpid(), line))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", port))
def answer():
    while True:
        said, client = datagrams.recvfrom(2048)
        datagrams.sendto(b"%d %s" % (os.getpid(), said), client)
threading.Thread(target=answer, daemon=True).start()
Server(("127.0.0.1", port), Lines).serve_forever()
"#;

fn speaking(extra: &str) -> (Stage, u16) {
    let port = free_port();
    let stage = Stage::new(&format!(
        "{WEB}{extra}[[forward]]\nlisten = \"127.0.0.1:{port}\"\napp = \"speaker\"\n\
         [[forward]]\nlisten = \"127.0.0.1:{port}\"\napp = \"speaker\"\nprotocol = \"udp\"\n\
         [app.speaker]\nrun = \"python3 -S speaker.py\"\nstop = {{ drain = \"20s\" }}\n"
    ));
    stage.sandbox.write("speaker.py", SPEAKER);
    stage.sandbox.start_daemon(stage.port);
    (stage, port)
}

fn connected(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Process id of whoever answers.
fn said(stream: &mut TcpStream, what: &str) -> u32 {
    stream.write_all(format!("{what}\n").as_bytes()).unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let (pid, rest) = line.trim_end().split_once(' ').unwrap();
    assert_eq!(rest, what);
    pid.parse().unwrap()
}

#[test]
fn a_connection_outlives_a_restart_of_its_app_and_new_ones_reach_the_successor() {
    let (stage, port) = speaking("");
    let mut old = connected(port);
    let before = said(&mut old, "hello");
    let restart = stage.sandbox.start(stage.arguments(&["restart", "speaker"]));
    let draining = |it: &Value| it["state"] == "draining";
    stage.wait_for_app("speaker", "draining", |app| instances(app).iter().any(draining));
    let mut new = connected(port);
    let after = said(&mut new, "who is there");
    assert_ne!(after, before, "the successor takes what is new");
    assert_eq!(said(&mut old, "still there"), before, "and the old one ends what it has begun");
    drop(old);
    restart.wait().expect_code(0);
    assert_eq!(said(&mut new, "and now"), after);
}

#[test]
fn a_connection_waits_for_an_app_that_starts_again_and_datagrams_find_it() {
    let (stage, port) = speaking("");
    let first = said(&mut connected(port), "one");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    // Whoever comes now waits until it is back.
    let second = wait_until("another one", || {
        let mut stream = connected(port);
        stream.write_all(b"two\n").ok()?;
        let mut answer = [0; 64];
        let len = stream.read(&mut answer).ok().filter(|len| *len > 0)?;
        let text = String::from_utf8_lossy(&answer[..len]).into_owned();
        text.split_once(' ')?.0.parse::<u32>().ok()
    });
    assert_ne!(second, first);
    stage.wait_ready("speaker");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send(b"three").unwrap();
    let mut answer = [0; 64];
    let len = socket.recv(&mut answer).unwrap();
    assert_eq!(answer[..len], *format!("{second} three").as_bytes());
}

#[test]
fn a_site_with_a_port_of_its_own_is_there_alone_and_a_reload_takes_the_port_back() {
    let own = free_port();
    let site = format!(
        "[[site]]\nhosts = [\"*\"]\nlisten = \"127.0.0.1:{own}\"\n[[site.route]]\napp = \"other\"\n\
         [app.other]\nrun = \"python3 -S app.py\"\nenv = {{ NAME = \"other\" }}\n"
    );
    let stage = Stage::started(&format!("{WEB}{site}"));
    let text = |port: u16, host: &str| get(port, host, "/").text();
    assert!(text(own, "anything.test").contains("other"), "{}", text(own, "anything.test"));
    assert_eq!(get(stage.port, "anything.test", "/").status, 404, "only at its own port");
    assert!(!text(stage.port, stage::HOST).contains("other"));
    stage.rewrite(WEB);
    stage.run(&["reload"]).expect_code(0);
    wait_until("the port is free", || TcpStream::connect(("127.0.0.1", own)).is_err().then_some(()));
}
