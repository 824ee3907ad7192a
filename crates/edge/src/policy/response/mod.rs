//! Policies on the way out.

use model::policy::PolicySpec;

/// Compiled.
#[derive(Debug, Default)]
pub struct ResponsePolicy {}

/// What they depend on beside the answer's head.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// The client came over HTTPS.
    pub https: bool,
    /// Path of the request, without its query.
    pub path: &'a [u8],
    /// Value of its `Origin`.
    pub origin: Option<&'a [u8]>,
}

impl ResponsePolicy {
    /// Of a route.
    pub fn new(_spec: &PolicySpec) -> Self {
        Self {}
    }

    /// Changes the answer's head that `out` holds from `start` on: a status line and header lines, each with its line end,
    /// without the empty line.
    pub fn change_head(&self, _out: &mut Vec<u8>, _start: usize, _asked: Answering<'_>) {}
}
