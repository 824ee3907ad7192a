//! Pipes through which a large body passes from socket to socket without being copied: splice(2) moves references to the
//! kernel's pages. At 1 MiB this spares more than half of the processor time of reading and writing.
//!
//! Each worker thread keeps a few for reuse and lends at most [`MAX_LENT`]; who gets none copies instead. A pipe that is given back with
//! bytes in it (its exchange was cut) is closed.

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of a pipe, as far as whole pages count; what arrives in larger pieces takes fewer of its slots.
const SIZE: usize = 256 << 10;
/// Most bytes moved by one call.
const MOST: usize = 1 << 20;
/// Pipes that one thread lends at a time.
pub const MAX_LENT: usize = 64;
/// Pipes kept for reuse by one thread.
const KEEP: usize = 16;

#[derive(Default)]
struct Stock {
    kept: RefCell<Vec<(OwnedFd, OwnedFd)>>,
    lent: Cell<usize>,
}

thread_local! {
    static STOCK: Stock = const { Stock { kept: RefCell::new(Vec::new()), lent: Cell::new(0) } };
}

/// A pipe on loan.
pub struct Pipe {
    /// Read end and write end; taken out only by the drop.
    ends: Option<(OwnedFd, OwnedFd)>,
    filled: usize,
}

impl Pipe {
    /// An empty one; `None` when too many are lent or the system has none.
    pub fn take() -> Option<Self> {
        STOCK.with(|stock| {
            if stock.lent.get() >= MAX_LENT {
                return None;
            }
            let kept = stock.kept.borrow_mut().pop();
            let ends = kept.or_else(|| {
                let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
                // A smaller one works too.
                let _ = fcntl_setpipe_size(&ends.1, SIZE);
                Some(ends)
            })?;
            stock.lent.set(stock.lent.get() + 1);
            Some(Self { ends: Some(ends), filled: 0 })
        })
    }

    /// Bytes in it.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Takes up to `most` bytes from a socket that is readable; 0 is its end.
    pub fn fill(&mut self, source: impl AsFd, most: u64) -> io::Result<usize> {
        let Some((_, write)) = &self.ends else { return Ok(0) };
        let most = usize::try_from(most).unwrap_or(MOST).min(MOST);
        let count = splice(source, None, write, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.filled += count;
        Ok(count)
    }

    /// Gives what a writable socket takes.
    pub fn drain(&mut self, sink: impl AsFd) -> io::Result<usize> {
        let Some((read, _)) = &self.ends else { return Ok(0) };
        let count = splice(read, None, sink, None, self.filled, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.filled -= count;
        Ok(count)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let ends = self.ends.take();
        let _ = STOCK.try_with(|stock| {
            stock.lent.set(stock.lent.get().saturating_sub(1));
            let mut kept = stock.kept.borrow_mut();
            if let Some(ends) = ends.filter(|_| self.filled == 0 && kept.len() < KEEP) {
                kept.push(ends);
            }
        });
    }
}
