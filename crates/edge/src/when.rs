//! Conditions of routes ([`model::condition::Condition`]), compiled with the snapshot and asked for each request of a site that has any.
//!
//! A path is asked in both readings that [`crate::router`] knows: as it is written, and with everything resolved that an application
//! may resolve. So a condition on a path cannot be gone around by another spelling: where the two readings lead to
//! different routes, the request leads to none.

use crate::router;
use http1::RequestHead;
use ipnet::IpNet;
use model::condition::{Condition, REGEX_SIZE};
use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::net::IpAddr;

/// What of a request conditions are about, beside its path.
pub struct Seen<'a> {
    /// What the head was parsed from.
    pub buf: &'a [u8],
    /// The head.
    pub head: &'a RequestHead,
    /// Who asks.
    pub client: IpAddr,
}

/// Which reading of a path is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As the client wrote it.
    Written,
    /// As an application may understand it.
    Resolved,
}

/// Conditions of one site's routes, in their order.
#[derive(Debug)]
pub struct Conditions(Box<[Option<Test>]>);

/// A condition, compiled.
#[derive(Debug)]
enum Test {
    All(Box<[Test]>),
    Any(Box<[Test]>),
    Not(Box<Test>),
    Host(Box<[u8]>),
    HostRegexp(Regex),
    Path(Text),
    PathPrefix(Text),
    PathRegexp(Regex),
    Method(Box<[u8]>),
    Header(Box<[u8]>, Box<[u8]>),
    HeaderRegexp(Box<[u8]>, Regex),
    Query(Box<[u8]>, Option<Box<[u8]>>),
    QueryRegexp(Box<[u8]>, Regex),
    Client(IpNet),
}

/// A text of a path in both readings.
#[derive(Debug)]
struct Text {
    written: Box<[u8]>,
    resolved: Box<[u8]>,
}

impl Text {
    fn new(path: &str) -> Self {
        let resolved = router::resolved(path.as_bytes()).into_owned().into();
        Self { written: router::written(path.as_bytes()).into(), resolved }
    }

    fn of(&self, reading: Reading) -> &[u8] {
        match reading {
            Reading::Written => &self.written,
            Reading::Resolved => &self.resolved,
        }
    }
}

impl Conditions {
    /// Of the routes of a site, in order; none where no route has any. A route whose condition cannot be compiled (the manifest refuses
    /// such) never answers.
    pub fn new<'a>(routes: impl Iterator<Item = Option<&'a Condition>> + Clone) -> Option<Self> {
        routes.clone().any(|when| when.is_some()).then(|| {
            let test = |when: Option<&Condition>| {
                when.map(|when| {
                    let compiled = Test::new(when);
                    let never = |error| tracing::warn!(%error, "a condition of a route cannot be compiled");
                    compiled.map_err(never).unwrap_or(Test::Any(Box::default()))
                })
            };
            Self(routes.map(test).collect())
        })
    }

    /// Whether the route at this place answers the request.
    pub fn hold(&self, place: usize, path: &[u8], reading: Reading, seen: &Seen<'_>) -> bool {
        match self.0.get(place) {
            Some(Some(test)) => test.is_true(path, reading, seen),
            _ => true,
        }
    }
}

impl Test {
    fn new(condition: &Condition) -> Result<Self, regex::Error> {
        let regex = |text: &str| RegexBuilder::new(text).size_limit(REGEX_SIZE).build();
        let bytes = |text: &str| text.as_bytes().into();
        let list = |list: &[Condition]| list.iter().map(Self::new).collect::<Result<Box<[_]>, _>>();
        Ok(match condition {
            Condition::All(all) => Self::All(list(all)?),
            Condition::Any(any) => Self::Any(list(any)?),
            Condition::Not(not) => Self::Not(Box::new(Self::new(not)?)),
            Condition::Host(host) => Self::Host(bytes(host)),
            Condition::HostRegexp(text) => Self::HostRegexp(regex(text)?),
            Condition::Path(path) => Self::Path(Text::new(path)),
            Condition::PathPrefix(path) => Self::PathPrefix(Text::new(path)),
            Condition::PathRegexp(text) => Self::PathRegexp(regex(text)?),
            Condition::Method(method) => Self::Method(bytes(method)),
            Condition::Header(name, value) => Self::Header(bytes(name), bytes(value)),
            Condition::HeaderRegexp(name, text) => Self::HeaderRegexp(bytes(name), regex(text)?),
            Condition::Query(name, value) => Self::Query(bytes(name), value.as_deref().map(bytes)),
            Condition::QueryRegexp(name, text) => Self::QueryRegexp(bytes(name), regex(text)?),
            Condition::ClientIp(net) => Self::Client(*net),
        })
    }

    fn is_true(&self, path: &[u8], reading: Reading, seen: &Seen<'_>) -> bool {
        let Seen { buf, head, client } = seen;
        match self {
            Self::All(all) => all.iter().all(|test| test.is_true(path, reading, seen)),
            Self::Any(any) => any.iter().any(|test| test.is_true(path, reading, seen)),
            Self::Not(not) => !not.is_true(path, reading, seen),
            Self::Host(own) => host(seen).eq_ignore_ascii_case(own),
            Self::HostRegexp(regex) => regex.is_match(&lower(host(seen))),
            Self::Path(text) => text.of(reading) == path,
            Self::PathPrefix(text) => path.starts_with(text.of(reading)),
            Self::PathRegexp(regex) => regex.is_match(path),
            Self::Method(own) => head.method_span.of(buf) == &**own,
            Self::Header(name, own) => fields(head, name, buf).any(|value| value == &**own),
            Self::HeaderRegexp(name, regex) => fields(head, name, buf).any(|value| regex.is_match(value)),
            Self::Query(name, own) => query(seen)
                .any(|(key, value)| *key == **name && own.as_deref().is_none_or(|own| *value == *own)),
            Self::QueryRegexp(name, regex) => {
                query(seen).any(|(key, value)| *key == **name && regex.is_match(&value))
            }
            Self::Client(net) => net.contains(client),
        }
    }
}

/// Without the root's dot.
fn host<'a>(seen: &Seen<'a>) -> &'a [u8] {
    let host = seen.head.host.map(|host| host.of(seen.buf)).unwrap_or_default();
    host.strip_suffix(b".").unwrap_or(host)
}

fn lower(text: &[u8]) -> Cow<'_, [u8]> {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// The values of all fields of a name, any case.
fn fields<'a>(head: &'a RequestHead, name: &'a [u8], buf: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    head.named(name, buf)
}

/// Names and values of the query, decoded (`application/x-www-form-urlencoded`, WHATWG URL section 5.1).
fn query<'a>(seen: &Seen<'a>) -> impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)> {
    let text = seen.head.query.map(|query| query.of(seen.buf)).unwrap_or_default();
    text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        (decoded(name), decoded(value.get(1..).unwrap_or_default()))
    })
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let spaces: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_encoding::percent_decode(&spaces).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Limits, parse_request};

    fn holds(condition: &Condition, head: &str) -> bool {
        let text = format!("{head}\r\n\r\n");
        let parsed = parse_request(text.as_bytes(), &Limits::default()).unwrap().unwrap();
        let client = "10.1.2.3".parse().unwrap();
        let seen = Seen { buf: text.as_bytes(), head: &parsed, client };
        let conditions = Conditions::new([Some(condition)].into_iter()).unwrap();
        let path = parsed.path.of(text.as_bytes());
        let written = conditions.hold(0, path, Reading::Written, &seen);
        let resolved = conditions.hold(0, &router::resolved(path), Reading::Resolved, &seen);
        written && resolved
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn each_kind_is_true_of_what_it_names_and_of_nothing_else() {
        use Condition::*;
        let get = "GET /api/x?a=1&b=x+y%21&c HTTP/1.1\r\nHost: Shop.Test.\r\nX-A: one\r\nX-A: two";
        for condition in [
            Host(text("shop.test")),
            HostRegexp(text(r"^[a-z]+\.test$")),
            Path(text("/api/x")),
            PathPrefix(text("/ap")),
            PathRegexp(text("^/api/[a-z]$")),
            Method(text("GET")),
            Header(text("x-a"), text("two")),
            HeaderRegexp(text("X-A"), text("^o")),
            Query(text("a"), Some(text("1"))),
            Query(text("b"), Some(text("x y!"))),
            Query(text("c"), None),
            QueryRegexp(text("a"), text("^[0-9]$")),
            ClientIp("10.0.0.0/8".parse().unwrap()),
            All(vec![]),
        ] {
            assert!(holds(&condition, get), "{condition:?}");
            assert!(!holds(&Not(Box::new(condition.clone())), get), "{condition:?}");
        }
        for condition in [
            Host(text("other.test")),
            HostRegexp(text("^test$")),
            Path(text("/api")),
            PathPrefix(text("/API")),
            Method(text("get")),
            Header(text("x-a"), text("three")),
            Header(text("x-b"), text("")),
            Query(text("a"), Some(text("2"))),
            Query(text("d"), None),
            ClientIp("10.1.2.4/32".parse().unwrap()),
            Any(vec![]),
        ] {
            assert!(!holds(&condition, get), "{condition:?}");
        }
    }

    #[test]
    fn what_cannot_be_compiled_never_holds_not_even_turned_around() {
        let broken = Condition::Not(Box::new(Condition::PathRegexp(text("("))));
        assert!(!holds(&broken, "GET / HTTP/1.1\r\nHost: a"));
    }
}
