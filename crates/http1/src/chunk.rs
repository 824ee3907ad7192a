//! Writing chunked bodies (RFC 9112 §7.1): header, data, CRLF for each chunk; [`LAST_CHUNK`] ends the body.

/// The last chunk with an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends the size line of a chunk of `len` bytes; the data and a CRLF follow. `len` must not be 0: that would end the body.
pub fn write_chunk_header(out: &mut Vec<u8>, len: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    debug_assert!(len > 0, "a chunk of zero bytes is the last one");
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().filter_map(|d| HEX.get(len >> (4 * d) & 15)));
    out.extend_from_slice(b"\r\n");
}
