//! Files below a folder ([`model::site::StaticSpec`]).
//!
//! ```text
//!  head ─▶ path ─▶ cache ──hit──▶ choose coding ─▶ conditions, ranges ─▶ head ─▶ send
//!  (FileRequest)     │  ▲                 └─ not prepared: wait a little (compress)
//!                    └─▶ deny ─▶ lookup (blocking thread): file, page, index, listing; else fallback, 404 page
//! ```
//! - [`path`] decodes, [`deny`] refuses what no browser was meant to get, [`lookup`] finds and opens, [`kind`] knows types
//! - [`asset`] is a file as it is kept, [`cache`] keeps it, [`compress`] prepares its coded forms
//! - [`condition`] reads what the client knows already and what part it wants, [`head`] says it, [`send`] sends
//! - [`redirect`], [`listing`]: answers that are no files
//!
//! A hit of a small file is answered without touching the file system: one write of head and body. What is kept is looked at
//! again at most half a second after it was looked at last, by one request, on a blocking thread. Only what the rules let pass is
//! ever in the cache, under its decoded path: so a hit needs no further judgement.

mod asset;
mod cache;
mod compress;
mod condition;
mod deny;
mod head;
mod kind;
mod listing;
mod lookup;
mod path;
mod redirect;
mod reply;
mod send;

pub use path::decode;
pub use reply::run;

use crate::coding::Weights;
use crate::error_page::wants_json;
use asset::Asset;
use cache::Cache;
use compress::Compressor;
use condition::Conditions;
use deny::Rules;
use globset::GlobSet;
use http1::{FieldId, Method, RequestHead};
use model::site::StaticSpec;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// Largest body kept in memory; larger ones are sent from their open file.
pub const INLINE: u64 = 16 << 10;

/// Descriptors that files may hold, for the bound on connections.
pub const DESCRIPTORS: usize = cache::DESCRIPTORS;

/// A folder that is served.
#[derive(Debug)]
pub struct Root {
    /// Never that of another: assets belong to it.
    id: u64,
    spec: StaticSpec,
    rules: Rules,
    cache: GlobSet,
}

impl Root {
    /// Compiled.
    pub fn new(spec: &StaticSpec) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Checked with the manifest; without its rules a folder's files have the defaults.
        let cache = deny::set(spec.cache.iter().map(|rule| rule.pattern.clone())).unwrap_or_else(|error| {
            tracing::error!(%error, root = %spec.root.display(), "a cache rule's pattern cannot be read: none holds");
            GlobSet::empty()
        });
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), spec: spec.clone(), rules: Rules::new(spec), cache }
    }

    /// `Cache-Control` by the site's own rules, the first that matches.
    fn cache_rule(&self, name: &str) -> Option<&str> {
        let first = self.cache.matches(name).into_iter().min()?;
        self.spec.cache.get(first).map(|rule| rule.value.as_str())
    }
}

/// What all workers share of files.
#[derive(Debug)]
pub struct Files {
    cache: Arc<Cache>,
    compressor: Compressor,
}

impl Files {
    /// Nothing kept yet.
    ///
    /// # Errors
    /// Where the thread that compresses cannot be had.
    pub fn start() -> io::Result<Self> {
        let cache = Arc::new(Cache::new(cache::MEMORY, DESCRIPTORS));
        Ok(Self { compressor: Compressor::start(Arc::downgrade(&cache))?, cache })
    }
}

/// Where a request's file is looked for.
#[derive(Debug)]
enum Name {
    /// It was found in the cache, fresh.
    Hit(Arc<Asset>),
    /// Below the root.
    Path(Box<str>),
    /// Nowhere.
    Refused,
}

/// What a request for a file needs of its head.
#[derive(Debug)]
pub struct FileRequest {
    root: Arc<Root>,
    name: Name,
    method: Method,
    weights: Weights,
    conditions: Option<Box<Conditions>>,
    navigation: bool,
    json: bool,
    has_body: bool,
}

impl FileRequest {
    /// Takes it from the head. `path`: as the route's policies have changed it.
    pub fn new(
        files: &Files,
        root: &Arc<Root>,
        path: &[u8],
        buf: &[u8],
        head: &RequestHead,
        now: Instant,
    ) -> Self {
        let decoded = decode(path);
        let name = match decoded {
            None => Name::Refused,
            Some(name) => match files.cache.get(root.id, &name).filter(|asset| asset.is_fresh(millis(now))) {
                Some(asset) => Name::Hit(asset),
                None => Name::Path(name.into()),
            },
        };
        let accept = head.value(FieldId::Accept, buf).unwrap_or_default();
        Self {
            root: Arc::clone(root),
            method: head.method,
            weights: Weights::of_head(buf, head),
            conditions: Conditions::of(buf, head),
            navigation: is_navigation(path, head.value(FieldId::SecFetchMode, buf), accept),
            json: wants_json(accept),
            has_body: !head.body.is_empty(),
            name,
        }
    }
}

/// Whether this is a person on the way to a page, not a page on the way to its parts: browsers say so (`Sec-Fetch-Mode`), other clients
/// must take HTML; a name with an extension is a file's.
fn is_navigation(path: &[u8], mode: Option<&[u8]>, accept: &[u8]) -> bool {
    let html = |accept: &[u8]| {
        let ranges = accept
            .split(|&byte| byte == b',')
            .map(|range| range.split(|&byte| byte == b';').next().unwrap_or_default());
        accept.is_empty()
            || ranges.map(<[u8]>::trim_ascii).any(|range| {
                range.eq_ignore_ascii_case(b"text/html")
                    || range == b"*/*"
                    || range.eq_ignore_ascii_case(b"text/*")
            })
    };
    let page = mode.map_or_else(|| html(accept), |mode| mode.eq_ignore_ascii_case(b"navigate"));
    page && !has_extension(path)
}

/// `.js`, `.woff2`, but not `.` alone or the number of a version (`/v1.2`).
fn has_extension(path: &[u8]) -> bool {
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut parts = last.rsplitn(2, |&byte| byte == b'.');
    match (parts.next(), parts.next()) {
        (Some(extension), Some(_)) => {
            (1..=16).contains(&extension.len())
                && extension.iter().all(u8::is_ascii_alphanumeric)
                && extension.iter().any(u8::is_ascii_alphabetic)
        }
        _ => false,
    }
}

/// Milliseconds on a clock that only assets use.
fn millis(now: Instant) -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = now.saturating_duration_since(*ORIGIN);
    since.as_secs() * 1000 + u64::from(since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn navigations_and_what_is_none() {
        let browser = b"text/html,application/xhtml+xml,*/*;q=0.8";
        for path in ["/", "/users/7", "/v1.2", "/a.b/c", "/john."] {
            assert!(is_navigation(path.as_bytes(), Some(b"navigate"), browser), "{path}");
            assert!(is_navigation(path.as_bytes(), None, b"*/*"), "{path}");
        }
        for path in ["/app.js", "/a/logo.svg", "/font.woff2", "/.env", "/john.doe"] {
            assert!(!is_navigation(path.as_bytes(), Some(b"navigate"), browser), "{path}");
        }
        assert!(
            !is_navigation(b"/users", Some(b"cors"), b"*/*")
                && !is_navigation(b"/users", None, b"application/json")
        );
        assert!(is_navigation(b"/users", None, b"") && is_navigation(b"/users", None, browser));
    }
}
