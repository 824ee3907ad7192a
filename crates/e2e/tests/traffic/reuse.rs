//! Connections to backends: kept, gone stale, refused by a full queue.

use crate::proxy;
use std::collections::HashSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST, wait_until};

/// A backend that closes each connection right after its answer, without a word about it: requests meet connections that
/// are being closed, and none may fail or run twice. (Where a request that may not run twice comes in the same
/// instant as the close, nobody can know: so these come after it.)
#[test]
fn a_connection_gone_stale_costs_no_request() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.ok("ok")?;
        peer.close()
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    for number in 0..300usize {
        let (method, body) =
            if number % 2 == 0 { ("GET", "") } else { ("POST", "Content-Length: 4\r\n\r\nbody") };
        if method == "POST" {
            wait_until("the last connection is closed", || (backend.closed() == number).then_some(()));
        }
        let end = if body.is_empty() { "\r\n" } else { body };
        connection.send(format!("{method} /{number} HTTP/1.1\r\nHost: {HOST}\r\n{end}"));
        let answer = connection.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{method} {number}");
    }
    let targets: Vec<String> = backend.ledger().iter().map(|request| request.target().to_owned()).collect();
    let different: HashSet<&String> = targets.iter().collect();
    assert_eq!((targets.len(), different.len()), (300, 300), "a request ran twice");
}

#[test]
fn connections_to_a_backend_are_used_again() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    for number in 0..100 {
        connection.send(format!("GET /{number} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!(connection.response().status, 200);
    }
    assert!(backend.connections() < 20, "{} connections for 100 requests", backend.connections());
}

/// Two clients never get each other's answers, also when answers break off or bring too much.
#[test]
fn answers_never_go_to_another_request() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        let name = request.target().to_owned();
        match name.len() % 4 {
            // more than was announced: what is too much belongs to nobody
            0 => peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", name.len())),
            1 => {
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{name}"))?;
                peer.close()
            }
            _ => peer.ok(name),
        }
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for client in 0..6 {
            let (door, wrong) = (&door, &wrong);
            scope.spawn(move || {
                for number in 0..60 {
                    let name = format!("/{client}-{}", "n".repeat(number % 23));
                    let mut connection = door.connect();
                    connection
                        .send(format!("GET {name} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
                    let answer = String::from_utf8(connection.rest()).unwrap();
                    if !answer.ends_with(&format!("\r\n\r\n{name}")) {
                        wrong.lock().unwrap().push((name, answer));
                    }
                }
            });
        }
    });
    assert_eq!(wrong.into_inner().unwrap(), [], "answers of others");
}

/// A listener whose queue is full does not answer at all: that is what the connect timeout is for.
#[test]
fn a_backend_that_does_not_accept_is_given_up_at_the_connect_timeout() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&full, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&full, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&full).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 50, "the queue never fills");
    }
    let door = FrontDoor::to(&[&format!("proxy = \"{address}\"\ntimeout = {{ connect = \"1s\" }}")]);
    let begun = Instant::now();
    let answer = door.get("/x");
    let took = begun.elapsed();
    assert_eq!(answer.status, 504);
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    let line = door.line_of(&answer);
    assert!(line["upstream"].as_str().is_some_and(|name| name.contains(&address.to_string())), "{line}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("connect: timed out")), "{line}");
}
