//! A tunnel of which one side has gone.

use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";

fn open(door: &FrontDoor, path: &str) -> Connection {
    let mut client = door.connect();
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n"));
    assert_eq!(client.head().status, 101);
    client
}

fn door() -> (Backend, FrontDoor) {
    let backend = Backend::start(|request, peer| {
        peer.arrived(request);
        peer.send(SWITCH)?;
        if request.target() == "/leaves" {
            peer.send("last words")?;
            return peer.close();
        }
        // a client that has said its end still gets the answer
        let mut said = Vec::new();
        std::io::Read::read_to_end(peer.stream(), &mut said)?;
        peer.send(said)?;
        peer.close()
    });
    let door = FrontDoor::to(&[&crate::proxy(&backend)]);
    (backend, door)
}

#[test]
fn a_tunnel_that_its_server_has_ended_does_not_wait_for_a_silent_client() {
    let (_backend, door) = door();
    let mut client = open(&door, "/leaves");
    assert_eq!(client.rest(), b"last words");
    testkit::wait_until("the tunnel is gone", || (door.edge()["in_flight"] == 0).then_some(()));
}

#[test]
fn a_client_that_has_said_its_end_gets_the_rest() {
    let (_backend, door) = door();
    let mut client = open(&door, "/echoes");
    client.send("all I have to say");
    client.socket().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"all I have to say");
    testkit::wait_until("the tunnel is gone", || (door.edge()["in_flight"] == 0).then_some(()));
}
