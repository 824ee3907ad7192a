//! A copy of a small body, for as long as its request may have to be sent again.
//!
//! Only bodies with a known length of at most [`MOST`] are copied, and only as many as the upstream's [`Account`] has room for: what is not
//! kept is not sent again. Every byte that was read is in the copy, so a pump can begin anew ([`Pump::rewind`]) at any time, also while
//! the rest of the body is still on its way.

use super::Pump;
use http1::BodyFraming;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the largest body that is kept.
const MOST: u64 = 64 << 10;

/// Bytes that are kept for the requests of one upstream.
#[derive(Debug, Default)]
pub struct Account(AtomicU64);

/// A copy of what was read of a body.
pub struct Kept {
    bytes: Vec<u8>,
    /// What it takes of the account: the body's length.
    length: u64,
    account: Arc<Account>,
}

impl Kept {
    /// For a body framed so, where it is small enough and no more than `most` bytes are kept with it.
    pub fn within(account: &Arc<Account>, framing: BodyFraming, most: u64) -> Option<Box<Self>> {
        let BodyFraming::Length(length) = framing else { return None };
        if length > MOST {
            return None;
        }
        // Made first: dropping it takes back what is added here.
        let kept = Self { bytes: Vec::new(), length, account: Arc::clone(account) };
        let before = account.0.fetch_add(length, Ordering::Relaxed);
        (before + length <= most).then(|| Box::new(kept))
    }

    /// These were read.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.account.0.fetch_sub(self.length, Ordering::Relaxed);
    }
}

impl Pump {
    /// Copies what is read, into this; before anything was.
    pub fn keeping(mut self, kept: Option<Box<Kept>>) -> Self {
        self.kept = kept;
        self
    }

    /// Whether it can begin anew.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// It will not have to begin anew.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// Begins anew, led by this head. Nothing where it is not kept.
    pub fn rewind(&mut self, head: &[u8]) {
        let Some(kept) = &self.kept else { return };
        self.prefix = [head, &kept.bytes].concat();
        // What was not written yet is in the copy; what came behind the body is not.
        if let Some(buffer) = &mut self.buffer {
            buffer.consume(std::mem::take(&mut self.ready));
        }
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_account_has_room_for() {
        let account = Arc::<Account>::default();
        let keep = |length| Kept::within(&account, BodyFraming::Length(length), 100);
        let first = keep(60);
        assert!(first.is_some() && keep(60).is_none() && keep(40).is_some());
        drop(first);
        assert!(keep(100).is_some());
        assert_eq!(account.0.load(Ordering::Relaxed), 0);
        assert!(Kept::within(&account, BodyFraming::Length(MOST + 1), u64::MAX).is_none());
        assert!(Kept::within(&account, BodyFraming::Chunked, u64::MAX).is_none());
    }
}
