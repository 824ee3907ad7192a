//! `mainstay edge`: the process that serves connections. Started by a keeper, which hands it two descriptors: 3, its control
//! socket, bound and listening; 4, with `--lifetime`, the read end of the pipe that closes when the keeper ends.

use crate::args::EdgeArgs;
use crate::error::{Code, Failure};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use sys::descriptor::inherited;
use telemetry::log::{self, Target};

/// Where the control socket is found.
const CONTROL: i32 = 3;
/// Where the lifetime pipe is found.
const LIFETIME: i32 = 4;
/// Size at which the access log is rotated.
const LOG_SIZE: u64 = 100 << 20;
/// Full log files kept.
const LOG_KEEP: u32 = 5;

/// The same of its own diagnostics.
const OWN_LOG_SIZE: u64 = 10 << 20;
const OWN_LOG_KEEP: u32 = 3;

/// Runs it to its end.
pub fn run(args: EdgeArgs) -> Result<(), Failure> {
    // Before the first key comes: an app of the same user is not to read it.
    sys::process::close_memory()?;
    let listener = inherited(CONTROL)?;
    let lifetime = if args.lifetime { Some(inherited(LIFETIME)?) } else { None };
    // What comes before or beside this goes to `edge.err`: the keeper opened it as standard error.
    let path = args.logs.join("edge.log");
    let named = |error: std::io::Error| {
        Failure::new(Code::Unclean, format!("cannot write {}: {error}", path.display()))
            .next("remove that file, or give it to the user of the edge")
    };
    let target = Target::File { path: path.clone(), max_size: OWN_LOG_SIZE, keep: OWN_LOG_KEEP };
    log::init(target).map_err(named)?;
    log::tell_panics();
    let _ = sys::process::set_process_name("mainstay-edge"); // for `ps` only
    Ok(edge::run(edge::Options {
        socket: socket_of(&listener),
        listener: Some(listener),
        log_dir: args.logs,
        log_size: LOG_SIZE,
        log_keep: LOG_KEEP,
        workers: None,
        lifetime,
    })?)
}

/// Path that the socket is bound to, for the log.
fn socket_of(listener: &OwnedFd) -> PathBuf {
    let socket = listener.try_clone().map(std::os::unix::net::UnixListener::from);
    let address = socket.and_then(|socket| socket.local_addr());
    address.ok().and_then(|address| address.as_pathname().map(PathBuf::from)).unwrap_or_default()
}
