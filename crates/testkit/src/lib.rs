//! For tests that drive the real binary: a folder of its own for each test, processes with deadlines, a raw HTTP/1.1
//! client, and the promise that nothing is left behind.
//!
//! - [`Sandbox`]: a stack, a home, commands; when it is dropped it ends what lives on it and says if it had to.
//! - [`Running`]: a started command whose output can be waited for.
//! - [`http`]: bytes out, a response in; [`backend`]: the other side of a proxy, with a ledger.
//! - [`tls`]: the same over TLS; certificates of a test's own.
//! - [`FrontDoor`]: a stack that is up, to send traffic through.
//! - [`webdriver`]: a browser.
//! - [`images`]: what containers of tests are made from.
//! - [`pebble`]: an authority that speaks ACME.
//! - [`wait_until`]: a condition with a deadline, in place of sleeping.
//!
//! Everything panics when it cannot go on: it is called from tests only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

pub mod backend;
mod binary;
mod front_door;
pub mod http;
pub mod images;
mod network;
pub mod pebble;
mod running;
mod sandbox;
pub mod tiny;
pub mod tls;
pub mod webdriver;

pub use binary::binary;
pub use front_door::{FrontDoor, HOST};
pub use network::Network;
pub use running::{Output, Running};
pub use sandbox::Sandbox;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest wait for anything that takes milliseconds on an idle machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until the condition gives a value, at most [`DEADLINE`]; panics with `what` then.
#[track_caller]
pub fn wait_until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(DEADLINE, what, condition)
}

/// The same with a deadline of its own.
#[track_caller]
pub fn wait_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < limit, "after {} s still not: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process of this id lives; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    sys::proc::stat(pid).is_some_and(|stat| stat.state != 'Z')
}

/// Living children, grandchildren and so on of a process, itself not included.
pub fn descendants(pid: u32) -> Vec<u32> {
    sys::proc::descendants(pid).unwrap_or_default()
}

/// Sends a signal by name to a process that this test started.
pub fn signal(pid: u32, name: &str) {
    let number = sys::signal::number(name).expect("a signal's name");
    sys::process::signal(pid, number).unwrap_or_else(|error| panic!("{name} to {pid}: {error}"));
}

/// A TCP port of 127.0.0.1 that was free just now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Root of the checkout.
pub fn checkout() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout")
}
