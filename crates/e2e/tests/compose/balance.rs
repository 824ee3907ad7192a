//! Traefik's load balancing, as its labels ask for it: weights, health, entry points, the network, the dashboard.

use crate::ground::{Ground, LONG, Shape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::http::get;
use testkit::wait_within;

const FILE: &str = include_str!("shapes/balance.yaml");

/// How often each answers.
fn tally(shape: &Shape, count: u32) -> BTreeMap<String, u32> {
    let mut names = BTreeMap::new();
    for _ in 0..count {
        *names.entry(shape.get("/api/name").trim().to_owned()).or_default() += 1;
    }
    names
}

/// All that the dashboard knows.
fn routing(shape: &Shape) -> Value {
    get(shape.ports[2], "localhost", "/api/rawdata").json()
}

/// What the dashboard says of the servers of the pair.
fn servers(shape: &Shape) -> Vec<String> {
    let all = routing(shape);
    let services = all["services"].as_array().unwrap();
    let pair = services.iter().find(|own| own["servers"].as_array().is_some_and(|all| all.len() == 2));
    let servers = pair.unwrap_or_else(|| panic!("{all:#}"))["servers"].as_array().unwrap();
    servers.iter().map(|own| own["status"].as_str().unwrap().to_owned()).collect()
}

// req: LB-04, LB-08, LB-09, LB-10, LB-16, LB-17, LB-18, QUIRK-18
#[test]
fn a_pair_is_balanced_as_its_labels_say() {
    let Some(mut ground) = Ground::new() else { return };
    let shape = ground.shape("balance", FILE);
    shape.run(&["start"]).expect_code(0);

    let split = tally(&shape, 300);
    assert!(split["one"].abs_diff(200) <= 2 && split["one"] + split["two"] == 300, "{split:?}");

    // A router without entry points is on all of them, one with `web` on that alone.
    assert_eq!(get(shape.ports[1], "localhost", "/api/name").status, 200);
    assert_eq!(get(shape.ports[0], "only.localhost", "/name").status, 200);
    assert_eq!(get(shape.ports[1], "only.localhost", "/name").status, 404);

    // Both networks are there, and `shared` is the one.
    for name in ["one", "two"] {
        let address = shape.app(name)["instances"][0]["address"].as_str().unwrap().to_owned();
        assert!(address.starts_with("10.213.9.") && address.ends_with(":5001"), "{name} is at {address}");
    }
    assert_eq!(shape.sh("ip -4 addr | grep -c '10[.]213[.][89][.]'"), "2");
    assert!(shape.sh("echo $REMOTE_ADDR").contains("10.213.9."));

    shown(&shape);
    sick(&shape);

    ground.write(
        &shape,
        ".env",
        &format!(
            "DASHBOARD=false\nPORT={}\nPORT2={}\nPORT3={}\n",
            shape.ports[0], shape.ports[1], shape.ports[2]
        ),
    );
    shape.run(&["reload"]).expect_code(0);
    assert!(
        TcpStream::connect(("127.0.0.1", shape.ports[2])).is_err(),
        "nobody listens where the dashboard was"
    );
    assert_eq!(shape.get("/api/health"), "well\n");
    ground.end();
}

/// Routers by their names, services, middlewares, each with how it is: for programs and for people.
fn shown(shape: &Shape) {
    let all = routing(shape);
    let router = |name: &str| {
        let routers = all["routers"].as_array().unwrap();
        routers.iter().find(|own| own["name"] == name).unwrap_or_else(|| panic!("no {name}: {all:#}")).clone()
    };
    assert_eq!((&router("pair")["status"], &router("only")["status"]), (&"ready".into(), &"ready".into()));
    assert_eq!(router("pair")["middlewares"][0], "strip_prefix /api");
    assert_eq!(servers(shape), ["up", "up"]);
    let middlewares = all["middlewares"].as_array().unwrap();
    assert!(middlewares.iter().any(|own| own["name"] == "strip_prefix /api"), "{all:#}");
    let page = get(shape.ports[2], "localhost", "/");
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    for word in ["<td>pair</td>", "<td>only</td>", "only.localhost", "strip_prefix /api", "● up", "● ready"]
    {
        assert!(page.text().contains(word), "{word}: {}", page.text());
    }
}

/// Asked for `/health`, not for `/api/health`: who answers otherwise is left alone, and with nobody left it is 503 at once.
fn sick(shape: &Shape) {
    let without = |name: &str| shape.run(&["exec", name, "--", "rm", "/srv/health"]).expect_code(0);
    without("one");
    let begun = Instant::now();
    wait_within(LONG, "one is left alone", || servers(shape).contains(&"unhealthy".to_owned()).then_some(()));
    // Its interval and its timeout, and what a busy machine needs.
    assert!(begun.elapsed() < Duration::from_secs(1 + 5 + 5), "{:?}", begun.elapsed());
    assert_eq!(tally(shape, 20), BTreeMap::from([("two".to_owned(), 20)]));
    without("two");
    let answer = || {
        let begun = Instant::now();
        (get(shape.ports[0], "localhost", "/api/name").status, begun.elapsed() < Duration::from_secs(2))
    };
    wait_within(LONG, "nobody is left", || (answer().0 == 503).then_some(()));
    assert_eq!(answer(), (503, true), "at once");
    let status = &routing(shape)["routers"][0]["status"];
    assert_eq!(status, "unhealthy");
    for name in ["one", "two"] {
        shape.run(&["exec", name, "--", "sh", "-c", "echo well > /srv/health"]).expect_code(0);
    }
    wait_within(LONG, "both are back", || (servers(shape) == ["up", "up"]).then_some(()));
    assert_eq!(tally(shape, 3).len(), 2);
}
