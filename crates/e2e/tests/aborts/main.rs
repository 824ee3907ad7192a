//! Clients that leave in the middle, ten thousand of them: nothing of them stays behind. And the log of it all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::{FrontDoor, HOST, wait_until};

/// Clients at a time.
const CLIENTS: u64 = 8;
const TOTAL: u64 = 10_000;
/// Longest time for all of them, with a debug build on two busy cores.
const BOUND: Duration = Duration::from_secs(40);

fn door() -> FrontDoor {
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n\
         [app.web]\nrun = \"python3 -S app.py\"\ninstances = 2\n"
    );
    FrontDoor::open(&manifest, &[("app.py", include_str!("app.py"))])
}

/// Where a client leaves.
#[derive(Debug, Clone, Copy)]
enum Leave {
    InTheHead,
    InTheBody,
    InAChunk,
    WhileWaiting,
    InTheAnswer,
    BeforeTheFirstByte,
    AtTheEnd,
}

const WAYS: [Leave; 7] = [
    Leave::InTheHead,
    Leave::InTheBody,
    Leave::InAChunk,
    Leave::WhileWaiting,
    Leave::InTheAnswer,
    Leave::BeforeTheFirstByte,
    Leave::AtTheEnd,
];

impl Leave {
    /// Whether the edge gets a whole head, and so has a request to log.
    fn is_a_request(self) -> bool {
        !matches!(self, Leave::InTheHead | Leave::BeforeTheFirstByte)
    }

    /// One client.
    fn run(self, port: u16, number: u64) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let head = |path: &str, fields: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nX-Number: {number}\r\n{fields}\r\n")
        };
        let mut some = [0; 4096];
        match self {
            Leave::InTheHead => stream.write_all(&head("/x", "").as_bytes()[..20 + number as usize % 30])?,
            Leave::InTheBody => {
                stream.write_all((head("/x", "Content-Length: 1000\r\n") + "part").as_bytes())?
            }
            Leave::InAChunk => {
                stream.write_all((head("/x", "Transfer-Encoding: chunked\r\n") + "ff\r\npart").as_bytes())?;
            }
            Leave::WhileWaiting => stream.write_all(head("/wait", "Content-Length: 0\r\n").as_bytes())?,
            Leave::InTheAnswer => {
                stream.write_all(head("/large", "").as_bytes())?;
                stream.read_exact(&mut some[..1 + number as usize % 4000])?;
            }
            Leave::BeforeTheFirstByte => {}
            Leave::AtTheEnd => {
                stream.write_all(head("/x", "Connection: close\r\nContent-Length: 4\r\n").as_bytes())?;
                stream.write_all(b"body")?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                if !(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n4")) {
                    return Err(std::io::Error::other(answer));
                }
            }
        }
        Ok(())
    }
}

/// Runs clients of all ways, several at a time; gives how many requests the edge must have seen.
fn storm(port: u16, from: u64, to: u64) -> u64 {
    let requests = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let requests = &requests;
            scope.spawn(move || {
                for number in (from..to).filter(|number| number % CLIENTS == client) {
                    let way = WAYS[(number / CLIENTS % WAYS.len() as u64) as usize];
                    way.run(port, number).unwrap_or_else(|error| panic!("{way:?}, client {number}: {error}"));
                    requests.fetch_add(u64::from(way.is_a_request()), Ordering::Relaxed);
                }
            });
        }
    });
    requests.into_inner()
}

/// Descriptors of the edge: pipes, of which each worker keeps a few for reuse, and all others but the files it notes failures in, which
/// are opened with the first of them.
fn descriptors(pid: u32) -> (usize, usize) {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the edge's descriptors").flatten();
    let names = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let names = names.filter(|name| !name.to_string_lossy().contains("/edge/failures/"));
    let (pipes, others): (Vec<_>, Vec<_>) =
        names.partition(|name| name.to_string_lossy().starts_with("pipe:"));
    (pipes.len(), others.len())
}

/// Waits until the edge has no more descriptors than before, but for pipes that wait for reuse.
fn wait_until_closed(pid: u32, (pipes, others): (usize, usize)) {
    let kept = 2 * 16 * std::thread::available_parallelism().map_or(1, usize::from);
    wait_until("all descriptors are closed", || {
        let now = descriptors(pid);
        (now.0 <= pipes + kept && now.1 <= others).then_some(())
    });
}

#[test]
fn ten_thousand_aborts_leave_nothing_behind() {
    let door = door();
    let pid = door.edge_pid();
    let (descriptors_before, processes) = (descriptors(pid), door.sandbox.processes().len());
    let begun = Instant::now();
    let mut requests = storm(door.port, 0, TOTAL / 5);
    let warm = door.edge_memory(pid);
    requests += storm(door.port, TOTAL / 5, TOTAL);
    let took = begun.elapsed();
    assert!(took < BOUND, "took {took:?}");

    let status = wait_until("no exchange, connection or claim is left", || {
        let status = door.sandbox.status();
        let none = |value: &serde_json::Value| value == 0;
        let instances = status["stacks"][0]["apps"][0]["instances"].as_array()?.clone();
        let claims = instances.len() == 2 && instances.iter().all(|instance| none(&instance["in_flight"]));
        let edge = &status["edge"];
        (claims && none(&edge["in_flight"]) && none(&edge["connections"])).then_some(status)
    });
    wait_until_closed(pid, descriptors_before);
    assert_eq!(door.sandbox.processes().len(), processes, "processes");
    assert_eq!(door.edge_pid(), pid, "the edge was replaced");
    let grown = door.edge_memory(pid).saturating_sub(warm);
    assert!(grown < 2 << 20, "the edge grew by {} KiB after its first fifth", grown >> 10);
    let instances = status["stacks"][0]["apps"][0]["instances"].as_array().unwrap();
    assert!(instances.iter().all(|instance| instance["restarts"] == 0), "an instance died: {status}");

    // every request that was one is in the log, once, and the edge has counted the same
    assert_eq!(status["edge"]["requests"], requests);
    assert_eq!(status["edge"]["log_lost"], 0);
    wait_until("the log has every request", || (door.log_lines().len() as u64 >= requests).then_some(()));
    assert_eq!(door.log_lines().len() as u64, requests);

    // the backends know too, and the next request is served as if nothing had been
    for _ in 0..4 {
        wait_until("the app has no connections but the one that asks", || {
            let open: u32 = door.get("/open").text().parse().ok()?;
            (open <= 2).then_some(())
        });
    }
}

/// Resets in place of ends: what a network does that has lost its client.
#[test]
fn resets_leave_nothing_behind() {
    let door = door();
    let pid = door.edge_pid();
    let before = descriptors(pid);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let port = door.port;
            scope.spawn(move || {
                for number in 0..250 {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                    let path = ["/wait", "/large", "/x", "/x"][(number % 4) as usize];
                    let length = if number % 3 == 0 { 100_000 } else { 0 };
                    let head =
                        format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n");
                    let upto = if number % 5 == 0 { 30 } else { head.len() };
                    stream.write_all(&head.as_bytes()[..upto]).unwrap();
                    if length > 0 && upto == head.len() {
                        stream.write_all(&vec![b'x'; 1 + (client * number) as usize % 90_000]).unwrap();
                    } else if path != "/wait" && upto == head.len() {
                        stream.read_exact(&mut [0]).unwrap();
                    }
                }
            });
        }
    });
    let status = wait_until("no exchange or connection is left", || {
        let status = door.sandbox.status();
        let edge = &status["edge"];
        (edge["in_flight"] == 0 && edge["connections"] == 0).then_some(status)
    });
    wait_until_closed(pid, before);
    let requests = status["edge"]["requests"].as_u64().unwrap();
    wait_until("the log has every request", || (door.log_lines().len() as u64 >= requests).then_some(()));
    assert_eq!(door.log_lines().len() as u64, requests);
    assert_eq!(door.get("/open").status, 200);
}

// req: OBS-28
#[test]
fn lines_of_several_workers_are_whole_and_none_is_missing() {
    let door = door();
    let each = 400;
    // long paths with what JSON has to escape: a torn or mixed line would not parse
    let path = |client: u64, number: u64| {
        let pad = "%22\"\\".repeat((number % 50) as usize);
        format!("/{client}/{number}?q={pad}")
    };
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let door = &door;
            scope.spawn(move || {
                // several connections, so that every worker has some of them
                for batch in 0..4 {
                    let mut connection = door.connect();
                    for number in batch * each / 4..(batch + 1) * each / 4 {
                        connection
                            .send(format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", path(client, number)));
                        assert_eq!(connection.response().status, 200);
                    }
                }
            });
        }
    });
    let total = CLIENTS * each;
    wait_until("the log has every request", || (door.log_lines().len() as u64 >= total).then_some(()));
    let lines = door.log_lines();
    assert_eq!(lines.len() as u64, total);
    let logged: HashSet<&str> = lines.iter().filter_map(|line| line["path"].as_str()).collect();
    let sent: HashSet<String> =
        (0..CLIENTS).flat_map(|client| (0..each).map(move |number| path(client, number))).collect();
    assert!(sent.iter().all(|path| logged.contains(path.as_str())) && logged.len() as u64 == total);
    assert_eq!(door.edge()["log_lost"], 0);
}

// req: OBS-28
#[test]
fn lines_of_an_apps_worker_processes_are_whole_and_none_is_missing() {
    let app = "
import os, sys, time
for worker in range(4):
    if os.fork() == 0:
        for number in range(1500):
            text = 'w%d n%d %s\\n' % (worker, number, 'abcdefghij' * (number % 40))
            os.write(1, text.encode())
        os._exit(0)
for _ in range(4):
    os.wait()
print('all said', flush=True)
time.sleep(600)
";
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \".\"\n\
         [app.web]\nrun = \"python3 -S app.py\"\nlisten = false\n"
    );
    let door = FrontDoor::open(&manifest, &[("app.py", app)]);
    let text = wait_until("all is said", || {
        let text = door.sandbox.run(["logs", "--no-prefix", "-n", "10000", "web"]).expect_code(0).stdout;
        text.contains("all said").then_some(text)
    });
    let lines: HashSet<&str> = text.lines().collect();
    for worker in 0..4 {
        for number in 0..1500 {
            let line = format!("w{worker} n{number} {}", "abcdefghij".repeat(number % 40));
            assert!(lines.contains(line.as_str()) || lines.contains(line.trim_end()), "{line:?} is missing");
        }
    }
    assert_eq!(text.lines().count(), 6001, "lines that nobody wrote");
}
