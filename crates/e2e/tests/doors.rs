//! The ports of the front door, looked at from another machine: two networks of the test's own, joined by a cable, one for the
//! host and one for a stranger. They live as long as a process of the test's and leave nothing behind. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use testkit::http::{Connection, Response};
use testkit::tls::{Client, pair};
use testkit::{Network, Sandbox, wait_until};

const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// A public name of each of the five teams that this is for.
const NAMES: [&str; 6] = [
    "art.example.org",
    "shop.example.com",
    "imagineer-api.joshwentworth.com",
    "yourdomain.com",
    "api.yourdomain.com",
    "board.example.net",
];
/// What their applications and databases listen on.
const PORTS: [u16; 10] = [3306, 5000, 5001, 5432, 6379, 6380, 8000, 3000, 10050, 8080];

/// A host and a stranger.
fn two_machines() -> Option<(Network, Network)> {
    let (host, stranger) = (Network::new()?, Network::new()?);
    let cable = format!("link add ve-host type veth peer name ve-far netns {}", stranger.holder());
    let joined = host.ip("link set lo up")
        && stranger.ip("link set lo up")
        && host.ip(&cable)
        && host.ip(&format!("addr add {HOST}/24 dev ve-host"))
        && host.ip("link set ve-host up")
        && stranger.ip("addr add 10.77.0.2/24 dev ve-far")
        && stranger.ip("link set ve-far up");
    joined.then_some((host, stranger))
}

/// Addresses that somebody listens on, of the network that this thread is in.
fn listening() -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    let text = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let address = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields[1].split_once(':').unwrap();
        let address = Ipv4Addr::from(u32::from_str_radix(address, 16).unwrap().to_le_bytes());
        (fields[3] == LISTEN).then(|| SocketAddr::from((address, u16::from_str_radix(port, 16).unwrap())))
    };
    text.lines().skip(1).filter_map(address).collect()
}

fn manifest() -> String {
    let names = NAMES.map(|name| format!("\"{name}\"")).join(", ");
    let mut text = format!(
        "stack = \"t\"\n[listen]\nhttp = \"0.0.0.0:80\"\nhttps = \"0.0.0.0:443\"\n\
         [[site]]\nhosts = [{names}]\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n\
         [[site.route]]\napp = \"p3000\"\n"
    );
    for port in PORTS {
        text += &format!(
            "[[site]]\nhosts = [\"p{port}.test\"]\ntls = false\n[[site.route]]\napp = \"p{port}\"\n\
             [app.p{port}]\nrun = \"python3 -S app.py\"\nport = {port}\nenv = {{ NAME = \"p{port}\" }}\n"
        );
    }
    text
}

fn ask(port: u16, host: &str) -> Response {
    let mut connection = Connection::open((HOST, port));
    connection.send(format!("GET /x?y=z HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    connection.response()
}

// req: EDGE-01, EDGE-02
#[test]
fn only_80_and_443_are_open_and_they_lead_to_everything() {
    let Some((host, stranger)) = two_machines().filter(|_| sys::user::is_root()) else {
        eprintln!("skipped: networks of a test's own need root, `unshare` and `ip`");
        return;
    };
    let pair = pair(&NAMES);
    let sandbox = Sandbox::with_manifest(&manifest());
    sandbox.write("app.py", include_str!("stage/app.py"));
    sandbox.write("cert.pem", &pair.cert);
    sandbox.write("key.pem", &pair.key);
    let up = host.inside(|| {
        let mut up = sandbox.start(["up"]);
        up.wait_for(" is up: ");
        up
    });
    let open = host.inside(listening);
    for port in PORTS {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert!(open.contains(&own), "{port} is not even open here: {open:?}");
    }
    let outside: Vec<u16> =
        open.iter().filter(|address| !address.ip().is_loopback()).map(SocketAddr::port).collect();
    assert!(outside.iter().all(|port| matches!(port, 80 | 443)) && !outside.is_empty(), "{open:?}");

    stranger.inside(|| {
        let client = Client::trusting(&pair.root);
        for name in NAMES {
            let plain = ask(80, name);
            let place = format!("https://{name}/x?y=z");
            assert_eq!((plain.status, plain.header("location")), (301, Some(&*place)), "{name}");
            let mut connection = client.connect((HOST, 443), name).unwrap();
            connection.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"));
            let answer = connection.response();
            assert_eq!(answer.status, 200, "{name}");
            assert!(answer.text().starts_with("p3000 "), "{name}: {}", answer.text());
        }
        for port in PORTS {
            let answer = ask(80, &format!("p{port}.test"));
            assert!(answer.text().starts_with(&format!("p{port} ")), "{port}: {}", answer.text());
            let direct = TcpStream::connect_timeout(&(HOST, port).into(), Duration::from_secs(2));
            let kind = direct.expect_err("an application's port is open to everybody").kind();
            assert!(matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::TimedOut), "{port}: {kind}");
        }
    });
    up.signal("INT");
    up.wait().expect_code(0);
    wait_until("nothing listens any more", || host.inside(listening).is_empty().then_some(()));
}
