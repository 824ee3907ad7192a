//! Byte buffers that are lent for as long as bytes move and no longer: a connection that waits owns none.
//!
//! Each worker thread keeps its own bounded stock, used last-in first-out, so that the buffer just given back (and
//! still in the processor's cache) is the next one lent. Two sizes: [`SMALL`] for heads and small bodies, [`LARGE`] for
//! bulk; no more than [`MAX_LARGE`] large ones are lent at a time by one thread, beyond that a small one takes its place.
//!
//! ```text
//!   0        start            end                     capacity
//!   │ headroom │ filled ....... │ spare ....... │ tailroom │
//! ```
//! Reads leave the tailroom free. The headroom lets an edited head be put right before the body bytes that came with it: one write for both, no copy
//! of the body.

use crate::metrics::Count;
use bytes::Bytes;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

/// Bytes of a small buffer.
pub const SMALL: usize = 16 << 10;
/// Bytes of a large buffer.
pub const LARGE: usize = 256 << 10;
/// Large buffers that one thread lends at a time.
pub const MAX_LARGE: usize = 64;
/// Free bytes before what is read.
pub const HEADROOM: usize = 1024;
/// Free bytes behind what is read: the end of a chunk.
const TAILROOM: usize = 8;

/// Buffers kept for reuse by one thread.
const KEEP_SMALL: usize = 32;
const KEEP_LARGE: usize = 4;

#[derive(Default)]
struct Stock {
    small: RefCell<Vec<Box<[u8]>>>,
    large: RefCell<Vec<Box<[u8]>>>,
    lent_large: Cell<usize>,
    /// Bytes lent now, for who wants to know.
    lent: OnceCell<Arc<Count>>,
}

/// From now on the bytes that this thread lends are counted there. Once, before the first is lent.
pub fn count_in(lent: &Arc<Count>) {
    STOCK.with(|stock| drop(stock.lent.set(Arc::clone(lent))));
}

thread_local! {
    static STOCK: Stock = const {
        Stock {
            small: RefCell::new(Vec::new()),
            large: RefCell::new(Vec::new()),
            lent_large: Cell::new(0),
            lent: OnceCell::new(),
        }
    };
}

/// Bytes that count as lent until the last of those who hold them drops them.
pub fn counted(bytes: Vec<u8>) -> Bytes {
    struct Counted(Vec<u8>, Option<Arc<Count>>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.iter().for_each(|lent| lent.sub(self.0.capacity() as u64));
        }
    }
    if bytes.is_empty() {
        return Bytes::new();
    }
    let lent = STOCK.with(|stock| stock.lent.get().map(Arc::clone));
    lent.iter().for_each(|lent| lent.add(bytes.capacity() as u64));
    Bytes::from_owner(Counted(bytes, lent))
}

/// A buffer on loan; dropping it gives it back.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Bytes that can be appended to a small one.
    pub const SMALL_ROOM: usize = SMALL - HEADROOM;

    /// A buffer of [`SMALL`] bytes.
    pub fn small() -> Self {
        let bytes = STOCK.with(|stock| stock.small.borrow_mut().pop());
        Self::over(bytes.unwrap_or_else(|| vec![0; SMALL].into_boxed_slice()))
    }

    /// A buffer of [`LARGE`] bytes, or a small one when this thread has lent [`MAX_LARGE`] already.
    pub fn large() -> Self {
        let bytes = STOCK.with(|stock| {
            if stock.lent_large.get() >= MAX_LARGE {
                return None;
            }
            stock.lent_large.set(stock.lent_large.get() + 1);
            let kept = stock.large.borrow_mut().pop();
            Some(kept.unwrap_or_else(|| vec![0; LARGE].into_boxed_slice()))
        });
        bytes.map_or_else(Self::small, Self::over)
    }

    fn over(bytes: Box<[u8]>) -> Self {
        STOCK.with(|stock| {
            stock.lent.get().inspect(|lent| lent.add(bytes.len() as u64));
        });
        Self { bytes, start: HEADROOM, end: HEADROOM }
    }

    /// What was read and not consumed yet.
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes read and not consumed yet.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether no more bytes fit behind what is filled.
    pub fn is_full(&self) -> bool {
        self.end + TAILROOM >= self.bytes.len()
    }

    /// The free end, to read into.
    pub fn free(&mut self) -> &mut [u8] {
        let limit = self.bytes.len() - TAILROOM;
        self.bytes.get_mut(self.end..limit).unwrap_or_default()
    }

    /// `count` bytes of the free end were filled.
    pub fn commit(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Drops the first `count` filled bytes.
    pub fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Keeps only the first `count` filled bytes.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Puts `bytes` before what is filled; false (and nothing done) when the room before it is too small.
    pub fn prepend(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else { return false };
        let Some(room) = self.bytes.get_mut(start..self.start) else { return false };
        room.copy_from_slice(bytes);
        self.start = start;
        true
    }

    /// Moves the filled bytes of `range` to offset `to` of what is filled; `to` is not behind the range.
    pub fn move_within(&mut self, range: std::ops::Range<usize>, to: usize) {
        let (from, until) = (self.start + range.start, self.start + range.end);
        if from <= until && until <= self.end && to <= range.start {
            self.bytes.copy_within(from..until, self.start + to);
        }
    }

    /// With more room for a head that does not fit: what was consumed before it is given up, else a larger buffer is taken;
    /// itself where there is no larger one.
    pub fn grown(mut self) -> Self {
        if self.start > HEADROOM {
            self.bytes.copy_within(self.start..self.end, HEADROOM);
            self.end -= self.start - HEADROOM;
            self.start = HEADROOM;
            return self;
        }
        if self.bytes.len() == LARGE {
            return self;
        }
        let mut larger = Self::large();
        larger.append(self.filled());
        larger
    }

    /// Adds as many of `bytes` as fit at the end; returns how many.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let free = self.bytes.get_mut(self.end..).unwrap_or_default();
        let count = free.len().min(bytes.len());
        if let (Some(to), Some(from)) = (free.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.end += count;
        count
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // A thread that ends has no stock any more; then the memory is simply freed.
        let _ = STOCK.try_with(|stock| {
            stock.lent.get().inspect(|lent| lent.sub(bytes.len() as u64));
            let (shelf, keep) = if bytes.len() == LARGE {
                stock.lent_large.set(stock.lent_large.get().saturating_sub(1));
                (&stock.large, KEEP_LARGE)
            } else {
                (&stock.small, KEEP_SMALL)
            };
            let mut shelf = shelf.borrow_mut();
            if shelf.len() < keep {
                shelf.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_goes_before_the_body_it_came_with() {
        let mut buffer = Buffer::small();
        assert_eq!(buffer.append(b"old head|body"), 13);
        buffer.consume(9);
        assert!(buffer.prepend(b"new and longer head|"));
        assert_eq!(buffer.filled(), b"new and longer head|body");
        assert!(!buffer.prepend(&[b'x'; HEADROOM]), "no more room than there is");
        buffer.consume(buffer.len());
        assert!(buffer.is_empty());
    }

    #[test]
    fn large_buffers_are_rationed() {
        let lent: Vec<Buffer> = (0..=MAX_LARGE).map(|_| Buffer::large()).collect();
        assert_eq!(lent.iter().filter(|buffer| buffer.bytes.len() == LARGE).count(), MAX_LARGE);
        drop(lent);
        assert_eq!(Buffer::large().bytes.len(), LARGE);
    }
}
