//! Event streams: unbuffered, unmodified, alive while they speak.

use crate::proxy;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n";
const ASK: &str =
    "GET /events HTTP/1.1\r\nHost: HOST\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip, br\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn event(number: u32) -> String {
    format!("id: {number}\nevent: progress\ndata: {{\"percent\": {}}}\n\n", number * 100 / 8)
}

// req: EDGE-16
#[test]
fn eight_events_a_second_apart_arrive_a_second_apart() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.send(format!("{STREAM}Transfer-Encoding: chunked\r\n\r\n"))?;
        for number in 1..=8 {
            peer.send(chunk(&event(number)))?;
            std::thread::sleep(Duration::from_secs(1)); // the backend's own pace is what is measured
        }
        peer.send("0\r\n\r\n")
    });
    // shorter than the stream as a whole, longer than one pause
    let door = FrontDoor::to(&[&format!("{}\ntimeout = {{ read = \"2500ms\" }}", proxy(&backend))]);
    let mut connection = door.connect();
    connection.send(ASK.replace("HOST", HOST));
    let head = connection.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("content-encoding"), None);
    let mut times = Vec::new();
    for number in 1..=8 {
        assert_eq!(connection.chunk(), Some(event(number).into_bytes()), "event {number} was changed");
        times.push(Instant::now());
    }
    assert_eq!(connection.chunk(), None);
    for (number, pair) in times.windows(2).enumerate() {
        let apart = pair[1] - pair[0];
        let off = apart.abs_diff(Duration::from_secs(1));
        assert!(off < Duration::from_millis(500), "events {} and the next: {apart:?} apart", number + 1);
    }
}

// req: EDGE-16
#[test]
fn comments_keep_a_stream_alive_and_silence_ends_it() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        // without a length and without chunks: the connection's end is the stream's
        peer.send(format!("{STREAM}\r\nretry: 1000\n\n"))?;
        if request.target() == "/events" {
            for _ in 0..6 {
                std::thread::sleep(Duration::from_millis(500)); // the keep-alive's interval
                peer.send(": keep-alive\n\n")?;
            }
            peer.send("data: done\n\n")?;
            return peer.close();
        }
        peer.closed()
    });
    let door = FrontDoor::to(&[&format!("{}\ntimeout = \"1s\"", proxy(&backend))]);
    let mut connection = door.connect();
    connection.send(ASK.replace("HOST", HOST));
    let answer = connection.response();
    let expected = format!("retry: 1000\n\n{}data: done\n\n", ": keep-alive\n\n".repeat(6));
    assert_eq!(answer.text(), expected);

    let mut connection = door.connect();
    connection.send(ASK.replace("HOST", HOST).replace("/events", "/silent"));
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.chunk(), Some(b"retry: 1000\n\n".to_vec()));
    let begun = Instant::now();
    // cut, not ended: a client must see that something is missing
    assert_eq!(connection.line(), None);
    let cut = begun.elapsed();
    assert!(cut > Duration::from_millis(800) && cut < Duration::from_secs(3), "cut after {cut:?}");
}
