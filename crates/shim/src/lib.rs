//! The parent of one run of one instance, in a process of its own (`mainstay shim`).
//!
//! It reads what to run from descriptor 3, listens on its socket, starts the application in a session of its own and
//! from then on only waits, in one `poll(2)` loop without threads and without an async runtime:
//!
//! ```text
//!  signals ─┐                         ┌─ instance: reap, stop, kill; nobody of it remains
//!  outputs ─┼─▶ poll ─▶ event_loop ───┼─ output:   pipes → journal files
//!  clients ─┤                         ├─ server:   answers, and tells watchers each change
//!  lifetime ┘                         └─ status:   the status file, durable
//! ```
//!
//! Invariants: the application is said to have ended only when every process it ever started is gone (the shim is their
//! subreaper); nothing a client sends and no full disk stops the loop; the shim goes only when the keeper has taken
//! note of the end ([`wire::shim::ToShim::Release`]), when its lifetime pipe has closed, or on SIGTERM, and
//! never before the application.

mod confined;
mod event_loop;
mod instance;
mod oom;
mod output;
mod server;
mod status;

pub use confined::{CONFINED, confined};
use std::fs::File;
use std::io::{self, Read};
use sys::frame::FrameDecoder;
use wire::shim::ShimSpec;

/// Descriptor from which the specification is read, as one frame.
pub const SPEC_DESCRIPTOR: i32 = 3;
/// Descriptor of the lifetime pipe's read end, where the specification says that there is one.
pub const LIFETIME_DESCRIPTOR: i32 = 4;
/// Descriptor of the instance's network namespace, where the specification says that it has one.
pub const NETWORK_DESCRIPTOR: i32 = 5;

/// Why a shim could not begin. Later there is nothing that ends it.
#[derive(Debug, thiserror::Error)]
enum ShimError {
    #[error("no specification on descriptor {SPEC_DESCRIPTOR}: {0}")]
    Spec(#[source] io::Error),
    #[error("the specification cannot be read: {0}")]
    Decode(#[from] wire::WireError),
    #[error("no lifetime pipe on descriptor {LIFETIME_DESCRIPTOR}: {0}")]
    Lifetime(#[source] io::Error),
    #[error("no network namespace on descriptor {NETWORK_DESCRIPTOR}: {0}")]
    Network(#[source] io::Error),
    #[error("cannot listen on {path}: {error}")]
    Socket { path: std::path::PathBuf, error: io::Error },
    #[error("cannot take signals and orphans: {0}")]
    Setup(#[source] io::Error),
}

/// Runs the shim to its end and gives its exit status: 0 after its work, 1 if it could not begin (then nothing was
/// started, and standard error says why). Call it first thing in `main`, before threads and descriptors.
pub fn run() -> i32 {
    match begin() {
        Ok(event_loop) => {
            event_loop.run();
            0
        }
        Err(error) => {
            eprintln!("mainstay shim: {error}");
            1
        }
    }
}

fn begin() -> Result<event_loop::EventLoop, ShimError> {
    let source = sys::descriptor::inherited(SPEC_DESCRIPTOR).map_err(ShimError::Spec)?;
    let spec: ShimSpec = wire::decode(&read_frame(File::from(source)).map_err(ShimError::Spec)?)?;
    let lifetime = match spec.lifetime {
        true => Some(sys::descriptor::inherited(LIFETIME_DESCRIPTOR).map_err(ShimError::Lifetime)?),
        false => None,
    };
    let network = match spec.network {
        true => Some(sys::descriptor::inherited(NETWORK_DESCRIPTOR).map_err(ShimError::Network)?),
        false => None,
    };
    let _ = sys::process::set_process_name("mainstay-shim"); // for `ps` only
    event_loop::EventLoop::start(spec, lifetime, network)
}

fn read_frame(mut source: File) -> io::Result<Vec<u8>> {
    let mut decoder = FrameDecoder::new(wire::MAX_FRAME);
    let mut chunk = [0; 4096];
    loop {
        let n = source.read(&mut chunk)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decoder.push(chunk.get(..n).unwrap_or_default());
        if let Some(frame) = decoder.next_frame()? {
            return Ok(frame);
        }
    }
}
