//! [`Span`]: a range of bytes in the caller's buffer.

/// Offsets into the buffer that was parsed; resolve it with [`Span::of`] against that same buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The span from `start` up to `end`. Callers stay below [`crate::Limits::MAX_HEAD`]; beyond it offsets saturate.
    pub(crate) fn new(start: usize, end: usize) -> Span {
        let narrow = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Span { start: narrow(start), end: narrow(end) }
    }

    /// The bytes. Empty where `buf` is shorter than the buffer this came from.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }

    /// The bytes as text. Empty where they are no UTF-8; method, target, host and field names always are ASCII.
    #[inline]
    pub fn str(self, buf: &[u8]) -> &str {
        std::str::from_utf8(self.of(buf)).unwrap_or_default()
    }

    /// First offset.
    #[inline]
    pub fn start(self) -> usize {
        usize::from(self.start)
    }

    /// Offset behind the last byte.
    #[inline]
    pub fn end(self) -> usize {
        usize::from(self.end)
    }

    /// Both as a range.
    #[inline]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start()..self.end()
    }

    /// Length in bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.end().saturating_sub(self.start())
    }

    /// True for a length of zero.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}
