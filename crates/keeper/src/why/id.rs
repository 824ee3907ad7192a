//! The time in a request's id. Ids that the edge makes are UUIDs of version 7 (RFC 9562 section 5.7), which begin with it; a trusted
//! peer's may be anything.

/// Bytes of a UUID's text.
const LEN: usize = 36;
/// Place of the version's digit.
const VERSION: usize = 14;

/// When the id was made, in milliseconds since the Unix epoch; none: it does not say.
pub fn time(id: &str) -> Option<u64> {
    let bytes = id.as_bytes();
    let dashes = [8, 13, 18, 23].iter().all(|&at| bytes.get(at) == Some(&b'-'));
    if bytes.len() != LEN || !dashes || bytes.get(VERSION) != Some(&b'7') {
        return None;
    }
    let digits = [id.get(..8)?, id.get(9..13)?].concat();
    u64::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_of_version_7_has_a_time() {
        assert_eq!(time("019aa5f2-4c07-7a3b-8000-0123456789ab"), Some(0x019a_a5f2_4c07));
        for id in
            ["", "abc-123", "019aa5f2-4c07-4a3b-8000-0123456789ab", "ä19aa5f2-4c07-7a3b-8000-0123456789a"]
        {
            assert_eq!(time(id), None, "{id}");
        }
    }
}
