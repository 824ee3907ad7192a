//! What takes its time, by the clock: minutes of silence, seconds between bytes. All cases run side by side, each with a door of
//! its own, so that together they take as long as the longest: five minutes. `cargo test --workspace` leaves this file out
//! (`test = false`); `scripts/run_tests` runs it beside all others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST, Sandbox, descendants, free_port, wait_until};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

// req: EDGE-11, EDGE-12, EDGE-23, LB-09, SEC-10
#[test]
fn what_takes_minutes() {
    let cases: [(&str, fn()); 8] = [
        ("a silent backend is 504 after two minutes", silent_backend),
        ("an answer after 110 s arrives", || late_answer("120s", 110)),
        ("an answer after 290 s arrives", || late_answer("300s", 290)),
        ("a sick server is out within its interval", sick_server),
        ("a dripping head is cut", dripping_head),
        ("a silent body is cut", silent_body),
        ("an idle connection is closed", idle_connection),
        ("a user's session costs next to nothing", light_load),
    ];
    let threads = cases.map(|(name, case)| (name, std::thread::spawn(case)));
    let failed: Vec<&str> =
        threads.into_iter().filter_map(|(name, it)| it.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A server that answers after so long.
fn slow(pause: Duration) -> Backend {
    Backend::start(move |request, peer| {
        peer.body(request)?;
        std::thread::sleep(pause);
        peer.ok("at last")
    })
}

fn asking(door: &FrontDoor) -> Connection {
    let mut connection = door.connect();
    connection.socket().set_read_timeout(Some(seconds(330))).unwrap();
    connection.send(format!("GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    connection
}

fn silent_backend() {
    let backend = slow(seconds(140));
    let door = FrontDoor::to(&[&format!(
        "proxy = \"127.0.0.1:{}\"\ntimeout = {{ connect = \"60s\", send = \"120s\", read = \"120s\" }}",
        backend.port()
    )]);
    let begun = Instant::now();
    let answer = asking(&door).response();
    let took = begun.elapsed();
    assert_eq!(answer.status, 504);
    assert!(took >= seconds(120) && took <= seconds(125), "{took:?}");
}

fn late_answer(timeout: &str, pause: u64) {
    let backend = slow(seconds(pause));
    let door =
        FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"\ntimeout = \"{timeout}\"", backend.port())]);
    let begun = Instant::now();
    let answer = asking(&door).response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "at last"), "after {:?}", begun.elapsed());
    assert_eq!(backend.ledger().len(), 1, "the request was sent again");
}

/// An interval of 30 seconds: a server that answers 404 is out after one look at it, and back after the next good one.
fn sick_server() {
    let well = Arc::new(AtomicBool::new(true));
    let server = |name: &'static str, well: Arc<AtomicBool>| {
        Backend::start(move |request, peer| {
            if request.target() == "/health" {
                let status = if well.load(Ordering::SeqCst) { "302 Found" } else { "404 Not Found" };
                return peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
            }
            peer.body(request)?;
            peer.ok(name)
        })
    };
    let (good, bad) = (server("good", Arc::new(AtomicBool::new(true))), server("bad", Arc::clone(&well)));
    let door = FrontDoor::to(&[&format!(
        "proxy = {{ servers = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"], \
         health = {{ path = \"/health\", interval = \"30s\", timeout = \"5s\", retries = 1 }} }}",
        good.port(),
        bad.port()
    )]);
    let asked = || (0..4).any(|_| door.get("/").text() == "bad");
    let until = |wanted: bool, most: Duration| {
        let begun = Instant::now();
        while asked() != wanted {
            assert!(
                begun.elapsed() < most,
                "after {:?} it is still {}",
                most,
                if wanted { "out" } else { "in" }
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    };
    until(true, seconds(35));
    well.store(false, Ordering::SeqCst);
    until(false, seconds(35));
    bad.take_ledger();
    let begun = Instant::now();
    while begun.elapsed() < seconds(5) {
        assert_eq!(door.get("/").text(), "good");
    }
    assert_eq!(bad.ledger().len(), 0, "the sick one got traffic");
    well.store(true, Ordering::SeqCst);
    until(true, seconds(35));
}

/// Sends a byte now and then until the other side has had enough; what it said, and after how long.
fn drip(connection: &mut Connection, pause: Duration, most: Duration) -> (String, Duration) {
    let begun = Instant::now();
    let mut socket = connection.socket();
    socket.set_read_timeout(Some(pause)).unwrap();
    let mut said = Vec::new();
    loop {
        let took = begun.elapsed();
        assert!(took < most, "still open after {took:?}");
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if socket.write_all(b"x").is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

/// A byte a second, and a byte every ten seconds: both are over within twenty.
fn dripping_head() {
    let backend = Backend::echo();
    let door = Arc::new(FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]));
    let drips =
        [(1, ""), (10, ""), (1, "GET / HTTP/1.1\r\nHost: t.localhost\r\nX-A: ")].map(|(pause, begin)| {
            let door = Arc::clone(&door);
            std::thread::spawn(move || {
                let mut connection = door.connect();
                connection.send(if begin.is_empty() { "G" } else { begin });
                let (said, _) = drip(&mut connection, seconds(pause), seconds(25));
                assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
            })
        });
    // meanwhile, who means well is answered
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let asked = Instant::now();
            assert_eq!(door.get("/api/health").status, 200);
            std::thread::sleep(Duration::from_millis(500));
            asked.elapsed() - Duration::from_millis(500)
        })
        .collect();
    times.sort();
    assert!(times[times.len() / 2] < seconds(1), "{times:?}"); // one that others of this machine held up is not the door's fault
    drips.into_iter().for_each(|drip| drip.join().unwrap());
}

/// A body that stops, and one that drips, are over within thirty seconds.
fn silent_body() {
    let backend = Backend::echo();
    let door = Arc::new(FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]));
    let drips = [3600, 10, 1].map(|pause| {
        let door = Arc::clone(&door);
        std::thread::spawn(move || {
            let mut connection = door.connect();
            connection
                .send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\nbegun"));
            let begun = Instant::now();
            let (said, took) = if pause == 3600 {
                connection.socket().set_read_timeout(Some(seconds(40))).unwrap();
                (String::from_utf8_lossy(&connection.rest()).into_owned(), begun.elapsed())
            } else {
                drip(&mut connection, seconds(pause), seconds(40))
            };
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{pause}: {said}");
            assert!(took <= seconds(35), "a byte in {pause} s: {took:?}");
        })
    });
    drips.into_iter().for_each(|drip| drip.join().unwrap());
    assert_eq!(backend.ledger().len(), 0);
}

/// A connection without a request is closed within a minute.
fn idle_connection() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]);
    let mut used = door.connect();
    used.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(used.response().status, 200);
    let begun = Instant::now();
    for mut connection in [used, door.connect()] {
        connection.socket().set_read_timeout(Some(seconds(80))).unwrap();
        assert_eq!(connection.rest(), b"");
    }
    assert!(begun.elapsed() <= seconds(70), "{:?}", begun.elapsed());
}

/// Milliseconds of processor time a process has used.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    ticks * 1000 / rustix::param::clock_ticks_per_second()
}

/// Memory that is a process's own, in KiB: its share of what is shared, or (where only root may ask) what is resident.
fn memory(pid: u32) -> u64 {
    let line = |file: &str, name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").parse().ok()
    };
    line("smaps_rollup", "Pss:").or_else(|| line("status", "VmRSS:")).unwrap()
}

/// One user: a page, its parts, and two requests a second, over TLS.
fn light_load() {
    let backend = Backend::echo();
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/api/*\"\nproxy = \"127.0.0.1:{}\"\n\
         limit = {{ rate = \"10/s\", burst = 20 }}\n[[site.route]]\nstatic = \"public\"\n",
        backend.port()
    );
    let door = FrontDoor::secure(&manifest, &[("public/index.html", "<p>page"), ("public/a.js", "let a;")]);
    let client = door.client();
    let mut session = client.connect(("127.0.0.1", door.https), HOST).unwrap();
    let pid = door.edge_pid();
    let (begun, before) = (Instant::now(), cpu(pid));
    let mut count = 0;
    while begun.elapsed() < seconds(12) {
        for path in ["/", "/a.js", "/api/x"] {
            session.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
            assert_eq!(session.response().status, 200);
            count += 1;
        }
        std::thread::sleep(Duration::from_millis(1500));
    }
    let (used, took) = (cpu(pid) - before, begun.elapsed());
    let memory = memory(pid);
    eprintln!("{count} requests in {took:?}: {used} ms of processor time, {memory} KiB");
    assert!(u128::from(used) < took.as_millis() / 5, "{used} ms in {took:?}");
    assert!(memory < 100_000, "{memory} KiB");
}

/// Says who answers; what is asked for `/silent` never is.
const WSGI: &str = "import os, time
def app(environ, start_response):
    if environ['PATH_INFO'] == '/silent':
        time.sleep(1000)
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";

// req: WSGI-04
#[test]
fn gunicorn_replaces_a_worker_that_is_silent_for_two_minutes_and_the_others_answer() {
    let sandbox = Sandbox::with_manifest(
        "stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\ntimeout = { read = \"200s\" }\n[[site.route]]\napp = \"web\"\n\
         [app.web]\nrun = \"gunicorn --bind unix:$SOCKET --workers 2 --timeout 120 wsgi:app\"\n",
    );
    sandbox.write("wsgi.py", WSGI);
    let port = free_port();
    sandbox.start_daemon(port);
    let main =
        u32::try_from(sandbox.status()["stacks"][0]["apps"][0]["instances"][0]["pid"].as_u64().unwrap())
            .unwrap();
    let before =
        wait_until("both workers are there", || Some(descendants(main)).filter(|all| all.len() == 2));
    let begun = Instant::now();
    let mut silent = Connection::open(("127.0.0.1", port));
    silent.socket().set_read_timeout(Some(seconds(150))).unwrap();
    silent.send(format!("POST /silent HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"));
    let waiting = std::thread::spawn(move || (silent.response().status, begun.elapsed()));
    let mut answered = std::collections::BTreeSet::new();
    while !waiting.is_finished() {
        let answer = testkit::http::get(port, HOST, "/");
        assert_eq!(answer.status, 200, "after {:?}: {}", begun.elapsed(), answer.text());
        answered.insert(answer.text().parse::<u32>().unwrap());
        std::thread::sleep(Duration::from_millis(500));
    }
    let (status, took) = waiting.join().unwrap();
    assert!(status == 502 && took > seconds(118) && took < seconds(130), "{status} after {took:?}");
    let killed = *before.iter().find(|pid| !answered.contains(pid)).expect("the silent one");
    let after = wait_until("another one takes its place", || {
        Some(descendants(main)).filter(|all| all.len() == 2 && !all.contains(&killed))
    });
    assert!(after.iter().any(|pid| before.contains(pid)), "the other one stays: {before:?}, {after:?}");
    let log = std::fs::read_to_string(sandbox.home().join("logs/t/web.1.err.log")).unwrap();
    assert!(log.contains(&format!("WORKER TIMEOUT (pid:{killed})")), "{log}");
}
