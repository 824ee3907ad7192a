//! Policies on the way in, in the order in which they are asked ([`model::policy`]).
//!
//! ```text
//!   Rules::decide (no waiting): maintenance, access, methods, file types, rates, concurrency, CORS preflight, basic auth (seen lately)
//!     │ Pass                     │ Wait                                   │ Refuse, Preflight
//!     │                          ▼                                        ▼
//!     │            gate: basic auth (argon2), forward auth  ──────▶   answered
//!     ▼                          ▼
//!   Rules::change: rewrite, request headers ──▶ handler
//! ```
//! A route without any has no [`Rules`]: one look at a pointer.

mod access;
pub mod basic_auth;
mod concurrency;
mod file_types;
pub mod forward_auth;
mod headers;
mod key;
mod maintenance;
mod methods;
mod rates;
mod rewrite;
mod shards;
mod zones;

use crate::error_page::Refusal;
use crate::guard::Offence;
use crate::policy::lines;
use crate::policy::response::cors::{Cors, Preflight};
use access::Access;
use basic_auth::{BasicAuth, Credentials, Look};
use concurrency::Concurrency;
pub use concurrency::Held;
use file_types::FileTypes;
use forward_auth::ForwardAuth;
use headers::HeaderChanges;
use http1::{FieldId, RequestHead};
use maintenance::Maintenance;
use methods::Methods;
use model::policy::PolicySpec;
use rates::Rate;
use rewrite::{Rewrite, Rewritten};
use std::net::IpAddr;
use std::time::Instant;
use wire::failure::Cause;
pub use zones::{Zone, Zones};

/// Compiled.
#[derive(Debug, Default)]
pub struct RequestPolicy {
    rules: Option<Box<Rules>>,
}

/// What there is of a route that has any.
#[derive(Debug)]
pub struct Rules {
    maintenance: Option<Maintenance>,
    access: Option<Access>,
    methods: Option<Methods>,
    file_types: Option<FileTypes>,
    rates: Box<[Rate]>,
    concurrency: Box<[Concurrency]>,
    /// Name and password are asked for.
    pub basic_auth: Option<BasicAuth>,
    /// Another server is asked.
    pub forward_auth: Option<ForwardAuth>,
    rewrite: Option<Rewrite>,
    headers: Option<HeaderChanges>,
}

/// What the policies look at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Where the head lies.
    pub buf: &'a [u8],
    /// It.
    pub head: &'a RequestHead,
    /// The path that was routed by.
    pub path: &'a [u8],
    /// Who asks: the peer, or whom a trusted peer names.
    pub client: IpAddr,
}

impl<'a> Asked<'a> {
    /// The value of the first header of this name.
    pub fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.head.named(name, self.buf).next()
    }

    /// The value of the first cookie of this name (RFC 6265 section 4.2).
    pub fn cookie(&self, name: &[u8]) -> Option<&'a [u8]> {
        let fields = self.head.fields.iter().filter(|field| field.id == FieldId::Cookie);
        let mut pairs = fields.flat_map(|field| field.value.of(self.buf).split(|&byte| byte == b';'));
        pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// What was decided without waiting.
pub enum Verdict {
    /// It goes on.
    Pass(Granted),
    /// It goes on if somebody says so who has to be waited for.
    Wait(Option<Credentials>, Granted),
    /// It is refused.
    Refuse(Refusal),
    /// It is beyond a limit.
    Limit {
        /// What the client is told.
        refusal: Refusal,
        /// For the log.
        cause: String,
        /// What a client is banned for in the end.
        offence: Option<Offence>,
    },
    /// It is a preflight.
    Preflight(Preflight),
}

/// What was found out about who asks.
#[derive(Default)]
pub struct Granted {
    /// Places of the limits, to be kept until the exchange has ended.
    pub held: Option<Box<Held>>,
    /// Who signed in.
    pub user: Option<Box<str>>,
    /// Lines of the server that was asked.
    pub lines: Vec<u8>,
}

/// A head that is to go on in another form.
#[derive(Debug)]
pub struct Changed {
    /// With the fields struck that do not go on.
    pub head: RequestHead,
    /// Path and query in place of the ones that came.
    pub target: Option<Vec<u8>>,
    /// Lines beside the head's own.
    pub lines: Vec<u8>,
}

impl RequestPolicy {
    /// Of a route.
    pub fn new(spec: &PolicySpec, zones: &mut Zones) -> Self {
        let rules = Rules {
            maintenance: spec.maintenance.as_ref().map(Maintenance::new),
            access: Access::new(&spec.access),
            methods: Methods::new(&spec.methods),
            file_types: FileTypes::new(&spec.file_types),
            rates: spec.rates.iter().map(|spec| zones.rate(spec)).collect(),
            concurrency: spec.concurrency.iter().map(|spec| zones.concurrency(spec)).collect(),
            basic_auth: spec.basic_auth.as_ref().map(BasicAuth::new),
            forward_auth: spec.forward_auth.as_ref().map(ForwardAuth::new),
            rewrite: Rewrite::new(&spec.rewrite),
            headers: HeaderChanges::new(&spec.request_headers),
        };
        Self { rules: (rules.is_any() || spec.cors.is_some()).then(|| Box::new(rules)) }
    }

    /// What there is.
    #[inline]
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }
}

impl Rules {
    fn is_any(&self) -> bool {
        self.maintenance.is_some()
            || self.access.is_some()
            || self.methods.is_some()
            || self.file_types.is_some()
            || !self.rates.is_empty()
            || !self.concurrency.is_empty()
            || self.changes()
    }

    fn changes(&self) -> bool {
        self.rewrite.is_some()
            || self.headers.is_some()
            || self.basic_auth.is_some()
            || self.forward_auth.is_some()
    }

    /// Decides what can be decided without waiting.
    pub fn decide(&self, asked: &Asked<'_>, cors: Option<&Cors>, now: Instant) -> Verdict {
        let preflight = cors.and_then(|cors| cors.preflight(asked.buf, asked.head));
        if let Err(refusal) = self.check(asked, preflight.is_some()) {
            return Verdict::Refuse(refusal);
        }
        for rate in &self.rates {
            if let Err((refusal, zone)) = rate.count(asked) {
                let cause = format!("more requests than the limit {zone} allows");
                return Verdict::Limit { refusal, cause, offence: Some(Offence::Rate) };
            }
        }
        let mut held = None;
        for limit in &self.concurrency {
            match limit.take(asked) {
                Ok(mut place) => {
                    place.beside = held.take();
                    held = Some(Box::new(place));
                }
                Err(zone) => {
                    let cause = format!("more requests at a time than the limit {zone} allows");
                    let refusal =
                        Refusal::new(limit.status, Cause::Concurrency, "too many requests at a time");
                    let refusal = Refusal { retry_after: Some(1), ..refusal };
                    return Verdict::Limit { refusal, cause, offence: None };
                }
            }
        }
        if let Some(preflight) = preflight {
            return Verdict::Preflight(preflight);
        }
        let mut granted = Granted { held, ..Granted::default() };
        let mut credentials = None;
        let authorization = asked.head.value(FieldId::Authorization, asked.buf);
        match self.basic_auth.as_ref().map(|auth| auth.look(authorization, now)) {
            None => {}
            Some(Look::Passed(user)) => granted.user = Some(user),
            Some(Look::Unknown(unknown)) => credentials = Some(unknown),
            Some(Look::Refused(refusal)) => return Verdict::Refuse(refusal),
        }
        if credentials.is_some() || self.forward_auth.is_some() {
            return Verdict::Wait(credentials, granted);
        }
        Verdict::Pass(granted)
    }

    /// What counts nothing. A preflight asks about another method than its own.
    fn check(&self, asked: &Asked<'_>, preflight: bool) -> Result<(), Refusal> {
        self.maintenance.as_ref().map_or(Ok(()), |maintenance| maintenance.check(asked.client))?;
        self.access.as_ref().map_or(Ok(()), |access| access.check(asked.client))?;
        let method = || asked.head.method_span.of(asked.buf);
        self.methods.as_ref().filter(|_| !preflight).map_or(Ok(()), |methods| methods.check(method()))?;
        self.file_types.as_ref().map_or(Ok(()), |types| types.check(asked.path))
    }

    /// The head in the form in which it goes on; none where it goes on as it came.
    pub fn change(
        &self,
        asked: &Asked<'_>,
        https: bool,
        granted: &Granted,
    ) -> Result<Option<Changed>, Refusal> {
        if !self.changes() {
            return Ok(None);
        }
        let mut changed = Changed { head: asked.head.clone(), target: None, lines: Vec::new() };
        if self.basic_auth.is_some() {
            headers::strike(&mut changed.head, asked.buf, "Authorization");
            headers::strike(&mut changed.head, asked.buf, "X-Forwarded-User");
        }
        if let Some(user) = &granted.user {
            lines::add(&mut changed.lines, b"X-Forwarded-User", user.as_bytes());
        }
        if let Some(auth) = &self.forward_auth {
            auth.copied().for_each(|name| headers::strike(&mut changed.head, asked.buf, name));
            changed.lines.extend_from_slice(&granted.lines);
        }
        if let Some(rewrite) = &self.rewrite
            && asked.path.starts_with(b"/")
        {
            let rewritten = rewrite.apply(asked.path);
            let Rewritten { mut path, prefix } = rewritten.ok_or(Refusal::new(
                400,
                Cause::Malformed,
                "what the path is rewritten to is no path",
            ))?;
            if !prefix.is_empty() {
                headers::strike(&mut changed.head, asked.buf, "X-Forwarded-Prefix");
                lines::add(&mut changed.lines, b"X-Forwarded-Prefix", &prefix);
            }
            if let Some(query) = asked.head.query {
                path.push(b'?');
                path.extend_from_slice(query.of(asked.buf));
            }
            changed.target = Some(path);
        }
        if let Some(headers) = &self.headers {
            headers.apply(asked, https, &mut changed.head, &mut changed.lines);
        }
        Ok(Some(changed))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use http1::{Limits, parse_request};
    use std::time::Duration;

    /// With a request for `/x` from 192.0.2.1 that has these header lines.
    pub fn asking<T>(lines: &str, ask: impl FnOnce(&Asked<'_>) -> T) -> T {
        let buf = format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n").into_bytes();
        let head = parse_request(&buf, &Limits::DEFAULT).unwrap().unwrap();
        ask(&Asked { buf: &buf, head: &head, path: b"/x", client: [192, 0, 2, 1].into() })
    }

    /// Waits until it is so.
    pub fn eventually(mut test: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !test() {
            assert!(Instant::now() < deadline, "waited too long");
            std::thread::yield_now();
        }
    }

    #[test]
    fn without_a_policy_there_are_no_rules() {
        let policy = RequestPolicy::new(&PolicySpec::default(), &mut Zones::default());
        assert!(policy.rules().is_none());
    }
}
