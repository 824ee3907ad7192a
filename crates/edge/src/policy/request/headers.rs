//! Changes of the request's head on its way to the application.
//!
//! Fields are not taken out of the head that came in, but struck: the writer of the forwarded head leaves them out. What the edge
//! says itself (`X-Forwarded-For`, `X-Real-IP`, `X-Request-Id` …) and what frames the message cannot be changed.

use super::Asked;
use crate::headers::{FRAMING, OURS};
use crate::policy::lines;
use crate::policy::paths::Paths;
use http1::{FieldId, FieldSet, RequestHead, is_token};
use model::policy::{HeaderChange, HeaderSpec};

/// Names that no policy may set, add or remove.
const RESERVED: FieldSet = OURS.union(FRAMING);

/// Whether a policy may say a header of this name.
pub fn is_free(name: &str) -> bool {
    is_token(name.as_bytes()) && !RESERVED.contains(FieldId::of(name.as_bytes()))
}

/// Strikes every field of this name. `_` and `-` are one: an application behind CGI or WSGI reads them so.
pub fn strike(head: &mut RequestHead, buf: &[u8], name: &str) {
    head.fields.iter_mut().filter(|field| same(field.name.of(buf), name.as_bytes())).for_each(|field| {
        field.hop = true;
    });
}

/// Equal names; `_` and `-` are one.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let folded = |&byte: &u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().map(folded).eq(other.iter().map(folded))
}

/// Compiled, in order.
#[derive(Debug)]
pub struct HeaderChanges(Box<[Change]>);

#[derive(Debug)]
struct Change {
    spec: HeaderSpec,
    /// None: all.
    paths: Option<Paths>,
}

impl HeaderChanges {
    /// None where there are none.
    pub fn new(specs: &[HeaderSpec]) -> Option<Self> {
        let sound = specs.iter().filter(|spec| is_sound(spec)).map(|spec| Change {
            spec: spec.clone(),
            paths: (!spec.paths.is_empty()).then(|| Paths::new(&spec.paths)),
        });
        let changes: Box<[Change]> = sound.collect();
        (!changes.is_empty()).then_some(Self(changes))
    }

    /// Strikes fields of `head` and adds to `out` what comes in their place.
    pub fn apply(&self, asked: &Asked<'_>, https: bool, head: &mut RequestHead, out: &mut Vec<u8>) {
        let mut added: Vec<(&str, &str)> = Vec::new();
        for Change { spec, paths } in &self.0 {
            let here = paths.as_ref().is_none_or(|paths| paths.matches(asked.path));
            if !here || spec.https_only && !https {
                continue;
            }
            let name = spec.name.as_str();
            let mut say = |value| added.push((name, value));
            match &spec.change {
                HeaderChange::Default(value) => {
                    let said =
                        |field: &http1::Field| !field.hop && same(field.name.of(asked.buf), name.as_bytes());
                    if !head.fields.iter().any(said)
                        && !added.iter().any(|(other, _)| same(other.as_bytes(), name.as_bytes()))
                    {
                        added.push((name, value));
                    }
                }
                HeaderChange::Add(value) => say(value),
                HeaderChange::Set(value) => {
                    strike(head, asked.buf, name);
                    added.retain(|(other, _)| !same(other.as_bytes(), name.as_bytes()));
                    added.push((name, value));
                }
                HeaderChange::Remove => {
                    strike(head, asked.buf, name);
                    added.retain(|(other, _)| !same(other.as_bytes(), name.as_bytes()));
                }
            }
        }
        for (name, value) in added {
            lines::add(out, name.as_bytes(), value.as_bytes());
        }
    }
}

/// What would break the head is left out (the manifest refuses it). `Host` can only be set.
fn is_sound(spec: &HeaderSpec) -> bool {
    let (value, sets) = match &spec.change {
        HeaderChange::Set(value) => (value.as_str(), true),
        HeaderChange::Default(value) | HeaderChange::Add(value) => (value.as_str(), false),
        HeaderChange::Remove => ("", false),
    };
    let host = FieldId::of(spec.name.as_bytes()) == FieldId::Host;
    let sound = is_free(&spec.name) && (sets || !host) && !value.contains(|byte: char| byte.is_control());
    if !sound {
        tracing::warn!(name = spec.name, "a request header that cannot be changed");
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::tests::asking;

    fn changed(came: &str, changes: &[(&str, HeaderChange)]) -> String {
        let specs: Vec<HeaderSpec> = changes
            .iter()
            .map(|(name, change)| HeaderSpec {
                name: (*name).to_owned(),
                change: change.clone(),
                paths: Vec::new(),
                https_only: false,
            })
            .collect();
        asking(came, |asked| {
            let (mut head, mut lines) = (asked.head.clone(), Vec::new());
            if let Some(changes) = HeaderChanges::new(&specs) {
                changes.apply(asked, false, &mut head, &mut lines);
            }
            let left = head.fields.iter().filter(|field| !field.hop && field.id != FieldId::Host);
            let left: Vec<u8> = left.flat_map(|field| field.line.of(asked.buf).to_vec()).collect();
            String::from_utf8([left, lines].concat()).unwrap()
        })
    }

    /// A policy's `traceparent` went beside the edge's own: two of them are none.
    #[test]
    fn what_the_edge_says_itself_no_policy_says() {
        for name in
            ["traceparent", "X-Real-IP", "x-forwarded-for", "Content-Length", "X_Request_Id", "a b", ""]
        {
            assert!(!is_free(name), "{name}");
        }
        assert!(is_free("X-Tenant") && is_free("Host"));
    }

    #[test]
    fn headers_are_set_added_defaulted_and_removed_in_order() {
        let (set, add) = (|v: &str| HeaderChange::Set(v.into()), |v: &str| HeaderChange::Add(v.into()));
        let default = |v: &str| HeaderChange::Default(v.into());
        assert_eq!(changed("A: 1\r\na: 2\r\nB: 3\r\n", &[("A", set("9"))]), "B: 3\r\nA: 9\r\n");
        assert_eq!(changed("A: 1\r\n", &[("A", add("2"))]), "A: 1\r\nA: 2\r\n");
        assert_eq!(changed("A: 1\r\n", &[("A", default("2")), ("B", default("3"))]), "A: 1\r\nB: 3\r\n");
        assert_eq!(changed("A_b: 1\r\n", &[("A-B", HeaderChange::Remove)]), "", "in any spelling");
        assert_eq!(changed("", &[("A", set("1")), ("A", HeaderChange::Remove)]), "");
        assert_eq!(changed("", &[("A", set("1")), ("A", set("2"))]), "A: 2\r\n");
    }

    #[test]
    fn what_the_edge_says_itself_cannot_be_forged() {
        for name in
            ["X-Forwarded-For", "x-real-ip", "X_Real_IP", "Content-Length", "Connection", "X-Request-Id", ""]
        {
            assert_eq!(changed("", &[(name, HeaderChange::Set("1".into()))]), "", "{name}");
        }
        assert_eq!(changed("", &[("Host", HeaderChange::Remove)]), "");
        assert_eq!(changed("", &[("Host", HeaderChange::Set("b.test".into()))]), "Host: b.test\r\n");
        assert_eq!(changed("", &[("A", HeaderChange::Set("1\r\nB: 2".into()))]), "");
    }
}
