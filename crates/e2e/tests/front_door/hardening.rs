//! Clients who mean no good, as long as it is quick; what takes its time is in `patience.rs`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST, wait_until};

const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn manifest(top: &str, route: &str, backend: &Backend) -> String {
    format!(
        "{top}\n[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nproxy = \"127.0.0.1:{}\"\n{route}\n",
        backend.port()
    )
}

fn many_descriptors() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}

/// `/api/health` for somebody who means well, within a second. Of five the one in the middle counts: what other tests of this
/// machine hold up is not the door's fault.
#[track_caller]
fn healthy(door: &FrontDoor, what: &str) {
    for source in [Ipv4Addr::LOCALHOST, OTHER] {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let begun = Instant::now();
                let mut connection = Connection::from(source, door.port);
                connection.send(format!("GET /api/health HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
                assert_eq!(connection.response().status, 200, "{what}");
                begun.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[2] < Duration::from_secs(1), "{what}: {times:?}");
    }
}

fn open_count(connections: &mut [Connection]) -> usize {
    let alive = |connection: &&mut Connection| {
        connection.socket().set_nonblocking(true).unwrap();
        let peek = connection.socket().peek(&mut [0]);
        matches!(peek, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    connections.iter_mut().filter(alive).count()
}

#[test]
fn two_thousand_idle_connections_of_one_address_keep_nobody_out() {
    const MANY: usize = 2000;
    many_descriptors();
    let backend = Backend::echo();
    // as it is: loopback is where tunnels come from, and is not counted
    let door = FrontDoor::open(&manifest("", "", &backend), &[]);
    let mut open: Vec<Connection> = (0..MANY).map(|_| Connection::from(ATTACKER, door.port)).collect();
    wait_until("all are accepted", || (door.edge()["connections"].as_u64()? >= MANY as u64).then_some(()));
    // half of them say half a request
    open.iter_mut().step_by(2).for_each(|connection| connection.send("GET /api/health HTTP/1.1\r\nHo"));
    healthy(&door, "beside 2000 idle connections");
    drop((open, door));

    // counted: a hundred of one address, and no more
    let top = "[edge]\nclient = { connections = 100, connects = \"10000/s\" }";
    let door = FrontDoor::open(&manifest(top, "", &backend), &[]);
    let mut open: Vec<Connection> =
        (0..MANY).filter_map(|_| Connection::try_from(ATTACKER, door.port).ok()).collect();
    healthy(&door, "while one address has all it may have");
    wait_until("a hundred stay", || (open_count(&mut open) == 100).then_some(()));
    drop(open);
    // and when they are gone it may come back
    wait_until("it may ask again", || {
        let mut connection = Connection::try_from(ATTACKER, door.port).ok()?;
        connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        connection.line().filter(|line| line.contains("200"))
    });
}

#[test]
fn new_connections_of_one_address_are_bounded() {
    let backend = Backend::echo();
    let top = "[edge]\nclient = { connections = 1000, connects = \"2/s\" }";
    let door = FrontDoor::open(&manifest(top, "", &backend), &[]);
    let mut open: Vec<Connection> =
        (0..60).filter_map(|_| Connection::try_from(ATTACKER, door.port).ok()).collect();
    let begun = Instant::now();
    healthy(&door, "beside somebody who connects all the time");
    // twenty at once, and two for each second that this took
    wait_until("the others are closed", || (open_count(&mut open) <= 26).then_some(()));
    assert!(open_count(&mut open) >= 20 || begun.elapsed() > Duration::from_secs(10));
}

#[test]
fn heads_are_bounded() {
    let backend = Backend::echo();
    let door = FrontDoor::open(&manifest("", "", &backend), &[]);
    let long = "x".repeat(40_000);
    let many = "X-A: b\r\n".repeat(2000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{many}\r\n"), 431),
    ] {
        assert_eq!(door.ask(&request).status, status);
    }
    assert_eq!(backend.ledger().len(), 0);
}

// req: SEC-25
#[test]
fn who_fails_to_sign_in_again_and_again_is_banned_until_it_is_lifted() {
    let backend = Backend::echo();
    let hash = {
        let sandbox = testkit::Sandbox::with_manifest("");
        let mut command = sandbox.command(["hash-password"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"right horse\n").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let top = "[edge]\nclient = { connections = 1000, connects = \"10000/s\" }\n\
               ban = { offences = 4, within = \"1m\", for = \"1h\" }";
    let route = format!("basic_auth = {{ users = {{ anna = \"{}\" }} }}", hash.trim().replace('$', "$$"));
    let door = FrontDoor::open(&manifest(top, &route, &backend), &[]);
    // what the door says to this password, if anything
    let sign_in = |source: Ipv4Addr, base64: &str| -> Option<u16> {
        let mut connection = Connection::try_from(source, door.port).ok()?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Basic {base64}\r\nConnection: close\r\n\r\n"
        );
        std::io::Write::write_all(&mut connection.socket(), request.as_bytes()).ok()?;
        (!connection.is_closed()).then(|| connection.response().status)
    };
    const RIGHT: &str = "YW5uYTpyaWdodCBob3JzZQ==";
    const WRONG: &str = "YW5uYTp3cm9uZyBob3JzZQ==";
    assert_eq!(sign_in(ATTACKER, RIGHT), Some(200));
    for _ in 0..4 {
        assert_eq!(sign_in(ATTACKER, WRONG), Some(401));
    }
    wait_until("it is banned", || matches!(sign_in(ATTACKER, RIGHT), None | Some(403)).then_some(()));
    assert_eq!(sign_in(OTHER, RIGHT), Some(200), "somebody else is banned");
    let home = door.sandbox.stack().join(".mainstay");
    let bans = |more: &[&str]| {
        let mut arguments = vec!["bans"];
        arguments.extend(more);
        arguments.extend(["--home", home.to_str().unwrap()]);
        door.sandbox.run(arguments).expect_code(0)
    };
    let listed = wait_until("it is listed", || bans(&["--json"]).json().get(0).cloned());
    assert_eq!(listed["net"], "127.0.0.2/32", "{listed}");
    assert_eq!(door.sandbox.status()["bans"], 1);
    bans(&["lift", "127.0.0.2"]);
    wait_until("it may come back", || (sign_in(ATTACKER, RIGHT) == Some(200)).then_some(()));
    assert_eq!(bans(&["--json"]).json().as_array().unwrap().len(), 0);
}
