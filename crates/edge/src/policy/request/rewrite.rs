//! Changes of the path, in order. What comes out is checked as strictly as what came in: a path that starts with a slash, of visible
//! ASCII, without a query, a fragment, a backslash or a dot segment.

use crate::admit::has_dot_segment;
use model::policy::RewriteSpec;
use regex::bytes::{NoExpand, Regex};
use std::borrow::Cow;

/// Longest path that may come out, in bytes.
const MAX_PATH: usize = 16 << 10;

/// Compiled.
#[derive(Debug)]
pub struct Rewrite(Box<[Change]>);

#[derive(Debug)]
enum Change {
    /// Without a slash at its end.
    Strip(Box<str>),
    /// Likewise.
    Add(Box<str>),
    Replace {
        pattern: Regex,
        with: Box<str>,
        /// `with` names groups.
        expands: bool,
    },
}

/// A path after all changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Itself.
    pub path: Vec<u8>,
    /// What was removed before it, for `X-Forwarded-Prefix`; empty: nothing.
    pub prefix: Vec<u8>,
}

impl Rewrite {
    /// None where nothing is changed. The manifest refuses patterns that are none.
    pub fn new(specs: &[RewriteSpec]) -> Option<Self> {
        let change = |spec: &RewriteSpec| match spec {
            RewriteSpec::StripPrefix(prefix) => Some(Change::Strip(prefix.trim_end_matches('/').into())),
            RewriteSpec::AddPrefix(prefix) => Some(Change::Add(prefix.trim_end_matches('/').into())),
            RewriteSpec::Replace { pattern, with } => Regex::new(pattern)
                .inspect_err(|error| tracing::warn!(pattern, %error, "not a pattern"))
                .ok()
                .map(|pattern| {
                    let (with, expands) = (with.as_str().into(), with.contains('$'));
                    Change::Replace { pattern, with, expands }
                }),
        };
        (!specs.is_empty()).then(|| Self(specs.iter().filter_map(change).collect()))
    }

    /// The path to go on with; none where that is no path.
    pub fn apply(&self, path: &[u8]) -> Option<Rewritten> {
        let mut made = Rewritten { path: path.to_vec(), prefix: Vec::new() };
        for change in &self.0 {
            change.apply(&mut made);
            if !is_path(&made.path) {
                return None;
            }
        }
        Some(made)
    }
}

impl Change {
    fn apply(&self, made: &mut Rewritten) {
        match self {
            Self::Strip(prefix) => {
                let rest = made.path.strip_prefix(prefix.as_bytes());
                if let Some(rest) = rest.filter(|rest| matches!(rest, [] | [b'/', ..])) {
                    made.path = if rest.is_empty() { b"/".to_vec() } else { rest.to_vec() };
                    made.prefix.extend_from_slice(prefix.as_bytes());
                }
            }
            Self::Add(prefix) => made.path = [prefix.as_bytes(), &made.path].concat(),
            Self::Replace { pattern, with, expands } => {
                let replaced = if *expands {
                    pattern.replace(&made.path, with.as_bytes())
                } else {
                    pattern.replace(&made.path, NoExpand(with.as_bytes()))
                };
                if let Cow::Owned(replaced) = replaced {
                    made.path = replaced;
                }
            }
        }
    }
}

fn is_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && path.len() <= MAX_PATH
        && path.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\'))
        && !has_dot_segment(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(specs: &[RewriteSpec], path: &str) -> Option<(String, String)> {
        let made = Rewrite::new(specs).unwrap().apply(path.as_bytes())?;
        Some((String::from_utf8(made.path).unwrap(), String::from_utf8(made.prefix).unwrap()))
    }

    fn replace(pattern: &str, with: &str, path: &str) -> Option<String> {
        let spec = RewriteSpec::Replace { pattern: pattern.into(), with: with.into() };
        rewritten(&[spec], path).map(|(path, _)| path)
    }

    #[test]
    fn a_prefix_goes_by_whole_segments() {
        let strip = [RewriteSpec::StripPrefix("/api/".into())];
        for (path, expected, prefix) in [
            ("/api/health", "/health", "/api"),
            ("/api", "/", "/api"),
            ("/api/", "/", "/api"),
            ("/apix/y", "/apix/y", ""),
            ("/x/api", "/x/api", ""),
        ] {
            assert_eq!(rewritten(&strip, path), Some((expected.into(), prefix.into())), "{path}");
        }
        let both = [RewriteSpec::StripPrefix("/a".into()), RewriteSpec::AddPrefix("/b".into())];
        assert_eq!(rewritten(&both, "/a/x"), Some(("/b/x".into(), "/a".into())));
    }

    #[test]
    fn a_pattern_replaces_with_its_groups() {
        assert_eq!(replace("^/u/([^/]+)$", "/user/$1/home", "/u/eve").unwrap(), "/user/eve/home");
        assert_eq!(replace("^/(?<a>x)/", "/${a}y/", "/x/z").unwrap(), "/xy/z");
        assert_eq!(replace("^/old$", "/new", "/other").unwrap(), "/other");
    }

    #[test]
    fn what_comes_out_is_a_path_or_nothing() {
        assert_eq!(replace("^/a(.*)$", "$1", "/a../b"), None, "no slash before it");
        assert_eq!(replace("x", "", "/a/.x./b"), None, "a dot segment");
        assert_eq!(replace("x", "?q=1", "/x"), None, "a query");
        assert_eq!(replace("x", "\r\nX: 1", "/x"), None, "a line of its own");
    }
}
