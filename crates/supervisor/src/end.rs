//! How an instance ended, by its shim's word, and the end of what a killed shim leaves behind.

use model::observed::End;
use std::time::Duration;
use wire::shim::ShimState;

/// Signal number of SIGKILL (signal(7)).
pub(crate) const SIGKILL: i32 = 9;

/// Ends what a killed shim was the parent of, if `main` is still the process that was born then.
pub(crate) async fn end_orphan(main: u32, born: Option<u64>) {
    if born.is_some() && sys::proc::start_time(main) == born {
        let _ = tokio::task::spawn_blocking(move || kill_tree(main, born)).await;
    }
}

/// SIGKILL to a process and all its descendants, again until none is found: some may be born meanwhile.
fn kill_tree(main: u32, born: Option<u64>) {
    for _ in 0..100 {
        let below = sys::process::signal_descendants(main, SIGKILL).unwrap_or(0);
        // Reaped by somebody else as soon as it is dead: asked each time whether the id is still its own.
        let alive = sys::proc::start_time(main) == born && sys::process::signal(main, SIGKILL).is_ok();
        if !alive && below == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// From a shim's last word; one that says nothing of an end was killed.
pub(crate) fn end_of(state: &ShimState) -> End {
    match *state {
        ShimState::Ended { stopped: true, .. } => End::Stopped,
        ShimState::Ended { out_of_memory: true, held, .. } => {
            let (held, limit) = held.unzip();
            End::OutOfMemory { held, limit }
        }
        ShimState::Ended { signal: Some(signal), .. } => End::Signaled(signal),
        ShimState::Ended { code, .. } => End::Exited(code.unwrap_or(0)),
        ShimState::Running { .. } | ShimState::NotStarted { .. } => End::Signaled(SIGKILL),
    }
}
