//! Answers to the challenges of certificate authorities over HTTP (RFC 8555 section 8.3): on every door and for every host, also one
//! that no site has, before a redirect, a site's limits or a sign-in could come in between. A token that is not ours is an ordinary
//! path: whoever speaks with an authority behind us is reached as ever.

use crate::error_page::Refusal;
use http1::Method;
use std::collections::HashMap;
use std::sync::Arc;
use wire::failure::Cause;
use wire::snapshot::HttpChallenge;

/// Where authorities look.
const PATH: &[u8] = b"/.well-known/acme-challenge/";
/// Asked again for another order, the answer is another one.
const LINES: &[u8] = b"Content-Type: application/octet-stream\r\nCache-Control: no-store\r\n";

/// Bodies by token. As a rule there are none, and nothing is looked at.
#[derive(Debug, Default)]
pub struct Challenges(HashMap<Box<[u8]>, Arc<Vec<u8>>>);

impl Challenges {
    /// Those of a snapshot.
    pub fn new(given: &[HttpChallenge]) -> Self {
        let entry = |challenge: &HttpChallenge| {
            (challenge.token.as_bytes().into(), Arc::new(challenge.answer.as_bytes().to_vec()))
        };
        Self(given.iter().map(entry).collect())
    }

    /// The answer to a request for this path.
    #[inline]
    pub fn answer(&self, method: Method, path: &[u8]) -> Option<Refusal> {
        if self.0.is_empty() { None } else { self.look(method, path) }
    }

    fn look(&self, method: Method, path: &[u8]) -> Option<Refusal> {
        let body = self.0.get(path.strip_prefix(PATH)?)?;
        matches!(method, Method::Get | Method::Head).then(|| Refusal {
            lines: Some(LINES.into()),
            body: Some(Arc::clone(body)),
            ..Refusal::new(200, Cause::NoRoute, "")
        })
    }
}
