//! Patterns of paths that a change of a head is for. As a route's path: exact, or with `/*` at the end for all below (and the
//! folder itself); with `*`, `?`, `[…]`, `{…}` elsewhere a glob, whose `*` stays within a segment and whose `**` does not.
//! They see the path as it came, without decoding: so does the router.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The patterns of one change.
#[derive(Debug)]
pub struct Paths {
    exact: Box<[Box<[u8]>]>,
    /// Without their `/*`.
    below: Box<[Box<[u8]>]>,
    globs: GlobSet,
}

impl Paths {
    /// Compiled. What is no pattern (the manifest refuses it) matches nothing.
    pub fn new(patterns: &[String]) -> Self {
        let (mut exact, mut below, mut globs) = (Vec::new(), Vec::new(), GlobSetBuilder::new());
        let is_plain = |text: &str| !text.contains(['*', '?', '[', '{']);
        for pattern in patterns {
            let folder = pattern.strip_suffix("/*");
            match folder {
                Some(folder) if is_plain(folder) => below.push(folder.as_bytes().into()),
                None if is_plain(pattern) => exact.push(pattern.as_bytes().into()),
                _ => {
                    let glob = folder.map_or_else(|| pattern.clone(), |folder| format!("{folder}/**"));
                    match GlobBuilder::new(&glob).literal_separator(true).build() {
                        Ok(glob) => drop(globs.add(glob)),
                        Err(error) => tracing::warn!(pattern, %error, "not a pattern of paths"),
                    }
                }
            }
        }
        let globs = globs.build().inspect_err(|error| tracing::warn!(%error, "patterns of paths"));
        Self { exact: exact.into(), below: below.into(), globs: globs.unwrap_or_default() }
    }

    /// Whether a pattern matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        let is_below = |folder: &[u8]| {
            path.strip_prefix(folder).is_some_and(|rest| folder.is_empty() || matches!(rest, [] | [b'/', ..]))
        };
        self.below.iter().any(|folder| is_below(folder))
            || self.exact.iter().any(|exact| **exact == *path)
            || !self.globs.is_empty()
                && self.globs.is_match_candidate(&Candidate::new(OsStr::from_bytes(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_as_a_routes_path_and_as_globs() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            ("/*", &["/", "/a/b"], &[]),
            ("/_next/static/*", &["/_next/static/a/b.js", "/_next/static"], &["/_next/statics", "/"]),
            ("/about", &["/about"], &["/about/", "/about/x"]),
            ("**/*.js", &["/a.js", "/a/b/c.js"], &["/a.css", "/a.js/x"]),
            ("/a/*.js", &["/a/b.js"], &["/a/b/c.js"]),
            ("**/*.{js,css}", &["/x.js", "/x/y.css"], &["/x.png"]),
            ("/u/*/files/*", &["/u/1/files/a/b"], &["/u/1/2/files/a"]),
        ];
        for (pattern, yes, no) in cases {
            let paths = Paths::new(&[pattern.to_owned()]);
            yes.iter().for_each(|path| assert!(paths.matches(path.as_bytes()), "{pattern} {path}"));
            no.iter().for_each(|path| assert!(!paths.matches(path.as_bytes()), "{pattern} {path}"));
        }
    }
}
