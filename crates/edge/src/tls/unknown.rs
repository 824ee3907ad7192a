//! Names that handshakes asked for without there being a certificate: told to the keeper, who may get one while they wait
//! ([`wire::snapshot::Snapshot::on_demand`]).
//!
//! Whoever can open connections can make up names. So each is told once in [`AGAIN`], no more than [`RATE`] in a second are told at
//! all, others are refused as if nobody could be asked, and no more than [`HELD`] handshakes wait, [`OF_ONE`] of them for one name.
//! A name is told even where its handshake cannot wait: the next one may have its certificate.

use crate::wake::Wake;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Before the keeper is told of the same name again.
const AGAIN: Duration = Duration::from_secs(10);
/// Names told in one second.
const RATE: usize = 10;
/// Handshakes that wait at a time.
const HELD: usize = 256;
/// And for the same name: one that never gets a certificate does not take the room of others.
const OF_ONE: usize = 8;

/// What all workers share.
pub struct Unknown {
    /// Of the last [`AGAIN`].
    told: Mutex<HashMap<String, Told>>,
    /// By name how many wait; none is zero.
    held: Mutex<HashMap<String, usize>>,
    renewed: Notify,
    wake: Arc<Wake>,
}

struct Told {
    at: Instant,
    /// The keeper has heard it.
    heard: bool,
}

/// A handshake waits as long as this lives.
pub struct Held<'a> {
    unknown: &'a Unknown,
    name: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.unknown.waiting();
        if let Some(count) = held.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.name);
            }
        }
    }
}

impl Unknown {
    /// None yet; `wake` is signalled when there is a name to be told.
    pub fn new(wake: Arc<Wake>) -> Self {
        Self { told: Mutex::default(), held: Mutex::default(), renewed: Notify::new(), wake }
    }

    /// Has the keeper told of a name. None: there is nothing to wait for.
    pub fn hold(&self, name: &str) -> Option<Held<'_>> {
        if !is_dns_name(name) || !self.tell(name, Instant::now()) {
            return None;
        }
        let mut held = self.waiting();
        if held.values().sum::<usize>() >= HELD || held.get(name).is_some_and(|count| *count >= OF_ONE) {
            return None;
        }
        *held.entry(name.to_owned()).or_default() += 1;
        Some(Held { unknown: self, name: name.to_owned() })
    }

    /// Ready when the table was renewed.
    pub fn renewed(&self) -> Notified<'_> {
        self.renewed.notified()
    }

    /// The table was renewed.
    pub fn renew(&self) {
        self.renewed.notify_waiters();
    }

    /// A name to be told.
    pub fn take(&self) -> Option<String> {
        let mut told = self.lock();
        let (name, entry) = told.iter_mut().find(|(_, entry)| !entry.heard)?;
        entry.heard = true;
        Some(name.clone())
    }

    /// Another keeper has heard none of it.
    pub fn tell_again(&self) {
        self.lock().values_mut().for_each(|entry| entry.heard = false);
    }

    /// Whether the keeper has heard of it or will.
    fn tell(&self, name: &str, now: Instant) -> bool {
        let mut told = self.lock();
        let since = |entry: &Told| now.saturating_duration_since(entry.at);
        // No more than a few dozen are in it.
        told.retain(|_, entry| since(entry) < AGAIN);
        if told.contains_key(name) {
            return true;
        }
        if told.values().filter(|entry| since(entry) < Duration::from_secs(1)).count() >= RATE {
            return false;
        }
        told.insert(name.to_owned(), Told { at: now, heard: false });
        self.wake.signal();
        true
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an authority could have a certificate for it: two labels or more, each of letters, digits and hyphens (RFC 1034 section 3.5), the
/// last one no number.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit_once('.').map(|(_, last)| last);
    name.len() <= 253
        && name.split('.').all(is_label)
        && last.is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_once_in_a_while_and_few_in_a_second() {
        let unknown = Unknown::new(Wake::new().unwrap());
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let told = |seconds: u64| {
            (0..100).filter(|n| unknown.tell(&format!("{seconds}-{n}.test"), at(seconds))).count()
        };
        let heard = || std::iter::from_fn(|| unknown.take()).count();
        assert_eq!((told(0), heard(), told(0), heard()), (RATE, RATE, RATE, 0), "known ones may wait");
        for second in 1..60 {
            assert_eq!((told(second), heard()), (RATE, RATE));
            assert!(unknown.lock().len() <= 10 * RATE);
        }
        assert!(unknown.tell("a.test", at(70)) && unknown.tell("a.test", at(79)) && heard() == 1);
        assert!(unknown.tell("a.test", at(80)) && heard() == 1, "again after ten seconds");
        // Without a keeper they do not pile up.
        assert_eq!((100..200).map(told).max(), Some(RATE));
        assert_eq!(heard(), 10 * RATE);
    }

    #[test]
    fn no_more_than_so_many_wait_and_one_name_does_not_take_all_the_room() {
        let unknown = Unknown::new(Wake::new().unwrap());
        let mut held: Vec<_> = (0..OF_ONE).map(|_| unknown.hold("a.test").unwrap()).collect();
        assert!(unknown.hold("a.test").is_none() && unknown.hold("b.test").is_some());
        held.pop();
        assert!(unknown.hold("a.test").is_some());
        drop(held);
        assert!(unknown.waiting().is_empty());
    }

    #[test]
    fn a_new_name_is_told_also_where_too_many_wait_already() {
        let unknown = Unknown::new(Wake::new().unwrap());
        unknown.waiting().insert("others.test".to_owned(), HELD);
        assert!(unknown.hold("a.test").is_none());
        assert_eq!(unknown.take().as_deref(), Some("a.test"));
    }

    #[test]
    fn only_what_can_have_a_certificate_is_asked_for() {
        for name in ["a.test", "xn--bcher-kva.example", "a-b.c.d1"] {
            assert!(is_dns_name(name), "{name}");
        }
        let long = format!("{}.test", "a".repeat(64));
        for name in
            ["", "localhost", "a..test", ".a", "a.", "*.a.test", "a_b.test", "-a.test", "192.0.2.1", &long]
        {
            assert!(!is_dns_name(name), "{name}");
        }
    }
}
