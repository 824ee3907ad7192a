//! Servers of others: out of rotation and back.

use super::*;
use model::spec::Probe;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A server that answers with the status that is set.
fn server() -> (Address, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let status = Arc::new(AtomicU16::new(200));
    let says = Arc::clone(&status);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let status = says.load(Ordering::SeqCst);
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, status)
}

#[tokio::test]
async fn out_of_rotation_within_an_interval_and_back_after_the_next_success() {
    let (address, status) = server();
    let interval = Duration::from_millis(50);
    let health = HealthSpec {
        probe: Probe::Http("/health".into()),
        interval,
        timeout: Duration::from_secs(2),
        retries: 1,
        start_period: Duration::ZERO,
    };
    let (verdicts, mut inbox) = mpsc::channel(8);
    let mut servers = Servers::new(verdicts, TaskTracker::new());
    let key = key(&address, &health);
    servers.keep(BTreeMap::from([(key.clone(), (address.clone(), health.clone()))]));
    assert_eq!(servers.problem(&key), None);
    status.store(500, Ordering::SeqCst);
    servers.fold(inbox.recv().await.unwrap());
    assert!(servers.problem(&key).unwrap().contains("status 500"));
    status.store(302, Ordering::SeqCst);
    servers.fold(inbox.recv().await.unwrap());
    assert_eq!(servers.problem(&key), None);
    servers.keep(BTreeMap::new());
    assert_eq!(servers.problem(&key), None);
}
