//! Methods that are passed on; others are told which these are.

use crate::error_page::Refusal;
use std::sync::Arc;
use wire::failure::Cause;

/// Compiled.
#[derive(Debug)]
pub struct Methods {
    names: Box<[Box<[u8]>]>,
    /// `Allow` (RFC 9110 section 10.2.1).
    allow: Arc<[u8]>,
}

impl Methods {
    /// None where all are. `HEAD` comes with `GET`.
    pub fn new(methods: &[String]) -> Option<Self> {
        if methods.is_empty() {
            return None;
        }
        let mut names: Vec<&str> = Vec::new();
        for method in methods {
            let both = (method == "GET").then_some("HEAD");
            for name in std::iter::once(method.as_str()).chain(both) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let allow = format!("Allow: {}\r\n", names.join(", ")).into_bytes().into();
        Some(Self { names: names.into_iter().map(|name| name.as_bytes().into()).collect(), allow })
    }

    /// Lets a request pass or not.
    pub fn check(&self, method: &[u8]) -> Result<(), Refusal> {
        if self.names.iter().any(|name| **name == *method) {
            return Ok(());
        }
        let lines = Some(Arc::clone(&self.allow));
        Err(Refusal { lines, ..Refusal::new(405, Cause::Access, "a method that the route does not take") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_comes_with_get_and_both_are_named_once() {
        let of = |names: &[&str]| {
            Methods::new(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let methods = of(&["GET", "HEAD", "POST"]);
        assert!(methods.check(b"GET").is_ok() && methods.check(b"HEAD").is_ok());
        assert!(methods.check(b"get").is_err(), "methods are case-sensitive");
        let refusal = methods.check(b"DELETE").unwrap_err();
        assert_eq!(refusal.lines.as_deref(), Some(&b"Allow: GET, HEAD, POST\r\n"[..]));
        assert!(of(&["POST"]).check(b"HEAD").is_err());
        assert!(Methods::new(&[]).is_none());
    }
}
