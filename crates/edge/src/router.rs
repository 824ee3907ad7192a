//! Path → route: the first in order that matches.
//!
//! Up to [`LINEAR`] routes are looked at one after the other. With more, exact paths and prefixes are found by hash: the
//! candidates are the path itself and each of its ancestors, and the one with the lowest place in the order wins, so that
//! the answer is the same.
//!
//! A path has more than one reading: applications decode it, join its double slashes, leave out parameters (`;`), each in its own
//! way, and files are found by another one still. So it is looked up as it is written and, where that is another one, with all
//! of this done ([`resolved`]): if the two lead to different routes, it leads to none. Else `/%61dmin` or `//admin` would
//! go around what the route of `/admin` asks for. Capitals are others than small letters, here as in most applications.

use crate::when::Reading;
use std::borrow::Cow;
use std::collections::HashMap;

/// Up to so many routes a linear search is the quickest.
const LINEAR: usize = 16;

/// The ordered routes of one site, by path only; places are those of `wire::snapshot::Site::routes`.
#[derive(Debug)]
pub struct Router {
    written: Patterns,
    /// For resolved paths, where they are others than `written`.
    resolved: Option<Patterns>,
}

#[derive(Debug)]
struct Patterns {
    patterns: Vec<Pattern>,
    index: Option<Index>,
}

#[derive(Debug)]
enum Pattern {
    Exact(Box<[u8]>),
    /// Without the `/*`: empty for all paths.
    Prefix(Box<[u8]>),
}

#[derive(Debug, Default)]
struct Index {
    exact: HashMap<Box<[u8]>, usize>,
    prefix: HashMap<Box<[u8]>, usize>,
}

impl Pattern {
    fn new(path: &str, form: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        match path.strip_suffix("/*") {
            Some("") => Self::Prefix(Box::default()),
            Some(prefix) => Self::Prefix(form(prefix.as_bytes()).into()),
            None => Self::Exact(form(path.as_bytes()).into()),
        }
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) if prefix.is_empty() => true,
            Self::Prefix(prefix) => {
                path.strip_prefix(&**prefix).is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b'/'))
            }
        }
    }
}

impl Router {
    /// From patterns as `wire::snapshot::Route::path` has them.
    pub fn new<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Self {
        let other = paths.clone().any(|path| needs_resolving(path.as_bytes()) || !path.is_ascii());
        let resolve = |path: &[u8]| resolved(path).into_owned();
        Self {
            resolved: other.then(|| Patterns::new(paths.clone(), resolve)),
            written: Patterns::new(paths, written),
        }
    }

    /// The place of the first route that matches `path` (without its query). None also where the path can be read as another
    /// route's.
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        let place = self.written.find(path);
        if !needs_resolving(path) {
            return place;
        }
        let meant = self.resolved.as_ref().unwrap_or(&self.written).find(&resolved(path));
        place.filter(|_| meant == place)
    }

    /// The same of routes with conditions: only a place of which `holds` is true, asked in order with the path in either reading.
    pub fn find_where(&self, path: &[u8], holds: impl Fn(usize, &[u8], Reading) -> bool) -> Option<usize> {
        let place = self.written.first(path, |place| holds(place, path, Reading::Written));
        if !needs_resolving(path) {
            return place;
        }
        let path = resolved(path);
        let patterns = self.resolved.as_ref().unwrap_or(&self.written);
        let meant = patterns.first(&path, |place| holds(place, &path, Reading::Resolved));
        place.filter(|_| meant == place)
    }
}

impl Patterns {
    fn new<'a>(paths: impl Iterator<Item = &'a str>, form: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let patterns: Vec<Pattern> = paths.map(|path| Pattern::new(path, &form)).collect();
        let index = (patterns.len() > LINEAR).then(|| {
            let mut index = Index::default();
            for (place, pattern) in patterns.iter().enumerate() {
                let (map, key) = match pattern {
                    Pattern::Exact(key) => (&mut index.exact, key),
                    Pattern::Prefix(key) => (&mut index.prefix, key),
                };
                map.entry(key.clone()).or_insert(place);
            }
            index
        });
        Self { patterns, index }
    }

    /// In order, without the index: conditions decide beside the path.
    fn first(&self, path: &[u8], holds: impl Fn(usize) -> bool) -> Option<usize> {
        let mut places = self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.matches(path));
        places.find(|(place, _)| holds(*place)).map(|(place, _)| place)
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
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

/// As clients write a path: letters beyond ASCII are percent-encoded.
pub fn written(path: &[u8]) -> Vec<u8> {
    percent_encoding::percent_encode(path, &percent_encoding::AsciiSet::EMPTY).to_string().into_bytes()
}

/// A path that could be read in more than one way.
fn needs_resolving(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().any(|&byte| {
        let found = matches!(byte, b'%' | b';') || byte == b'/' && before == b'/';
        before = byte;
        found
    })
}

/// A path with everything done that an application may do: decoded, encoded slashes and backslashes among it, without
/// parameters and empty segments. (Dot segments were refused before.)
pub fn resolved(path: &[u8]) -> Cow<'_, [u8]> {
    if !needs_resolving(path) {
        return Cow::Borrowed(path);
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(path).collect();
    let mut out = Vec::with_capacity(decoded.len());
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        if !name.is_empty() {
            out.push(b'/');
            out.extend_from_slice(name);
        }
    }
    if out.is_empty() || matches!(decoded.last(), Some(b'/' | b'\\')) {
        out.push(b'/');
    }
    Cow::Owned(out)
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
        assert!(router.written.index.is_some());
        for path in ["/p3", "/p3/", "/p3/x", "/p24/x/y", "/", "*", "/p99", "/p2x", "/p1/x"] {
            let linear = router.written.patterns.iter().position(|pattern| pattern.matches(path.as_bytes()));
            assert_eq!(router.find(path.as_bytes()), linear, "{path}");
        }
    }

    /// `/%61dmin/x` and `//admin/x` came to the route of all paths, and were answered as `/admin/x` is, unasked for a password.
    #[test]
    fn another_spelling_does_not_lead_around_a_route() {
        let few = ["/admin/*", "/open", "/*"];
        let many: Vec<String> = (0..40).map(|n| format!("/p{n}")).collect();
        let many = few.into_iter().take(2).chain(many.iter().map(String::as_str)).chain(["/*"]);
        for router in [Router::new(few.into_iter()), Router::new(many)] {
            for path in [
                "/%61dmin/x",
                "/admi%6E",
                "//admin/x",
                "/admin%2fx",
                "/admin%5Cx",
                "/admin;a=b/x",
                "/;a/admin/x",
                "/admin;",
                "/%2fadmin",
                "/%6fpen",
                "/open;",
                "//open",
                "///admin//x",
            ] {
                assert_eq!(router.find(path.as_bytes()), None, "{path}");
            }
            for path in ["/admin//x", "/admin/%20;y", "/admin/", "/admin"] {
                assert_eq!(router.find(path.as_bytes()), Some(0), "{path}");
            }
            let others =
                ["/a%20b", "//x", "/x;v=1", "/a%2Fadmin", "/%", "/%zz", "/open/", "/Admin/x", "/x/%61dmin"];
            for path in others {
                assert!(router.find(path.as_bytes()).is_some_and(|place| place > 1), "{path}");
            }
        }
    }

    #[test]
    fn a_pattern_matches_as_clients_write_it() {
        let router = Router::new(["/grün/*", "/a%20b/*", "/v;1", "/*"].into_iter());
        for (path, place) in [("/gr%C3%BCn/x", 0), ("/a%20b/x", 1), ("/v;1", 2), ("/x%20", 3)] {
            assert_eq!(router.find(path.as_bytes()), Some(place), "{path}");
        }
        assert_eq!(router.find(b"/a%20%62/x"), None);
    }
}
