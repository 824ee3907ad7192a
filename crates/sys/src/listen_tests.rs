//! Accept queues, and who holds a port.

use super::*;

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn several_queues_share_one_port() {
    let listeners = bind(loopback(), 3, 128).unwrap();
    let ports: HashSet<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    assert_eq!((listeners.len(), ports.len()), (3, 1));
    for address in ports {
        assert_eq!(bind(address, 1, 128).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn the_holder_of_a_port_is_named() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    let holder = port_holder(address).unwrap();
    assert_eq!(holder.pid, std::process::id());
    assert_eq!(holder.uid, Some(crate::user::uid()));
    assert!(!holder.name.is_empty());
    let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
    assert_eq!(port_holder(any).unwrap().pid, std::process::id());
    assert_eq!(listener_pids(address.port()), vec![std::process::id()]);
    drop(listener);
    assert_eq!(port_holder(address), None);
}

#[test]
fn lines_of_proc_net_tcp() {
    let line =
        "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1";
    let found = parse_line(line).unwrap();
    assert_eq!(found.address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(found.inode, 4711);
    let six = "0: 00000000000000000000000001000000:0050 0:0 0A 0:0 0:0 0 0 0 12 1";
    assert_eq!(parse_line(six).unwrap().address, "[::1]:80".parse().unwrap());
    assert!(parse_line("sl local_address rem_address st tx_queue").is_none());
    assert!(parse_line(&line.replace(" 0A ", " 01 ")).is_none());
}
