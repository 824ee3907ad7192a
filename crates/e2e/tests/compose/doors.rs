//! Ways in: Traefik's labels, plain TCP, datagrams, ranges of ports; and none where none is asked for.

use crate::ground::{Ground, LONG};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;
use testkit::http::get;
use testkit::tiny::podman;
use testkit::{images, wait_within};

// req: CONT-10
#[test]
fn what_is_published_is_reached_and_nothing_else() {
    let Some(mut ground) = Ground::new() else { return };
    images::redis();
    images::python();

    let shape = ground.shape("labels", include_str!("shapes/labels.yaml"));
    let shop = format!("{}.localhost", shape.project);
    let file =
        format!("name: {}\n{}", shape.project, include_str!("shapes/labels.yaml").replace("SHOP", &shop));
    ground.write(&shape, "docker-compose.yml", &file);
    shape.start();
    let door = ground.port; // `--http` stands in for the entry point's address
    assert_eq!(get(door, &shop, "/").text(), "hello\n");
    assert_eq!(
        get(door, &shop, "/api/name").text(),
        "api\n",
        "the longer rule comes first, its prefix is stripped"
    );
    assert_eq!(get(door, "other.localhost", "/").status, 404);
    assert!(shape.apps().iter().all(|app| app["name"] != "traefik"), "Mainstay stands in its place");

    let shape = ground.shape("tcp", include_str!("shapes/tcp.yaml"));
    shape.start();
    let mut redis = TcpStream::connect(("127.0.0.1", shape.ports[1])).unwrap();
    redis.set_read_timeout(Some(LONG)).unwrap();
    redis.write_all(b"PING\r\n").unwrap();
    let mut said = [0; 7];
    redis.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"+PONG\r\n");
    assert!(shape.sh("echo PING | nc cache 6379").contains("PONG"));
    // Loopback only, and nothing of the engine's.
    let own = UdpSocket::bind("0.0.0.0:0")
        .and_then(|it| it.connect("10.255.255.255:9").and_then(|()| it.local_addr()));
    if let Some(own) = own.ok().filter(|own| !own.ip().is_loopback()) {
        assert!(TcpStream::connect((own.ip(), shape.ports[1])).is_err(), "{own}");
    }
    let all = podman(&[
        "ps",
        "--filter",
        &format!("label=mainstay.stack={}", shape.project),
        "--format",
        "{{.Ports}}",
    ])
    .1;
    assert_eq!(all.trim(), "", "the engine publishes nothing");

    let shape = ground.shape("udp", include_str!("shapes/udp.yaml"));
    ground.write(&shape, "echo.py", include_str!("shapes/udp-echo.py"));
    shape.start();
    // The container runs before its program has the socket: what came too early is lost, as datagrams are.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", shape.ports[0])).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let said = wait_within(LONG, "an echo", || {
        client.send(b"hello").ok()?;
        let mut said = [0; 64];
        let len = client.recv(&mut said).ok()?;
        Some(said[..len].to_vec())
    });
    assert_eq!(said, b"echo hello");
    assert_eq!(shape.app("echo")["state"], "ready");

    let shape = ground.shape("ranges", include_str!("shapes/ranges.yaml"));
    shape.start();
    assert_eq!(shape.get("/"), "hello\n");
    assert_eq!(get(shape.ports[1], "localhost", "/").text(), "hello\n");
    ground.end();
}
