//! Watches the frames of a peer and finds floods that `h2` itself does not bound, by frame headers alone.
//!
//! Two buckets of tokens. *Control* pays for what costs work without being a request or a body: SETTINGS, PING, PRIORITY,
//! WINDOW_UPDATE, unknown types, empty DATA, CONTINUATION; requests and bytes that the peer takes fill it up again, for both bring such frames
//! with them. *Resets* pays for RST_STREAM (CVE-2023-44487): browsers cancel what a page no longer needs, in bursts, and no more.
//! An empty bucket closes the connection with `ENHANCE_YOUR_CALM` (RFC 9113 section 10.5). Beside that, trailer sections are held to
//! what [`pseudo`] says: so the streams are remembered whose requests have not ended.
//!
//! What `h2` bounds: streams open at a time, header lists, CONTINUATION by bytes, resets it has to make itself (CVE-2025-8671),
//! small DATA frames, what waits to be accepted.

use super::{MAX_STREAMS, pseudo};
use h2::Reason;
use std::cell::{Cell, RefCell};
use std::time::Instant;

const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// Tokens of a full bucket, and those that come back each second.
const CONTROL: f64 = 2_000.0;
const CONTROL_RATE: f64 = 100.0;
const RESETS: f64 = 200.0;
const RESETS_RATE: f64 = 10.0;
/// A SETTINGS frame is answered and may change every stream's window.
const SETTINGS_COST: f64 = 20.0;
/// What a request brings with it: window updates, a priority.
const REQUEST_GIVES: f64 = 4.0;
/// What a taken KiB brings with it.
const KIB_GIVES: f64 = 1.0;
/// CONTINUATION frames of one head (CVE-2024-27316).
const MAX_CONTINUATIONS: u32 = 16;

struct Bucket {
    tokens: Cell<f64>,
    full: f64,
    rate: f64,
}

impl Bucket {
    const fn new(full: f64, rate: f64) -> Self {
        Self { tokens: Cell::new(full), full, rate }
    }

    fn give(&self, tokens: f64) {
        self.tokens.set((self.tokens.get() + tokens).min(self.full));
    }

    /// False: it is empty.
    fn take(&self, tokens: f64) -> bool {
        self.tokens.set(self.tokens.get() - tokens);
        self.tokens.get() >= 0.0
    }
}

/// One connection's watch; shared by who reads, who writes and who ends it.
pub struct Guard {
    control: Bucket,
    resets: Bucket,
    since: Cell<Instant>,
    continuations: Cell<u32>,
    /// Bytes until the next frame's header.
    skip: Cell<usize>,
    header: Cell<[u8; HEADER]>,
    /// Bytes of `header` that are known.
    known: Cell<usize>,
    taken: Cell<u64>,
    verdict: Cell<Option<Reason>>,
    /// Streams whose requests go on.
    bodies: RefCell<Vec<u32>>,
    /// The payload of a HEADERS frame with trailers, as far as it has come, and the frame's flags.
    trailers: RefCell<Option<(u8, Vec<u8>)>>,
}

impl Guard {
    /// Of a connection on which `preface` bytes come before the first frame.
    pub fn new(preface: usize) -> Self {
        Self {
            control: Bucket::new(CONTROL, CONTROL_RATE),
            resets: Bucket::new(RESETS, RESETS_RATE),
            since: Cell::new(Instant::now()),
            continuations: Cell::new(0),
            skip: Cell::new(preface),
            header: Cell::default(),
            known: Cell::new(0),
            taken: Cell::new(0),
            verdict: Cell::new(None),
            bodies: RefCell::default(),
            trailers: RefCell::default(),
        }
    }

    /// Why the connection has to end, if it has to.
    pub fn verdict(&self) -> Option<Reason> {
        self.verdict.get()
    }

    /// Bytes the peer has taken.
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// The peer has taken bytes.
    pub fn sent(&self, count: usize) {
        self.taken.set(self.taken.get() + count as u64);
        self.control.give(count as f64 / 1024.0 * KIB_GIVES);
    }

    /// The peer has sent these bytes: if [`Guard::verdict`] is there now, none of them may pass.
    pub fn received(&self, mut bytes: &[u8]) {
        self.refill();
        loop {
            let skipped = self.skip.get().min(bytes.len());
            let (payload, rest) = bytes.split_at_checked(skipped).unwrap_or_default();
            self.skip.set(self.skip.get() - skipped);
            self.look_at_trailers(payload);
            bytes = rest;
            let (mut header, known) = (self.header.get(), self.known.get());
            let count = (HEADER - known).min(bytes.len());
            if count == 0 {
                return;
            }
            for (to, from) in header.iter_mut().skip(known).zip(bytes) {
                *to = *from;
            }
            bytes = bytes.get(count..).unwrap_or_default();
            self.header.set(header);
            self.known.set(known + count);
            if known + count == HEADER {
                self.known.set(0);
                let [a, b, c, kind, flags, id @ ..] = header;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                self.skip.set(length);
                self.follow(kind, flags, u32::from_be_bytes(id) & (u32::MAX >> 1));
                if !self.passes(kind, flags, length) {
                    self.verdict.set(Some(Reason::ENHANCE_YOUR_CALM));
                }
            }
        }
    }

    /// Follows which requests go on, and begins to gather what is a trailer section.
    fn follow(&self, kind: u8, flags: u8, stream: u32) {
        if !matches!(kind, DATA | HEADERS | RST_STREAM) {
            return;
        }
        let mut bodies = self.bodies.borrow_mut();
        let place = bodies.iter().position(|&open| open == stream);
        match (kind, place) {
            (HEADERS, Some(_)) => *self.trailers.borrow_mut() = Some((flags, Vec::new())),
            // `h2` refuses more streams than it said: those need no place.
            (HEADERS, None) if flags & END_STREAM == 0 && bodies.len() < MAX_STREAMS as usize => {
                bodies.push(stream);
            }
            _ => {}
        }
        if let Some(place) = place.filter(|_| kind == RST_STREAM || flags & END_STREAM != 0) {
            bodies.swap_remove(place);
        }
    }

    /// Looks at a trailer section once its frame is whole.
    fn look_at_trailers(&self, payload: &[u8]) {
        let mut trailers = self.trailers.borrow_mut();
        let Some((flags, gathered)) = &mut *trailers else { return };
        gathered.extend_from_slice(payload);
        if self.skip.get() > 0 {
            return;
        }
        let mut block = gathered.as_slice();
        if *flags & PADDED != 0 {
            let padding = usize::from(block.first().copied().unwrap_or_default());
            block = block.get(1..block.len().saturating_sub(padding)).unwrap_or_default();
        }
        if *flags & PRIORITY != 0 {
            block = block.get(5..).unwrap_or_default();
        }
        if pseudo::is_named(block) {
            self.verdict.set(Some(Reason::PROTOCOL_ERROR));
        }
        *trailers = None;
    }

    fn refill(&self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.since.replace(now)).as_secs_f64();
        for bucket in [&self.control, &self.resets] {
            bucket.give(passed * bucket.rate);
        }
    }

    fn passes(&self, kind: u8, flags: u8, length: usize) -> bool {
        match kind {
            DATA if length > 0 || flags & END_STREAM != 0 => true,
            HEADERS => {
                self.continuations.set(0);
                self.control.give(REQUEST_GIVES);
                true
            }
            RST_STREAM => self.resets.take(1.0),
            SETTINGS => self.control.take(SETTINGS_COST),
            CONTINUATION => {
                self.continuations.set(self.continuations.get() + 1);
                self.continuations.get() <= MAX_CONTINUATIONS && self.control.take(1.0)
            }
            _ => self.control.take(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn passes(guard: &Guard, bytes: &[u8]) -> bool {
        guard.received(bytes);
        guard.verdict().is_none()
    }

    /// How many of these a fresh guard lets pass, at most `most`.
    fn passing(frame: &[u8], most: usize) -> usize {
        let guard = Guard::new(0);
        (0..most).take_while(|_| passes(&guard, frame)).count()
    }

    #[test]
    fn floods_are_found_and_requests_are_none() {
        for (name, kind, payload) in
            [("ping", 6, 8), ("priority", 2, 5), ("window", 8, 4), ("empty data", 0, 0), ("unknown", 99, 3)]
        {
            let passed = passing(&frame(kind, 0, &vec![0; payload]), 100_000);
            assert!((1_000..4_000).contains(&passed), "{name}: {passed}");
        }
        assert!((50..200).contains(&passing(&frame(SETTINGS, 0, &[]), 100_000)));
        assert!((100..400).contains(&passing(&frame(RST_STREAM, 0, &[0; 4]), 100_000)));
        assert_eq!(passing(&frame(CONTINUATION, 0, b"x"), 100), 16);
        assert_eq!(passing(&frame(HEADERS, 5, b"head"), 100_000), 100_000);
        assert_eq!(passing(&frame(DATA, 0, b"body"), 100_000), 100_000);
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let bytes: Vec<u8> = [b"preface!".to_vec(), frame(6, 0, &[7; 8]).repeat(3_000)].concat();
        let whole = Guard::new(8);
        assert!(!passes(&whole, &bytes));
        for size in [1, 2, 3, 8, 9, 10, 17, 1000] {
            let guard = Guard::new(8);
            let found = bytes.chunks(size).any(|piece| !passes(&guard, piece));
            assert!(found, "in pieces of {size}");
        }
    }

    #[test]
    fn a_peer_that_takes_much_may_say_so_often() {
        let guard = Guard::new(0);
        let update = frame(8, 0, &[0, 0, 64, 0]);
        for _ in 0..100_000 {
            guard.sent(16 << 10);
            assert!(passes(&guard, &update));
        }
    }
}
