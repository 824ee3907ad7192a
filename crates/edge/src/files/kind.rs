//! What a file is, told by its name: media type, whether it is worth compressing, how long it may be kept.

use std::borrow::Cow;

/// Media type and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Value of `Content-Type`.
    pub value: Cow<'static, str>,
    /// Coding it makes it smaller.
    pub compressible: bool,
    class: Class,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Page,
    /// What a page is made of and must fit it: scripts, styles, data.
    Part,
    /// What stands for itself: pictures, fonts, sound, video.
    Media,
}

/// The only types of an inert folder: pictures that hold nothing to be executed (an SVG may hold scripts).
const INERT: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/// What everything else in an inert folder is.
const BYTES: &str = "application/octet-stream";

impl Kind {
    /// Of a file of this name.
    pub fn of(name: &str) -> Self {
        let guess = match mime_guess::from_path(name).first_raw() {
            // Outdated since RFC 9239.
            Some("application/javascript") => "text/javascript",
            guess => guess.unwrap_or(BYTES),
        };
        let (top, sub) = guess.split_once('/').unwrap_or((guess, ""));
        let textual = top == "text"
            || sub.ends_with("+json")
            || sub.ends_with("+xml")
            || matches!(sub, "json" | "javascript" | "xml" | "x-ndjson");
        let class = match (top, sub) {
            ("text", "html") | ("application", "xhtml+xml") => Class::Page,
            ("image" | "font" | "audio" | "video", _) => Class::Media,
            _ => Class::Part,
        };
        let packed = matches!(sub, "wasm" | "vnd.ms-fontobject" | "ttf" | "otf" | "bmp" | "x-icon");
        let value =
            if textual { Cow::Owned(format!("{guess}; charset=utf-8")) } else { Cow::Borrowed(guess) };
        Self { value, compressible: textual || packed, class }
    }

    /// Likewise, in a folder whose files are sent as what they are and nothing more; false: to be saved, not shown.
    pub fn inert(name: &str) -> (Self, bool) {
        let kind = Self::of(name);
        let shown = INERT.contains(&&*kind.value);
        let value = if shown { kind.value } else { BYTES.into() };
        (Self { value, compressible: false, class: kind.class }, shown)
    }

    /// `Cache-Control` where no rule of the site's says another.
    ///
    /// A name with a hash of its content never means anything else: a year. Pages, and scripts, styles and data that have to
    /// fit them, are asked after at each use (a 304 mostly), so that a deploy is seen at once and no old script meets a new
    /// page. Pictures and the like may be an hour old.
    pub fn cache_control(&self, path: &str) -> &'static str {
        if self.class != Class::Page && is_versioned(path) {
            return "public, max-age=31536000, immutable";
        }
        match self.class {
            Class::Page | Class::Part => "no-cache",
            Class::Media => "public, max-age=3600",
        }
    }
}

/// Folders that bundlers write into.
const BUILT: &[&str] =
    &["assets", "static", "_next", "_astro", "_app", "_nuxt", "chunks", "immutable", "build", "dist"];
/// Extensions that bundlers write, beside pictures.
const BUNDLED: &[&str] = &["js", "mjs", "cjs", "css", "wasm", "woff", "woff2", "map"];

/// Whether the name holds a hash of the content.
///
/// Eight or more hexadecimal digits as a part of their own (`app.3f9a1c2b.js`, `main-8d3f1a2b0c.css`), not all of them decimal
/// (a date is no hash). Vite's and Rollup's eight letters and digits in both cases (`index-BxYz12ab.js`) could be words as
/// well: so they count only for what bundlers write, or in folders they write into.
fn is_versioned(path: &str) -> bool {
    if path.starts_with("_next/static/") || path.contains("/_next/static/") {
        return true;
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let stem = if extension == "map" { stem.rsplit_once('.').map_or(stem, |(stem, _)| stem) } else { stem };
    let hex = |part: &str| {
        (8..=64).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            && part.bytes().any(|byte| byte.is_ascii_digit())
            && !part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if stem.split(['.', '-', '_']).skip(1).any(hex) || hex(stem) {
        return true;
    }
    let built = folder.split('/').any(|folder| BUILT.contains(&folder));
    if !built && !BUNDLED.contains(&extension) {
        return false;
    }
    // The hash itself may hold `-` and `_`: it is the last eight characters behind a separator.
    let Some(at) = stem.len().checked_sub(9) else { return false };
    let (Some(separator), Some(hash)) = (stem.as_bytes().get(at), stem.as_bytes().get(at + 1..)) else {
        return false;
    };
    let upper_inside = hash.iter().skip(1).any(u8::is_ascii_uppercase);
    let mixed = hash.iter().any(u8::is_ascii_digit) || (built && hash.iter().any(u8::is_ascii_lowercase));
    matches!(separator, b'.' | b'-' | b'_')
        && hash.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && upper_inside
        && mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_browsers_want_them() {
        for (name, value, compressible) in [
            ("index.html", "text/html; charset=utf-8", true),
            ("a.css", "text/css; charset=utf-8", true),
            ("a.js", "text/javascript; charset=utf-8", true),
            ("a.mjs", "text/javascript; charset=utf-8", true),
            ("a.json", "application/json; charset=utf-8", true),
            ("a.svg", "image/svg+xml; charset=utf-8", true),
            ("a.wasm", "application/wasm", true),
            ("a.webmanifest", "application/manifest+json; charset=utf-8", true),
            ("a.png", "image/png", false),
            ("a.JPG", "image/jpeg", false),
            ("a.gif", "image/gif", false),
            ("a.woff2", "font/woff2", false),
            ("a.avif", "image/avif", false),
            ("a.unknown-thing", "application/octet-stream", false),
            ("LICENSE", "application/octet-stream", false),
        ] {
            let kind = Kind::of(name);
            assert_eq!((&*kind.value, kind.compressible), (value, compressible), "{name}");
        }
    }

    #[test]
    fn nothing_in_an_inert_folder_can_be_executed() {
        assert_eq!(Kind::inert("a.png").0.value, "image/png");
        for name in ["a.svg", "a.html", "a.js", "a.xml", "a.css", "a.pdf", "a.xhtml", "a"] {
            let (kind, shown) = Kind::inert(name);
            assert_eq!((&*kind.value, shown), ("application/octet-stream", false), "{name}");
        }
    }

    #[test]
    fn a_year_for_hashes_and_for_nothing_else() {
        for path in [
            "app.3f9a1c2b.js",
            "static/js/main.8d3f1a2b.chunk.js",
            "main-8d3f1a2b0c.css",
            "assets/index-BxYz12ab.js",
            "index-BxYz12ab.js",
            "assets/index-BxYzqWer.css",
            "assets/logo-DaB_c1-f.svg",
            "_next/static/chunks/main.js",
            "x/_next/static/css/a.css",
            "3f9a1c2b4d5e6f70.png",
            "app.3f9a1c2b.js.map",
        ] {
            assert!(Kind::of(path).cache_control(path).contains("31536000"), "{path}");
        }
        for path in [
            "app.js",
            "styles.css",
            "index.html",
            "page.3f9a1c2b.html",
            "report-20261121.pdf",
            "photo-iPhone15.jpg",
            "jquery-3.7.1.min.js",
            "assets/logo.svg",
            "assets/some-interval.js",
            "facade.js",
            "index-MacBookPro.png",
            "deadbeef.js",
        ] {
            let value = Kind::of(path).cache_control(path);
            assert!(!value.contains("31536000"), "{path}: {value}");
        }
        assert_eq!(Kind::of("index.html").cache_control("index.html"), "no-cache");
        assert_eq!(Kind::of("a.png").cache_control("a.png"), "public, max-age=3600");
    }
}
