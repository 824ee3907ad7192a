//! Signals: names and numbers, and reading those of this process from a descriptor.

use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Number of signal(7) for `SIGTERM`, `TERM`, `term` or `15`; `None` when there is no such signal.
pub fn number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse::<NixSignal>().ok().map(|s| s as i32)
}

/// `SIGTERM` for 15; the number as text where it has no name.
pub fn name(number: i32) -> String {
    match NixSignal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => number.to_string(),
    }
}

/// Signals of this process, taken from their default way: they are read from a descriptor that can be polled.
/// Children do not inherit this: [`crate::process::Spawn`] gives each an empty mask and default actions.
#[derive(Debug)]
pub struct SignalReader {
    fd: SignalFd,
}

impl SignalReader {
    /// Blocks these signals in the calling thread and reads them from now on. Call it before other threads start, so
    /// that they inherit it. Not blocking.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let mut set = SigSet::empty();
        for &number in signals {
            set.add(NixSignal::try_from(number)?);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(SignalReader { fd })
    }

    /// The next pending signal's number; `None` when there is none. Several of one kind may be told once.
    pub fn next_pending(&self) -> io::Result<Option<i32>> {
        Ok(self.fd.read_signal()?.map(|info| info.ssi_signo as i32))
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["SIGTERM", "TERM", "term", "15"] {
            assert_eq!(number(text), Some(15), "{text}");
        }
        assert_eq!(number("SIGNOPE"), None);
        assert_eq!(number("0"), None);
        assert_eq!(number("65"), None);
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(40), "40");
    }
}
