//! Sites that are reached at addresses of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use support::tls::*;
use support::*;
use wire::snapshot::{Endpoint, Site};

fn endpoint(instance: &str, address: SocketAddr) -> Endpoint {
    let address = model::observed::Address::Tcp(address);
    Endpoint { instance: instance.into(), address, draining: false, weight: 1, release: 0, pid: None }
}

fn asked(address: SocketAddr, host: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(get(host, "/").as_bytes()).unwrap();
    let reply = read_reply(&mut socket);
    format!("{} {}", reply.status, reply.text())
}

#[test]
fn a_site_with_an_address_is_reached_there_alone_and_shares_its_name_with_others_elsewhere() {
    let upstream = |name: &'static str| Backend::answering(move |_| ok(name));
    let (one, two, three) = (upstream("one"), upstream("two"), upstream("three"));
    let plain = Door { tls: false, proxy_protocol: false };
    let edge = behind(&[plain, plain], &proxying(&[one.address]));
    let [own, shared] = [edge.doors[0].address, edge.doors[1].address];
    let named = |hash, host: &str, listen: &[SocketAddr], to: &str| Site {
        listen: listen.to_vec(),
        ..site(hash, &[host], vec![route("/*", to)])
    };
    let sites = vec![
        named(1, "a.test", &[], "s/a"),
        named(2, "a.test", &[own], "s/b"),
        named(3, "*", &[shared], "s/c"),
    ];
    let mut table = edge.with_its_doors(&snapshot(
        2,
        sites,
        vec![
            serving("s/a", vec![endpoint("s/a.1#1", one.address)]),
            serving("s/b", vec![endpoint("s/b.1#1", two.address)]),
            serving("s/c", vec![endpoint("s/c.1#1", three.address)]),
        ],
    ));
    table.doors.iter_mut().for_each(|door| door.own = door.address == own);
    edge.apply(&table);
    assert_eq!(asked(edge.address, "a.test"), "200 one");
    assert_eq!(asked(own, "a.test"), "200 two", "the same name at another address");
    assert!(asked(own, "b.test").starts_with("404 "), "an address of its own serves nobody else");
    assert_eq!(asked(shared, "b.test"), "200 three");
    assert_eq!(asked(shared, "a.test"), "200 one", "the narrower name, of who names no address");
    assert!(asked(edge.address, "b.test").starts_with("404 "));
}
