//! A file as it is kept: what was found below a path, with everything of its answers that does not change from one request to the
//! next. Small bodies are in memory, larger ones are an open descriptor; coded bodies are added when they are prepared.
//!
//! Invariant: a [`Variant`]'s head, tag and length belong to the one version of the file that its [`Stamp`] names.

use super::cache::Charge;
use super::head::{Facts, Finished};
use crate::coding::Weights;
use crate::policy::Policy;
use arc_swap::ArcSwapOption;
use model::policy::Coding;
use rustix::fs::Stat;
use smallvec::SmallVec;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// Milliseconds an asset is served without another look at the file.
const FRESH_MS: u64 = 500;
/// Milliseconds it is still served while somebody looks.
const STALE_MS: u64 = 900;

/// Which version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Bytes.
    pub size: u64,
    modified: Duration,
    changed: Duration,
}

impl Stamp {
    /// Of what fstat(2) says.
    // The kernel's types differ between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    pub fn of(stat: &Stat) -> Self {
        let time = |seconds: i64, nanos: u64| {
            Duration::new(
                u64::try_from(seconds).unwrap_or(0),
                u32::try_from(nanos % 1_000_000_000).unwrap_or(0),
            )
        };
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: time(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: time(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    /// Of what was made of this version and has another size.
    pub fn with_size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// Another version of it at most.
    pub fn is_of_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Nothing was written to the same open file meanwhile. (Its change time moves also when its name is taken away.)
    pub fn is_same_content(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }

    /// For `Last-Modified`.
    pub fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.modified
    }

    /// Nanoseconds, for a tag. A file whose time was set back to the epoch (as reproducible builds do) is told by its change.
    pub fn version(&self) -> u128 {
        if self.modified.as_secs() < 86_400 { self.changed.as_nanos() } else { self.modified.as_nanos() }
    }

    /// Another version could still get the same stamp: file systems keep time in ticks of up to two seconds.
    pub fn is_racy(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.modified.max(self.changed) + Duration::from_secs(2) > now
    }
}

/// Where bytes are.
#[derive(Debug, Clone)]
pub enum Body {
    /// Here.
    Memory(Arc<[u8]>),
    /// In an open file.
    Disk(Arc<OwnedFd>),
}

/// One representation.
#[derive(Debug)]
pub struct Variant {
    /// `Content-Encoding`.
    pub coding: Option<Coding>,
    /// `ETag`.
    pub tag: Box<str>,
    /// Bytes.
    pub length: u64,
    /// The bytes.
    pub body: Body,
    /// Version of the file that holds them.
    pub stamp: Stamp,
    /// Header lines of every answer, 304 among them.
    pub lines: Box<str>,
    /// Further lines of those with a body.
    pub about: Box<str>,
    /// The whole head for HTTP and for HTTPS, changed by a policy already.
    pub finished: [ArcSwapOption<Finished>; 2],
}

/// A file as it is kept.
#[derive(Debug)]
pub struct Asset {
    /// Root and path it answers.
    pub root: u64,
    /// Likewise.
    pub path: Box<str>,
    /// Value of `Content-Type`.
    pub kind: Box<str>,
    /// Value of `Cache-Control`.
    pub cache: Box<str>,
    /// The file as it is.
    pub plain: Variant,
    /// Codings it has or may get, in the site's order.
    pub codings: Box<[Coding]>,
    /// Of brotli, zstd and gzip what there is; `Some(None)`: not worth it.
    coded: [OnceLock<Option<Box<Variant>>>; 3],
    /// Wakes who waits for a coding.
    pub prepared: Notify,
    /// Its part of the budget.
    pub charge: Charge,
    /// The stamp could be shared with another version.
    pub racy: bool,
    /// Bits by coding: preparation was asked for.
    asked: AtomicU8,
    checked: AtomicU64,
    checking: AtomicBool,
    used: AtomicBool,
}

impl Asset {
    /// Made at `now`, as [`super::millis`] counts.
    pub fn new(
        key: (u64, &str),
        facts: &Facts<'_>,
        plain: Variant,
        codings: Box<[Coding]>,
        racy: bool,
        now: u64,
    ) -> Self {
        Self {
            root: key.0,
            path: key.1.into(),
            kind: facts.kind.into(),
            cache: facts.cache.into(),
            plain,
            codings,
            coded: Default::default(),
            prepared: Notify::new(),
            charge: Charge::default(),
            racy,
            asked: AtomicU8::new(0),
            checked: AtomicU64::new(now),
            checking: AtomicBool::new(false),
            used: AtomicBool::new(false),
        }
    }

    /// It may be served without looking at the file. Of those who come when it is not quite fresh one is sent to look.
    pub fn is_fresh(&self, now: u64) -> bool {
        let age = now.saturating_sub(self.checked.load(Ordering::Relaxed));
        age < FRESH_MS || (age < STALE_MS && self.checking.swap(true, Ordering::Relaxed))
    }

    /// The file was looked at.
    pub fn checked(&self, now: u64) {
        self.checked.store(now, Ordering::Relaxed);
        self.checking.store(false, Ordering::Relaxed);
    }

    /// Notes that somebody wanted it.
    pub fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was wanted since this was asked last.
    pub fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The best there is for this client, or the coding that has to be prepared for it.
    pub fn choose(&self, weights: &Weights) -> Result<&Variant, Coding> {
        if self.codings.is_empty() {
            return Ok(&self.plain);
        }
        let worth = |coding: &Coding| !matches!(self.slot(*coding).get(), Some(None));
        let offered: SmallVec<[Coding; 3]> = self.codings.iter().copied().filter(worth).collect();
        match weights.choose(&offered) {
            None => Ok(&self.plain),
            Some(coding) => self.coded(coding).ok_or(coding),
        }
    }

    fn slot(&self, coding: Coding) -> &OnceLock<Option<Box<Variant>>> {
        let [br, zstd, gzip] = &self.coded;
        match coding {
            Coding::Br => br,
            Coding::Zstd => zstd,
            Coding::Gzip => gzip,
        }
    }

    /// The file in this coding, if there is that.
    pub fn coded(&self, coding: Coding) -> Option<&Variant> {
        self.slot(coding).get()?.as_deref()
    }

    /// True for the one who has to ask for this coding.
    pub fn ask(&self, coding: Coding) -> bool {
        let bit = 1 << coding as u8;
        self.asked.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// It was asked for in vain; somebody else may ask again.
    pub fn ask_again(&self, coding: Coding) {
        self.asked.fetch_and(!(1 << coding as u8), Ordering::Relaxed);
    }

    /// Adds what was prepared.
    pub fn add(&self, coding: Coding, variant: Option<Variant>) {
        // Set already only where two were asked to make it: the first one's stays.
        let _ = self.slot(coding).set(variant.map(Box::new));
        self.prepared.notify_waiters();
    }

    /// All there is of it.
    fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.coded.iter().filter_map(|slot| slot.get()?.as_deref()).chain([&self.plain])
    }

    /// Open descriptors it holds.
    pub fn descriptors(&self) -> usize {
        self.variants().filter(|variant| matches!(variant.body, Body::Disk(_))).count()
    }

    /// Bytes of memory it holds, about.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + 2 * self.path.len() + self.variants().map(Variant::memory).sum::<usize>()
    }
}

impl Variant {
    /// Bytes of memory it holds, about: heads that a policy has changed count as much as the lines they are made of.
    pub fn memory(&self) -> usize {
        let body = if let Body::Memory(bytes) = &self.body { bytes.len() } else { 0 };
        size_of::<Self>() + 4 * (self.lines.len() + self.about.len()) + body + 256
    }

    /// Appends the head that this policy made of it, if that is the one that was kept.
    pub fn finished(&self, policy: Option<&Arc<Policy>>, https: bool, out: &mut Vec<u8>) -> bool {
        let Some(slot) = self.finished.get(usize::from(https)) else { return false };
        match &*slot.load() {
            Some(kept) if kept.is_of(policy) => {
                out.extend_from_slice(&kept.bytes);
                true
            }
            _ => false,
        }
    }
}
