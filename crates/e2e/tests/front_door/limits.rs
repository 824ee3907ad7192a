//! How often somebody may ask.

use crate::ask;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::{Connection, Response};
use testkit::{FrontDoor, HOST};

/// The two limits of the fourth seed.
const SEED: &str = "limit = { rate = \"10/s\", burst = 20 }";
const UPLOAD: &str = "limit = { rate = \"2/s\", burst = 5 }";

fn door(backend: &Backend) -> FrontDoor {
    let proxy = format!("proxy = \"127.0.0.1:{}\"", backend.port());
    FrontDoor::to(&[
        &format!("path = \"/api/upload\"\n{proxy}\n{UPLOAD}"),
        &format!("path = \"/api/*\"\n{proxy}\n{SEED}"),
        &format!("path = \"/old/*\"\n{proxy}\nlimit = {{ rate = \"1/m\", status = 503 }}"),
        &proxy,
    ])
}

/// A client that was never seen: the next address of loopback's.
fn stranger(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 77, number)
}

/// So many requests from one client as good as at once: what each was answered, and how long all of it took.
fn burst(door: &FrontDoor, source: Ipv4Addr, request: &str, count: usize) -> (Vec<Response>, Duration) {
    let mut open: Vec<Connection> = (0..count).map(|_| Connection::from(source, door.port)).collect();
    let begun = Instant::now();
    open.iter_mut().for_each(|connection| connection.send(request));
    let answers = open.iter_mut().map(Connection::response).collect();
    (answers, begun.elapsed())
}

fn passed(answers: &[Response]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// From idle `most` of `most + 1` pass. A burst that took so long that one was given back shows less, and is tried again.
#[track_caller]
fn from_idle(door: &FrontDoor, first: u8, request: &str, most: usize, gives_back: Duration) {
    for number in first..first + 20 {
        let (answers, took) = burst(door, stranger(number), request, most + 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)), "{answers:?}");
        assert!(passed(&answers) >= most, "{} of {} passed", passed(&answers), most + 1);
        if took < gives_back {
            assert_eq!(passed(&answers), most, "in {took:?}");
            return;
        }
    }
    panic!("no burst was quick enough to tell");
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

// req: SEC-03, SEC-04
#[test]
fn from_idle_the_burst_and_one_more_pass_and_the_rate_is_never_refused() {
    let backend = Backend::echo();
    let door = door(&backend);
    from_idle(&door, 1, &get("/api/status"), 21, Duration::from_millis(100));
    let upload = format!("POST /api/upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\nfile");
    from_idle(&door, 31, &upload, 6, Duration::from_millis(500));
    // a refused one never reaches the application
    backend.take_ledger();
    let (answers, _) = burst(&door, stranger(61), &get("/api/x"), 40);
    assert_eq!(backend.take_ledger().len(), passed(&answers));

    let mut steady = Connection::from(stranger(62), door.port);
    let begun = Instant::now();
    for number in 0..35_u32 {
        let due = begun + Duration::from_millis(100) * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now())); // the rate that is the row's
        steady.send(get("/api/status"));
        assert_eq!(steady.response().status, 200, "request {number}");
    }
}

// req: SEC-05
#[test]
fn each_client_has_its_own_count_and_gets_it_back() {
    let backend = Backend::echo();
    let door = door(&backend);
    let status = |source: Ipv4Addr, lines: &str| {
        let mut connection = Connection::from(source, door.port);
        connection
            .send(format!("POST /api/upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n{lines}\r\n"));
        connection.response().status
    };
    let (first, second) = (stranger(101), stranger(102));
    let upload = format!("POST /api/upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n");
    burst(&door, first, &upload, 12);
    let refused = Instant::now();
    // a client does not become another one by saying so
    let spoofed = "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";
    let statuses = [status(first, ""), status(first, spoofed)];
    if refused.elapsed() < Duration::from_millis(450) {
        assert_eq!(statuses, [429, 429]);
    }
    for _ in 0..6 {
        assert_eq!(status(second, ""), 200, "the other client is refused too");
    }
    // the limit of one route is none of another's
    let mut other = Connection::from(first, door.port);
    other.send(get("/api/status"));
    assert_eq!(other.response().status, 200);
    std::thread::sleep(Duration::from_millis(1100)); // 1/rate is half a second
    assert_eq!((status(first, ""), status(first, "")), (200, 200), "not given back");
}

/// A counter of the edge's figures.
fn counter(door: &FrontDoor, name: &str) -> u64 {
    let home = door.sandbox.stack().join(".mainstay");
    let text = door.sandbox.run(["metrics", "--home", home.to_str().unwrap()]).expect_code(0).stdout;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

// req: SEC-06
#[test]
fn a_refusal_has_the_chosen_status_and_is_logged_and_counted() {
    const RATE: &str = "mainstay_offences_total{offence=\"rate\"}";
    let backend = Backend::echo();
    let door = door(&backend);
    let before = counter(&door, RATE);
    let (answers, _) = burst(&door, stranger(121), &get("/api/x"), 60);
    let refused: Vec<&Response> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(refused.len() > 10, "{}", refused.len());
    for answer in &refused {
        assert_eq!(answer.status, 429);
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3).contains(&wait), "{wait}");
        let line = door.line_of(answer);
        assert_eq!(
            (&line["status"], &line["client"]),
            (&429.into(), &stranger(121).to_string().into()),
            "{line}"
        );
        assert!(line["error"].as_str().unwrap().contains("limit"), "{line}");
    }
    assert_eq!(ask(&door, HOST, "/old/x", "").status, 200);
    let answer = ask(&door, HOST, "/old/x", "");
    assert_eq!((answer.status, &door.line_of(&answer)["status"]), (503, &503.into()));
    assert_eq!(counter(&door, RATE), before + refused.len() as u64 + 1);
}

// req: SEC-07
#[test]
fn without_a_limit_nothing_is_limited() {
    let backend = Backend::echo();
    let door = door(&backend);
    let (answers, _) = burst(&door, stranger(131), &get("/"), 100);
    assert_eq!(passed(&answers), 100);
    let mut one = Connection::from(stranger(131), door.port);
    for _ in 0..400 {
        one.send(get("/x"));
        assert_eq!(one.response().status, 200);
    }
}
