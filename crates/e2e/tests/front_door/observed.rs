//! What is seen of the traffic afterwards: figures by site, and a line for each request.

use crate::ask;
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST};

/// The figure that begins so.
#[track_caller]
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

// req: OBS-24
#[test]
fn requests_bytes_hits_and_time_of_each_site() {
    let slow = Backend::start(|request, peer| {
        peer.body(request)?;
        std::thread::sleep(std::time::Duration::from_millis(60)); // what the figures have to show
        peer.ok("x")
    });
    let manifest = format!(
        "[[site]]\nhosts = [\"one.localhost\"]\n[[site.route]]\nstatic = \"public\"\n\
         [[site]]\nhosts = [\"two.localhost\"]\n[[site.route]]\npath = \"/figures\"\nmetrics = true\nallow = \"127.0.0.1\"\n\
         [[site.route]]\nproxy = \"127.0.0.1:{}\"\n",
        slow.port()
    );
    let text = "y".repeat(5000);
    let door = FrontDoor::open(&manifest, &[("public/a.png", &text)]);
    for _ in 0..10 {
        assert_eq!(ask(&door, "one.localhost", "/a.png", "").status, 200);
    }
    assert_eq!(ask(&door, "one.localhost", "/none.png", "").status, 404);
    for _ in 0..3 {
        let answer = ask(&door, "two.localhost", "/", "");
        door.line_of(&answer); // it has ended
    }
    let home = door.sandbox.stack().join(".mainstay");
    let told = door.sandbox.run(["metrics", "--home", home.to_str().unwrap()]).expect_code(0).stdout;
    let route = ask(&door, "two.localhost", "/figures", "");
    assert_eq!(route.status, 200);
    let mut stranger = Connection::from([127, 0, 0, 2].into(), door.port);
    stranger.send("GET /figures HTTP/1.1\r\nHost: two.localhost\r\n\r\n");
    assert_eq!(stranger.response().status, 403);
    for text in [told, route.text()] {
        let of = |name: &str, site: &str, more: &str| {
            figure(&text, &format!("mainstay_{name}{{site=\"{site}.localhost\"{more}}}"))
        };
        assert_eq!(of("requests_total", "one", ",status=\"2xx\""), 10.0);
        assert_eq!(of("requests_total", "one", ",status=\"4xx\""), 1.0);
        assert_eq!(of("requests_total", "two", ",status=\"2xx\""), 3.0);
        let (one, two) = (of("sent_bytes_total", "one", ""), of("sent_bytes_total", "two", ""));
        assert!((50_000.0..60_000.0).contains(&one) && (100.0..5_000.0).contains(&two), "{one}, {two}");
        let (hits, misses) = (
            of("cache_lookups_total", "one", ",result=\"hit\""),
            of("cache_lookups_total", "one", ",result=\"miss\""),
        );
        assert!(hits >= 9.0 && hits + misses >= 10.0, "{hits}, {misses}");
        assert_eq!(of("request_duration_seconds_count", "two", ""), 3.0);
        let (fast, slow) =
            (of("request_duration_seconds_sum", "one", ""), of("request_duration_seconds_sum", "two", ""));
        assert!((0.18..3.0).contains(&slow) && fast < 2.0, "{fast}, {slow}");
    }
}

// req: OBS-27
#[test]
fn the_line_of_a_request_over_tls_has_its_version_and_what_the_cache_said() {
    let backend = Backend::echo();
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/app/*\"\nproxy = \"127.0.0.1:{}\"\n\
         [[site.route]]\nstatic = \"public\"\n",
        backend.port()
    );
    let door = FrontDoor::secure(&manifest, &[("public/a.txt", "text")]);
    let client = door.client();
    let answer = client.get(door.https, HOST, "/app/x?y=z").unwrap();
    assert_eq!(answer.status, 200);
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(backend.ledger()[0].header("x-request-id"), Some(id), "the application has another id");
    let line = door.log_line(id);
    for (field, value) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("host", HOST),
        ("path", "/app/x?y=z"),
        ("tls", "TLSv1.3"),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert_eq!(line["status"], 200);
    assert!(line["bytes"].as_u64().unwrap() > answer.body.len() as u64, "{line}");
    assert!(line["upstream"].as_str().unwrap().contains(&backend.port().to_string()), "{line}");
    let (upstream, total) = (line["upstream_ms"].as_f64().unwrap(), line["total_ms"].as_f64().unwrap());
    assert!(upstream <= total, "{line}");
    for wanted in ["miss", "hit"] {
        let line = door.line_of(&client.get(door.https, HOST, "/a.txt").unwrap());
        assert_eq!(line["cache"], wanted, "{line}");
    }
}
