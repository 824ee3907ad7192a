//! Ways in: Traefik's labels, plain TCP, ranges of ports; and none where none is asked for.

use crate::ground::{Ground, LONG};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use testkit::http::get;
use testkit::images;
use testkit::tiny::podman;

#[test]
fn what_is_published_is_reached_and_nothing_else() {
    let Some(mut ground) = Ground::new() else { return };
    images::redis();

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

    let shape = ground.shape("ranges", include_str!("shapes/ranges.yaml"));
    shape.start();
    assert_eq!(shape.get("/"), "hello\n");
    assert_eq!(get(shape.ports[1], "localhost", "/").text(), "hello\n");
    ground.end();
}
