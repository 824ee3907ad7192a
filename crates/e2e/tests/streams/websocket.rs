//! WebSockets (RFC 6455) to a real server behind the edge, frame by frame.

use super::one_app;
use std::time::{Duration, Instant};
use testkit::http::Connection;
use testkit::{FrontDoor, HOST};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The example of RFC 6455 section 1.3: key and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn handshake() -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: echo\r\n\r\n"
    )
}

fn door() -> FrontDoor {
    // a read timeout that a quiet connection outlives
    let manifest = one_app("websocket.py").replace("20s", "1s");
    FrontDoor::open(&manifest, &[("websocket.py", include_str!("websocket.py"))])
}

/// A client's frame, masked.
fn frame(last: bool, opcode: u8, data: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![u8::from(last) << 7 | opcode];
    match data.len() {
        len @ ..126 => out.push(0x80 | len as u8),
        len @ ..65536 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A server's frame: opcode and data.
fn read(socket: &mut Connection) -> (u8, Vec<u8>) {
    let head = socket.exactly(2);
    assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "a whole message, not masked");
    let length = match head[1] {
        126 => u64::from(u16::from_be_bytes(socket.exactly(2).try_into().unwrap())),
        127 => u64::from_be_bytes(socket.exactly(8).try_into().unwrap()),
        short => u64::from(short),
    };
    (head[0] & 15, socket.exactly(length as usize))
}

fn open(door: &FrontDoor) -> Connection {
    let mut socket = door.connect();
    socket.send(handshake());
    let answer = socket.head();
    assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some(ACCEPT)));
    let connection = answer.header("connection").map(str::to_ascii_lowercase);
    assert_eq!((connection.as_deref(), answer.header("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(answer.header("sec-websocket-protocol"), Some("echo"));
    socket
}

#[test]
fn messages_pings_and_the_close_pass_both_ways() {
    let door = door();
    let mut socket = open(&door);
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let data: Vec<u8> = (0..len).map(|at| (at % 253) as u8).collect();
        socket.send(frame(true, BINARY, &data));
        assert!(read(&mut socket) == (BINARY, data), "{len} bytes came back changed");
    }
    for byte in frame(true, TEXT, "grün".as_bytes()) {
        socket.send([byte]);
    }
    assert_eq!(read(&mut socket), (TEXT, "grün".as_bytes().to_vec()));
    // a message in pieces with a ping between them
    socket.send(frame(false, TEXT, b"one "));
    socket.send(frame(true, PING, b"mid"));
    socket.send(frame(true, 0, b"two"));
    assert_eq!(read(&mut socket), (PONG, b"mid".to_vec()));
    assert_eq!(read(&mut socket), (TEXT, b"one two".to_vec()));
    // the server speaks first
    socket.send(frame(true, TEXT, b"ping"));
    assert_eq!(read(&mut socket), (PING, b"are you there".to_vec()));
    socket.send(frame(true, PONG, b"are you there"));
    assert_eq!(read(&mut socket), (TEXT, b"pong are you there".to_vec()));
    socket.send(frame(true, TEXT, b"push 1000"));
    for number in 0..1000 {
        assert_eq!(read(&mut socket), (TEXT, number.to_string().into_bytes()));
    }
    // the close, begun by the client
    socket.send(frame(true, CLOSE, &1000u16.to_be_bytes()));
    assert_eq!(read(&mut socket), (CLOSE, 1000u16.to_be_bytes().to_vec()));
    assert!(socket.is_closed());
    drop(socket);
    // and by the server
    let mut socket = open(&door);
    socket.send(frame(true, TEXT, b"bye"));
    assert_eq!(read(&mut socket), (CLOSE, 1001u16.to_be_bytes().to_vec()));
    socket.send(frame(true, CLOSE, &1001u16.to_be_bytes()));
    assert_eq!(read(&mut socket).0, CLOSE);
    assert!(socket.is_closed());
    drop(socket);
    testkit::wait_until("both are logged, and nothing is left", || {
        let logged = door.log_lines().iter().filter(|line| line["status"] == 101).count();
        (logged == 2 && door.edge()["in_flight"] == 0).then_some(())
    });
}

#[test]
fn what_is_sent_along_with_the_handshake_is_not_lost() {
    let door = door();
    let mut socket = door.connect();
    let mut bytes = handshake().into_bytes();
    bytes.extend(frame(true, TEXT, b"early"));
    socket.send(bytes);
    assert_eq!(socket.head().status, 101);
    assert_eq!(read(&mut socket), (TEXT, b"early".to_vec()));
}

/// A WebSocket is quiet most of the time: the route's read timeout is not for it.
#[test]
fn a_quiet_connection_is_kept() {
    let door = door();
    let mut socket = open(&door);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        std::thread::sleep(Duration::from_millis(100)); // the silence that is tested
    }
    socket.send(frame(true, TEXT, b"still there?"));
    assert_eq!(read(&mut socket), (TEXT, b"still there?".to_vec()));
}

#[test]
fn many_echo_at_once_and_one_that_leaves_takes_nobody_along() {
    let door = door();
    let mut sockets: Vec<Connection> = (0..50).map(|_| open(&door)).collect();
    for round in 0..3 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket.send(frame(true, TEXT, format!("{round} {number}").as_bytes()));
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(read(socket), (TEXT, format!("{round} {number}").into_bytes()));
        }
        let mut number = 0;
        sockets.retain(|_| {
            number += 1;
            number % 3 > 0
        });
    }
}

#[test]
fn a_declined_upgrade_is_an_ordinary_answer() {
    let door = door();
    let mut client = door.connect();
    client.send(handshake().replace("Upgrade: websocket", "Upgrade: irc"));
    let answer = client.response();
    assert_eq!((answer.status, answer.body.len()), (426, 0));
}
