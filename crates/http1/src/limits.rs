//! How much of a message may be what; everything in bytes unless said otherwise.

/// Bounds on what a peer may make us keep. A head that passes one is refused as soon as that is visible, complete or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request, status or field line, with its CRLF. Over it: 414 (request line) or 431.
    pub line: usize,
    /// Most field lines in a head or a trailer section. At most [`Limits::MAX_FIELDS`] count.
    pub fields: usize,
    /// Longest head, with the first line, all CRLFs and the skipped empty line. At most [`Limits::MAX_HEAD`] count.
    pub head: usize,
    /// Longest chunk-size line with extensions and CRLF (RFC 9112 §7.1.1).
    pub chunk_line: usize,
    /// Longest trailer section with its final empty line (RFC 9112 §7.1.2).
    pub trailers: usize,
}

impl Limits {
    /// No setting of [`Limits::fields`] reaches beyond this.
    pub const MAX_FIELDS: usize = 256;
    /// No setting of [`Limits::head`] reaches beyond this: offsets are 16 bits wide.
    pub const MAX_HEAD: usize = u16::MAX as usize;

    /// What [`Default`] gives.
    pub const DEFAULT: Limits =
        Limits { line: 8 << 10, fields: 100, head: 32 << 10, chunk_line: 256, trailers: 8 << 10 };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
