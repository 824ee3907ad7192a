//! Bodies in motion: streams, uploads, upgrades, aborts, slow sides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use support::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

// req: EDGE-16
#[test]
fn events_pass_as_they_come_and_outlive_the_read_timeout() {
    let (go, events): (SyncSender<String>, _) = sync_channel(0);
    let events = std::sync::Mutex::new(events);
    let app = Backend::start(move |mut stream| {
        next_head(&mut stream);
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .unwrap();
        for event in events.lock().unwrap().iter() {
            stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).unwrap();
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].read_ms = 600;
    let edge = Edge::start(&table);
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let (head, _) = read_head(&mut client);
    assert!(head.contains("text/event-stream") && !head.contains("Content-Encoding"), "{head}");
    let began = Instant::now();
    let mut n = 0;
    while began.elapsed() < Duration::from_millis(1500) {
        let event = format!("data: {n}\n\n");
        go.send(event.clone()).unwrap();
        let sent = Instant::now();
        let got = read_until(&mut client, event.as_bytes());
        assert_eq!(got, format!("{:x}\r\n{event}\r\n", event.len()).as_bytes(), "unmodified");
        assert!(sent.elapsed() < Duration::from_millis(500));
        n += 1;
        std::thread::sleep(Duration::from_millis(50)); // the stream's own rhythm
    }
    drop(go);
    read_until(&mut client, b"0\r\n\r\n");
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn trailers_pass_both_ways() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let body = read_until(&mut stream, b"0\r\nUp: 1\r\n\r\n");
        assert!(body.starts_with(b"2\r\nhi\r\n"));
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\nDown: 2\r\n\r\n",
        );
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.request("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nUp: 1\r\n\r\n");
    assert_eq!(reply.text(), "2\r\nho\r\n0\r\nDown: 2\r\n\r\n");
}

#[test]
fn an_upgrade_is_a_tunnel() {
    let app = Backend::start(|mut stream| {
        let head = next_head(&mut stream).unwrap();
        assert!(
            head.contains("\r\nUpgrade: echo\r\n") && head.contains("\r\nConnection: upgrade\r\n"),
            "{head}"
        );
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello",
            )
            .unwrap();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            stream.write_all(&piece[..count]).unwrap();
        }
        let _ = stream.write_all(b"bye");
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nahead")
        .unwrap();
    let (head, mut got) = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.to_lowercase().contains("\r\nconnection: upgrade\r\n"), "{head}");
    let mut expected = b"helloahead".to_vec();
    for n in 0..100 {
        let message = format!("message {n};").repeat(n);
        client.write_all(message.as_bytes()).unwrap();
        expected.extend_from_slice(message.as_bytes());
    }
    client.shutdown(std::net::Shutdown::Write).unwrap();
    expected.extend_from_slice(b"bye");
    client.read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), expected.len());
    assert_eq!(got, expected);
    assert_eq!(edge.log(1)[0]["status"], 101);
}

// req: EDGE-17
#[test]
fn a_body_over_the_limit_is_refused_before_the_app_is_called() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].body_limit = 1000;
    let edge = Edge::start(&table);
    let body = "x".repeat(1001);
    let reply =
        edge.request(&format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1001\r\n\r\n{body}"));
    assert_eq!(reply.status, 413);
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{body}\r\n0\r\n\r\n"
    );
    assert_eq!(edge.request(&chunked).status, 413);
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_chunked_body_that_grows_over_the_limit_is_cut() {
    let (app, streams) = driven();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].body_limit = 1000;
    let edge = Edge::start(&table);
    let mut client = edge.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .unwrap();
    let mut upstream = streams.recv().unwrap();
    read_until(&mut upstream, b"hello\r\n");
    client.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut client).status, 413);
    let mut rest = Vec::new();
    let _ = upstream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "what is over the limit does not reach the app");
}

#[test]
fn an_upload_streams_and_its_answer_may_come_first() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello").unwrap();
    let mut upstream = streams.recv().unwrap();
    assert!(
        read_until(&mut upstream, b"hello").starts_with(b"POST / HTTP/1.1\r\n"),
        "the body is not waited for"
    );
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").unwrap();
    let (head, mut body) = read_head(&mut client);
    assert!(head.contains("\r\nConnection: close\r\n"), "the rest of the body may never come: {head}");
    client.write_all(b"world").unwrap();
    read_until(&mut upstream, b"world");
    upstream.write_all(b"cd").unwrap();
    while body.len() < 4 {
        body.extend(read_until(&mut client, b"cd"));
    }
    assert_eq!(body, b"abcd");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    edge.client().write_all(GET).unwrap();
    assert!(read_until(&mut upstream, b"\r\n\r\n").starts_with(b"GET"), "the instance's connection goes on");
}

#[test]
fn a_client_that_waits_to_continue_is_told() {
    let app = Backend::start(|mut stream| {
        let head = next_head(&mut stream).unwrap();
        assert!(head.contains("Expect: 100-continue"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        read_until(&mut stream, b"body");
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").unwrap();
        stream.write_all(ok("done").as_bytes()).unwrap();
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .unwrap();
    let (head, rest) = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 100") && rest.is_empty(), "{head}");
    client.write_all(b"body").unwrap();
    let text = String::from_utf8(read_until(&mut client, b"done")).unwrap();
    assert!(text.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n"), "{text}");
}

#[test]
fn a_client_that_goes_frees_the_instance_at_once() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    assert_eq!(edge.in_flight("s/a.1#1"), 1);
    drop(client);
    until(|| edge.in_flight("s/a.1#1") == 0);
    assert_eq!(upstream.read(&mut [0]).unwrap_or(0), 0, "the instance learns it");
    assert_eq!(edge.log(1)[0]["status"], 499);
}

#[test]
fn a_client_that_leaves_a_stream_frees_the_instance() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").unwrap();
    read_until(&mut client, b"data: 1");
    drop(client);
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn two_thousand_requests_with_aborts_leave_nothing() {
    let app = Backend::answering(|head| {
        if head.contains("/slow") {
            std::thread::sleep(Duration::from_millis(1)); // work
            ok(&"x".repeat(100_000))
        } else {
            ok("quick")
        }
    });
    let edge = Edge::with_workers(2, &proxying(&[app.address]));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let address = edge.address;
            std::thread::spawn(move || {
                for n in 0..250 {
                    let mut client = TcpStream::connect(address).unwrap();
                    let path = if (n + thread) % 3 == 0 { "/slow" } else { "/" };
                    let _ =
                        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes());
                    if n % 2 == 0 {
                        let _ = client.read(&mut [0; 10]);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    until(|| {
        let stats = edge.stats();
        (stats.connections, stats.in_flight, stats.instances[0].in_flight) == (0, 0, 0)
    });
}

#[test]
fn a_slow_reader_slows_the_instance_and_costs_bounded_memory() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    let total = 64 << 20;
    upstream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n").as_bytes()).unwrap();
    upstream.set_nonblocking(true).unwrap();
    let block = vec![7; 1 << 20];
    let mut sent = 0;
    let mut stuck = 0;
    while stuck < 20 {
        match upstream.write(&block) {
            Ok(count) => (sent, stuck) = (sent + count, 0),
            Err(_) => {
                stuck += 1;
                std::thread::sleep(Duration::from_millis(10)); // nobody reads: stays stuck
            }
        }
        assert!(sent < total, "the edge must not swallow what nobody reads");
    }
    upstream.set_nonblocking(false).unwrap();
    let feeder = std::thread::spawn(move || {
        while sent < total {
            sent += upstream.write(&block[..block.len().min(total - sent)]).unwrap();
        }
    });
    let (_, body) = read_head(&mut client);
    let mut got = body.len();
    let mut piece = vec![0; 1 << 20];
    while got < total {
        let count = client.read(&mut piece).unwrap();
        assert!(piece[..count].iter().all(|&byte| byte == 7));
        got += count;
    }
    feeder.join().unwrap();
    assert_eq!(got, total);
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_stale_connection_is_not_the_clients_problem() {
    let app = Backend::start(|mut stream| {
        // Answers once, waits for the next request and closes without a word.
        next_head(&mut stream);
        let _ = stream.write_all(ok("once").as_bytes());
        next_head(&mut stream);
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    for _ in 0..5 {
        client.write_all(GET).unwrap();
        let bytes = String::from_utf8(read_until(&mut client, b"once")).unwrap();
        assert!(bytes.starts_with("HTTP/1.1 200"), "{bytes}");
    }
}

#[test]
fn an_early_answer_to_an_unread_upload_arrives() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    let mut writer = client.try_clone().unwrap();
    let upload = std::thread::spawn(move || {
        let _ = writer.write_all(&vec![0; 1_000_000]);
    });
    let (head, rest) = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 401") && rest.starts_with(b"no"), "{head}");
    upload.join().unwrap();
}

#[test]
fn a_switch_of_protocols_before_the_requests_end_is_a_bad_answer() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
        let _ = stream.read(&mut [0; 16]);
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 100\r\n\r\n")
        .unwrap();
    assert_eq!(read_reply(&mut client).status, 502);
}
