//! What belongs to a host name: sites, certificates. An exact name first, then `*.rest` with exactly one more label, then `*`.

use std::collections::HashMap;

/// Longest host name looked up (RFC 1035 section 2.3.4 allows 253).
const MAX_HOST: usize = 255;

/// Values by host name. However many there are, a look-up costs the same.
#[derive(Debug)]
pub struct Hosts<T> {
    exact: HashMap<Box<[u8]>, T>,
    /// Under their part behind `*.`.
    wildcard: HashMap<Box<[u8]>, T>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new(), any: None }
    }
}

impl<T> Hosts<T> {
    /// Adds a name (lower case, no port; `*.rest`, `*`); of two equal ones the first stays.
    pub fn insert(&mut self, host: &str, value: T) {
        match host.strip_prefix("*.") {
            Some(rest) => {
                self.wildcard.entry(rest.as_bytes().into()).or_insert(value);
            }
            None if host == "*" => {
                self.any.get_or_insert(value);
            }
            None => {
                self.exact.entry(host.as_bytes().into()).or_insert(value);
            }
        }
    }

    /// What belongs to a host (no port, any case, with or without the root's dot).
    pub fn find(&self, host: &[u8]) -> Option<&T> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut lower = [0; MAX_HOST];
        let host = if host.iter().any(u8::is_ascii_uppercase) {
            let lower = lower.get_mut(..host.len())?;
            lower.copy_from_slice(host);
            lower.make_ascii_lowercase();
            lower
        } else {
            host
        };
        self.exact.get(host).or_else(|| self.wildcard(host)).or(self.any.as_ref())
    }

    fn wildcard(&self, host: &[u8]) -> Option<&T> {
        if self.wildcard.is_empty() {
            return None;
        }
        self.wildcard.get(parent(host)?)
    }
}

/// The name without its first label, which is not empty.
fn parent(host: &[u8]) -> Option<&[u8]> {
    let dot = host.iter().position(|&byte| byte == b'.').filter(|&at| at > 0)?;
    host.get(dot + 1..)
}

/// Whether a name as in [`Hosts::insert`] stands for a host as in [`Hosts::find`].
pub fn covers(name: &str, host: &[u8]) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    match name.strip_prefix("*.") {
        Some(rest) => parent(host).is_some_and(|parent| parent.eq_ignore_ascii_case(rest.as_bytes())),
        None => name == "*" || host.eq_ignore_ascii_case(name.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_name_is_found() {
        let mut hosts = Hosts::default();
        let names = ["a.test", "*.a.test", "*", "*.b.test"];
        names.iter().for_each(|name| hosts.insert(name, *name));
        hosts.insert("a.test", "second");
        for (host, found) in [
            ("a.test", "a.test"),
            ("A.Test.", "a.test"),
            ("x.a.test", "*.a.test"),
            ("x.y.a.test", "*"),
            (".a.test", "*"),
            ("b.test", "*"),
            ("", "*"),
        ] {
            assert_eq!(hosts.find(host.as_bytes()), Some(&found), "{host}");
            assert!(covers(found, host.as_bytes()), "{host}");
        }
        assert!(
            !covers("*.a.test", b"a.test")
                && !covers("*.a.test", b"x.y.a.test")
                && !covers("a.test", b"b.test")
        );
    }
}
