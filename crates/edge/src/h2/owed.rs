//! What a connection owes its peer: bytes of bodies that were given to `h2` and have not left it.
//!
//! A stream's share is bounded by `h2`; this bounds what all of them hold together ([`MOST`]), also those whose exchanges have
//! ended: beyond it who writes waits. `h2` is only given what the windows allow, so bytes stay behind only where the socket takes
//! nothing, or where the peer has made its windows smaller meanwhile; [`super::server`] looks for both.

use bytes::{Buf, Bytes};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Bytes that one connection may hold for its streams together.
pub const MOST: usize = 1 << 20;

/// The account of one connection.
#[derive(Default)]
pub struct Owed {
    total: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Owed {
    /// Bytes that `h2` holds.
    pub fn total(&self) -> usize {
        self.total.get()
    }

    /// Ready with how many bytes may be given now.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let room = MOST.saturating_sub(self.total());
        if room > 0 {
            return Poll::Ready(room);
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn pay(&self, count: usize) {
        self.total.set(self.total().saturating_sub(count));
        // Not for each frame: half of the room is there before anybody is woken.
        if self.total() <= MOST / 2 && !self.waiting.borrow().is_empty() {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// A part of a body on its way through `h2`.
pub struct Piece {
    data: Bytes,
    owed: Rc<Owed>,
}

impl Piece {
    /// Enters the account.
    pub fn new(data: Bytes, owed: &Rc<Owed>) -> Self {
        owed.total.set(owed.total() + data.len());
        Self { data, owed: Rc::clone(owed) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.data
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.owed.pay(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.owed.pay(self.data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_finds_no_room_is_woken_once_when_half_of_it_is_there() {
        let owed = Rc::new(Owed::default());
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let pieces: Vec<_> = (0..4).map(|_| Piece::new(vec![0; MOST / 4].into(), &owed)).collect();
        assert!(owed.poll_room(&mut cx).is_pending() && owed.poll_room(&mut cx).is_pending());
        let mut pieces = pieces.into_iter();
        pieces.next().unwrap().advance(MOST / 8);
        assert_eq!((owed.total(), woken.0.load(Ordering::Relaxed)), (MOST / 4 * 3, 0));
        drop(pieces.next());
        assert_eq!((owed.total(), woken.0.load(Ordering::Relaxed)), (MOST / 2, 1));
        assert_eq!(owed.poll_room(&mut cx), Poll::Ready(MOST / 2));
        drop(pieces);
        assert_eq!((owed.total(), woken.0.load(Ordering::Relaxed)), (0, 1));
    }
}
