//! Descriptors by number: adopting those inherited at start, and keeping low numbers out of the way.
//!
//! A child expects its inherited descriptors at fixed low numbers. Between fork and exec they are put there, and must
//! not fall on a descriptor the standard library uses for its own error report; so a process that spawns children
//! occupies the free numbers up to [`LAST_FIXED`] for good.

#![allow(unsafe_code)]

use rustix::io::FdFlags;
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Highest number at which a child can be given a descriptor.
pub const LAST_FIXED: i32 = 9;

/// Highest number at which a descriptor that this process was started with is found.
pub const LAST_INHERITED: i32 = 31;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Takes over the descriptor that this process was started with at `number` (3 to [`LAST_INHERITED`]), and makes
/// it close-on-exec. Call it at the start of `main`, before anything is opened. `NotFound` when there is none,
/// `AlreadyExists` when it was taken before.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    if !(3..=LAST_INHERITED).contains(&number) {
        return Err(ErrorKind::InvalidInput.into());
    }
    if TAKEN.fetch_or(1 << number, Ordering::SeqCst) & (1 << number) != 0 {
        return Err(ErrorKind::AlreadyExists.into());
    }
    // SAFETY: only looked at to learn whether it is open; `EBADF` if not. The borrow ends with this block.
    let open = unsafe { rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(number)) };
    if open.is_err() {
        return Err(ErrorKind::NotFound.into());
    }
    // SAFETY: it is open, was inherited (see the contract above), and `TAKEN` gives it to one owner only.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Occupies the numbers 3 to [`LAST_FIXED`] that are free, for the rest of the process's life. [`crate::process`] does
/// it before each spawn; `main` may do it at its start.
pub fn occupy_low() -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    loop {
        let held = rustix::io::fcntl_dupfd_cloexec(&null, 3)?;
        let number = held.into_raw_fd();
        if number > LAST_FIXED {
            // SAFETY: this is the number just taken out of its owner one line above.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
            return Ok(());
        }
        TAKEN.fetch_or(1 << number, Ordering::SeqCst);
    }
}
