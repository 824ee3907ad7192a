//! The id of a request: made here (UUID version 7, RFC 9562), or a trusted peer's when it looks like one.

use std::time::SystemTime;

/// Bytes of an id made here.
pub const LEN: usize = 36;

/// Longest id that is taken from a trusted peer.
const MAX_TAKEN: usize = 64;

/// A new id: 48 bits of `now`, the rest random, so that ids sort by time.
pub fn generate(now: SystemTime, into: &mut [u8; LEN]) {
    let millis = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut random = [0; 10];
    let (high, low) = random.split_at_mut(8);
    high.copy_from_slice(&fastrand::u64(..).to_ne_bytes());
    low.copy_from_slice(&fastrand::u16(..).to_ne_bytes());
    let id = uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(u64::MAX), &random)
        .into_uuid();
    id.hyphenated().encode_lower(into);
}

/// Whether a value of `X-Request-Id` may be taken over: short, and nothing in it that a log or a header minds.
pub fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_TAKEN).contains(&id.len())
        && id.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'+' | b'/' | b'=')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_seven_and_differ() {
        let (mut first, mut second) = ([0; LEN], [0; LEN]);
        generate(SystemTime::now(), &mut first);
        generate(SystemTime::now(), &mut second);
        assert_ne!(first, second);
        let id = uuid::Uuid::try_parse_ascii(&first).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert!(is_sane(&first));
    }

    #[test]
    fn strange_ids_are_not_taken() {
        assert!(is_sane(b"abc-123"));
        assert!(!is_sane(b""));
        assert!(!is_sane(b"a\"b"));
        assert!(!is_sane(&[b'a'; 65]));
    }
}
