//! Path → route: the first in order that matches.
//!
//! Up to [`LINEAR`] routes are looked at one after the other. With more, exact paths and prefixes are found by hash: the
//! candidates are the path itself and each of its ancestors, and the one with the lowest place in the order wins, so that
//! the answer is the same.

use std::collections::HashMap;

/// Up to so many routes a linear search is the quickest.
const LINEAR: usize = 16;

/// The ordered routes of one site, by path only; places are those of `wire::snapshot::Site::routes`.
#[derive(Debug)]
pub struct Router {
    patterns: Vec<Pattern>,
    index: Option<Index>,
}

#[derive(Debug)]
enum Pattern {
    Exact(Box<str>),
    /// Without the `/*`: empty for all paths.
    Prefix(Box<str>),
}

#[derive(Debug, Default)]
struct Index {
    exact: HashMap<Box<[u8]>, usize>,
    prefix: HashMap<Box<[u8]>, usize>,
}

impl Pattern {
    fn new(path: &str) -> Self {
        match path.strip_suffix("/*") {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(path.into()),
        }
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == path,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_bytes())
                .is_some_and(|rest| prefix.is_empty() || rest.first().is_none_or(|&byte| byte == b'/')),
        }
    }
}

impl Router {
    /// From patterns as `wire::snapshot::Route::path` has them.
    pub fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let patterns: Vec<Pattern> = paths.map(Pattern::new).collect();
        let index = (patterns.len() > LINEAR).then(|| {
            let mut index = Index::default();
            for (place, pattern) in patterns.iter().enumerate() {
                let (map, key) = match pattern {
                    Pattern::Exact(key) => (&mut index.exact, key),
                    Pattern::Prefix(key) => (&mut index.prefix, key),
                };
                map.entry(key.as_bytes().into()).or_insert(place);
            }
            index
        });
        Self { patterns, index }
    }

    /// The place of the first route that matches `path` (without its query).
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        match &self.index {
            None => self.patterns.iter().position(|pattern| pattern.matches(path)),
            Some(index) => index.find(path),
        }
    }
}

impl Index {
    fn find(&self, path: &[u8]) -> Option<usize> {
        let ancestors = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
        // "" (all paths) is an ancestor even of `*`.
        let ancestors = ancestors.chain([0, path.len()]).filter_map(|end| self.prefix.get(path.get(..end)?));
        ancestors.chain(self.exact.get(path)).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_matches_answers() {
        let router = Router::new(["/api/health", "/api/*", "/*"].into_iter());
        assert_eq!(router.find(b"/api/health"), Some(0));
        assert_eq!(router.find(b"/api/health/x"), Some(1));
        assert_eq!(router.find(b"/api"), Some(1));
        assert_eq!(router.find(b"/api/"), Some(1));
        assert_eq!(router.find(b"/apix"), Some(2));
        assert_eq!(router.find(b"/"), Some(2));
        assert_eq!(router.find(b"*"), Some(2));
        assert_eq!(Router::new(["/a"].into_iter()).find(b"/b"), None);
    }

    #[test]
    fn the_order_counts_not_the_length() {
        let router = Router::new(["/*", "/api/*"].into_iter());
        assert_eq!(router.find(b"/api/x"), Some(0));
    }

    #[test]
    fn many_routes_answer_like_few() {
        let mut paths: Vec<String> = (0..40).map(|n| format!("/p{}/*", n % 25)).collect();
        paths.extend((0..10).map(|n| format!("/p{n}/x")));
        paths.insert(20, "/p3".to_owned());
        paths.insert(45, "/*".to_owned());
        let router = Router::new(paths.iter().map(String::as_str));
        assert!(router.index.is_some());
        for path in ["/p3", "/p3/", "/p3/x", "/p24/x/y", "/", "*", "/p99", "/p2x", "//p3", "/p1/x"] {
            let linear = router.patterns.iter().position(|pattern| pattern.matches(path.as_bytes()));
            assert_eq!(router.find(path.as_bytes()), linear, "{path}");
        }
    }
}
