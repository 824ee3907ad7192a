//! Conditions and ranges of a request (RFC 9110 sections 13 and 14). Validators are compared by the crate `headers`, ranges read by
//! `http-range-header`; here is only the order in which they count, and the bounds.

use headers::{ETag, Header, HeaderValue, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince};
use http_range_header::{EndPosition, StartPosition, SyntacticallyCorrectRange, parse_range_header};
use http1::{FieldId, RequestHead};
use std::ops::Range;
use std::time::SystemTime;

/// Ranges answered at a time; who asks for more gets the whole.
const MAX_RANGES: usize = 16;
/// Two ranges so near to each other are sent as one: a part's head would be longer than what lies between.
const NEAR: u64 = 80;

/// What a head says of conditions; made only where it says anything.
#[derive(Debug, Default)]
pub struct Conditions {
    if_match: Option<IfMatch>,
    unmodified_since: Option<IfUnmodifiedSince>,
    none_match: Option<IfNoneMatch>,
    modified_since: Option<IfModifiedSince>,
    if_range: Option<IfRange>,
    range: Option<Box<str>>,
}

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Go,
    /// 304.
    Unchanged,
    /// 412.
    Failed,
}

/// What is sent of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// These bytes, in order, none of them twice.
    Parts(Vec<Range<u64>>),
    /// 416.
    None,
}

impl Conditions {
    /// What this head says, if anything.
    pub fn of(buf: &[u8], head: &RequestHead) -> Option<Box<Self>> {
        let speaks = |id| {
            matches!(
                id,
                FieldId::IfMatch
                    | FieldId::IfUnmodifiedSince
                    | FieldId::IfNoneMatch
                    | FieldId::IfModifiedSince
                    | FieldId::IfRange
                    | FieldId::Range
            )
        };
        head.fields.iter().any(|field| speaks(field.id)).then(|| {
            Box::new(Self {
                if_match: typed(buf, head, FieldId::IfMatch),
                unmodified_since: typed(buf, head, FieldId::IfUnmodifiedSince),
                none_match: typed(buf, head, FieldId::IfNoneMatch),
                modified_since: typed(buf, head, FieldId::IfModifiedSince),
                if_range: typed(buf, head, FieldId::IfRange),
                range: head
                    .value(FieldId::Range, buf)
                    .and_then(|value| std::str::from_utf8(value).ok())
                    .map(Box::from),
            })
        })
    }

    /// The order of RFC 9110 section 13.2.2, for `GET` and `HEAD`.
    pub fn judge(&self, tag: &str, modified: SystemTime) -> Verdict {
        // Tags are made in `head` and always are some.
        let Ok(tag) = &tag.parse::<ETag>() else { return Verdict::Go };
        let fails = match (&self.if_match, &self.unmodified_since) {
            (Some(tags), _) => !tags.precondition_passes(tag),
            (None, Some(since)) => !since.precondition_passes(modified),
            (None, None) => false,
        };
        if fails {
            return Verdict::Failed;
        }
        let unchanged = match (&self.none_match, &self.modified_since) {
            (Some(tags), _) => !tags.precondition_passes(tag),
            (None, Some(since)) => !since.is_modified(modified),
            (None, None) => false,
        };
        if unchanged { Verdict::Unchanged } else { Verdict::Go }
    }

    /// What is asked for of a body of `length` bytes.
    pub fn extent(&self, tag: &str, modified: SystemTime, length: u64) -> Extent {
        let (Some(range), Ok(tag)) = (&self.range, tag.parse::<ETag>()) else { return Extent::Whole };
        if self.if_range.as_ref().is_some_and(|known| known.is_modified(Some(&tag), Some(&modified.into()))) {
            return Extent::Whole;
        }
        // What cannot be read is ignored (section 14.2).
        let Ok(parsed) = parse_range_header(range) else { return Extent::Whole };
        let reversed = |range: &SyntacticallyCorrectRange| matches!((range.start, range.end), (StartPosition::Index(start), EndPosition::Index(last)) if last < start);
        if parsed.ranges.len() > MAX_RANGES || parsed.ranges.iter().any(reversed) {
            return Extent::Whole;
        }
        let satisfiable = parsed.ranges.iter().filter_map(|range| resolve(range.start, range.end, length));
        let mut parts: Vec<Range<u64>> = satisfiable.collect();
        if parts.is_empty() {
            return Extent::None;
        }
        parts.sort_by_key(|part| part.start);
        parts.dedup_by(|next, part| {
            let near = next.start <= part.end.saturating_add(NEAR);
            if near {
                part.end = part.end.max(next.end);
            }
            near
        });
        Extent::Parts(parts)
    }
}

/// The bytes a range stands for; `None`: there are none.
fn resolve(start: StartPosition, end: EndPosition, length: u64) -> Option<Range<u64>> {
    let range = match (start, end) {
        (StartPosition::Index(start), EndPosition::Index(last)) => start..last.saturating_add(1).min(length),
        (StartPosition::Index(start), EndPosition::LastByte) => start..length,
        (StartPosition::FromLast(count), _) => length.saturating_sub(count)..length,
    };
    (range.start < range.end).then_some(range)
}

/// A header's value, of all its lines.
fn typed<H: Header>(buf: &[u8], head: &RequestHead, id: FieldId) -> Option<H> {
    let lines = head.fields.iter().filter(|field| field.id == id);
    let values: Vec<HeaderValue> =
        lines.filter_map(|field| HeaderValue::from_bytes(field.value.of(buf)).ok()).collect();
    // An iterator without a line is an error to some types and an empty list to others.
    if values.is_empty() { None } else { H::decode(&mut values.iter()).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const TAG: &str = "\"x-1\"";

    fn conditions(lines: &str) -> Conditions {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = http1::parse_request(text.as_bytes(), &crate::LIMITS).unwrap().unwrap();
        *Conditions::of(text.as_bytes(), &head).unwrap_or_default()
    }

    fn modified() -> SystemTime {
        // Sun, 06 Nov 1994 08:49:37 GMT, and a little.
        SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_500)
    }

    fn judge(lines: &str) -> Verdict {
        conditions(lines).judge(TAG, modified())
    }

    fn extent(lines: &str) -> Extent {
        conditions(lines).extent(TAG, modified(), 1000)
    }

    #[test]
    fn conditions_in_their_order() {
        let (then, before) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        for (lines, verdict) in [
            ("".to_owned(), Verdict::Go),
            ("If-None-Match: \"x-1\"\r\n".to_owned(), Verdict::Unchanged),
            ("If-None-Match: W/\"x-1\"\r\n".to_owned(), Verdict::Unchanged),
            ("If-None-Match: \"a\", \"x-1\"\r\n".to_owned(), Verdict::Unchanged),
            ("If-None-Match: \"a\"\r\nIf-None-Match: \"x-1\"\r\n".to_owned(), Verdict::Unchanged),
            ("If-None-Match: *\r\n".to_owned(), Verdict::Unchanged),
            ("If-None-Match: \"a\"\r\n".to_owned(), Verdict::Go),
            (format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {then}\r\n"), Verdict::Go),
            (format!("If-Modified-Since: {then}\r\n"), Verdict::Unchanged),
            (format!("If-Modified-Since: {before}\r\n"), Verdict::Go),
            ("If-Modified-Since: nonsense\r\n".to_owned(), Verdict::Go),
            ("If-Match: \"x-1\"\r\n".to_owned(), Verdict::Go),
            ("If-Match: *\r\n".to_owned(), Verdict::Go),
            ("If-Match: W/\"x-1\"\r\n".to_owned(), Verdict::Failed),
            ("If-Match: \"a\"\r\nIf-None-Match: \"x-1\"\r\n".to_owned(), Verdict::Failed),
            (format!("If-Unmodified-Since: {before}\r\n"), Verdict::Failed),
            (format!("If-Unmodified-Since: {then}\r\n"), Verdict::Go),
            (format!("If-Match: \"x-1\"\r\nIf-Unmodified-Since: {before}\r\n"), Verdict::Go),
        ] {
            assert_eq!(judge(&lines), verdict, "{lines}");
        }
    }

    #[allow(clippy::single_range_in_vec_init)] // a list of one range is meant
    #[test]
    fn ranges_are_bounded_sorted_and_joined() {
        let parts = |ranges: &[Range<u64>]| Extent::Parts(ranges.to_vec());
        for (value, expected) in [
            ("bytes=0-0", parts(&[0..1])),
            ("bytes=10-19", parts(&[10..20])),
            ("bytes=990-2000", parts(&[990..1000])),
            ("bytes=990-", parts(&[990..1000])),
            ("bytes=-10", parts(&[990..1000])),
            ("bytes=-5000", parts(&[0..1000])),
            ("bytes=0-9,500-509", parts(&[0..10, 500..510])),
            ("bytes=500-509, 0-9", parts(&[0..10, 500..510])),
            ("bytes=0-9,5-19,20-29", parts(&[0..30])),
            ("bytes=0-9,5000-6000", parts(&[0..10])),
            ("bytes=1000-", Extent::None),
            ("bytes=-0", Extent::Whole),
            ("bytes=5-1", Extent::Whole),
            ("bytes=18446744073709551615-", Extent::None),
            ("bytes=x", Extent::Whole),
            ("items=0-1", Extent::Whole),
        ] {
            assert_eq!(extent(&format!("Range: {value}\r\n")), expected, "{value}");
        }
        let many = (0..17).map(|n| format!("{0}00-{0}01", n + 1)).collect::<Vec<_>>().join(",");
        assert_eq!(extent(&format!("Range: bytes={many}\r\n")), Extent::Whole);
        assert_eq!(conditions("Range: bytes=0-\r\n").extent(TAG, modified(), 0), Extent::None);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole() {
        let range =
            |known: &str| extent(&format!("Range: bytes=0-0\r\nIf-Range: {known}\r\n")) != Extent::Whole;
        assert!(range("\"x-1\"") && range("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!range("\"x-2\"") && !range("W/\"x-1\"") && !range("Sun, 06 Nov 1994 08:49:36 GMT"));
    }
}
