//! `Date` (RFC 9110 section 6.6.1): on every answer of the edge's own, and on those of instances that do not say it.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Adds the line, which each thread writes anew once a second.
pub fn add(out: &mut Vec<u8>, now: SystemTime) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(last, line)| {
        if *last != second || line.is_empty() {
            *last = second;
            *line = format!("Date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(line.as_bytes());
    });
}
