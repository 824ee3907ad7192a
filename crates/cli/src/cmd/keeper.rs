//! `mainstay keeper`: the background process of `start` and of the systemd unit. Ends on SIGTERM, and leaves apps and edge running then;
//! reads all manifests again on SIGHUP.

use crate::args::KeeperArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::exe;
use keeper::home::Home;
use keeper::programs;
use keeper::{Options, Shutdown, Trial};
use std::sync::Arc;
use std::time::Duration;
use sys::signal::SignalReader;
use telemetry::log::{self, Target};
use tokio::sync::{Notify, watch};

/// Where a program on trial finds the pipe for what it says of itself.
const VERDICT: i32 = 3;
/// Time between two looks for a signal.
const LOOK: Duration = Duration::from_millis(100);
/// Size at which the keeper's own log is rotated.
const LOG_SIZE: u64 = 10 << 20;
/// Full log files kept.
const LOG_KEEP: u32 = 3;

/// Runs until told to end.
pub fn run(context: &Context, args: &KeeperArgs) -> Result<(), Failure> {
    // first of all: nothing else may be opened where these are
    let handed = sys::service_manager::handed_over();
    let trial = if args.trial { Some(Trial::new(sys::descriptor::inherited(VERDICT)?)) } else { None };
    let signals = signals()?;
    let home = Home::open(&context.background_home())?;
    let own = exe::path()?;
    if let Some(program) = programs::stand_in(&home, &own) {
        keeper::execute(&program)?;
    }
    log_to(&home)?;
    handed.refused.iter().for_each(|refused| eprintln!("not used of what was handed over: {refused}"));
    let hangup = Arc::new(Notify::new());
    let options = Options {
        home: home.path().to_path_buf(),
        exe: own,
        foreground: false,
        handed: handed.listeners.into_iter().map(Arc::new).collect(),
        hangup: Arc::clone(&hangup),
        trial,
        stack: None,
    };
    let (tell, told) = watch::channel(Shutdown::No);
    // The signals are read in a thread of its own: the keeper's loop has this one.
    std::thread::spawn(move || {
        while let Ok(signal) = signals.next_pending() {
            match signal.map(sys::signal::name).as_deref() {
                Some("SIGHUP") => hangup.notify_one(),
                Some(_) if tell.send(Shutdown::Orderly).is_err() => return,
                Some(_) | None => {}
            }
            std::thread::sleep(LOOK);
        }
    });
    keeper::run(options, told).map_err(Failure::from)
}

/// SIGINT, SIGTERM and SIGHUP, from a descriptor. Called before any thread is started.
pub fn signals() -> Result<SignalReader, Failure> {
    let numbers: Vec<i32> =
        ["INT", "TERM", "HUP"].iter().filter_map(|name| sys::signal::number(name)).collect();
    Ok(SignalReader::new(&numbers)?)
}

/// This process's diagnostics go to the home's `keeper.log`.
pub fn log_to(home: &Home) -> Result<(), Failure> {
    std::fs::create_dir_all(home.logs())?;
    Ok(log::init(Target::File { path: home.keeper_log(), max_size: LOG_SIZE, keep: LOG_KEEP })?)
}
