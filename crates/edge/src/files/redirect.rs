//! Where a path leads whose right spelling is another.
//!
//! The address is made from the path as the client sent it, so that a prefix that the route took off stays in it. It always begins with
//! exactly one slash: `//host` would be another server.

use super::lookup::Spelling;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What does not stand for itself in a path (RFC 3986 section 3.3), nor within quotes in HTML.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A name as it stands in a path.
pub fn encode(name: &str) -> String {
    utf8_percent_encode(name, NOT_IN_PATHS).to_string()
}

/// The address for `target` (path and query as they were sent), whose path was understood as `name` below the root.
pub fn location(target: &[u8], name: &str, spelling: Spelling) -> String {
    let target = String::from_utf8_lossy(target);
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let new = respell(path, name, spelling)
        .unwrap_or_else(|| respell(&encode(name), name, spelling).unwrap_or_default());
    format!("/{}{query}", new.trim_start_matches('/'))
}

/// `None`: the path spells what is to be taken off in another way than the name does.
fn respell(path: &str, name: &str, spelling: Spelling) -> Option<String> {
    match spelling {
        Spelling::WithSlash => Some(format!("{path}/")),
        Spelling::WithoutSlash => Some(path.trim_end_matches('/').to_owned()),
        Spelling::Shorter(by) => {
            let tail = name.get(name.len().checked_sub(by)?..)?;
            path.strip_suffix(tail).map(str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_spelling_on_the_same_server() {
        for (target, name, spelling, expected) in [
            ("/docs", "docs", Spelling::WithSlash, "/docs/"),
            ("/docs?a=/b", "docs", Spelling::WithSlash, "/docs/?a=/b"),
            ("/prefix/docs", "docs", Spelling::WithSlash, "/prefix/docs/"),
            ("//evil.test", "evil.test", Spelling::WithSlash, "/evil.test/"),
            ("/a%20b", "a b", Spelling::WithSlash, "/a%20b/"),
            ("/about//", "about/", Spelling::WithoutSlash, "/about"),
            ("/about.html?x", "about.html", Spelling::Shorter(5), "/about?x"),
            ("/a%20b.h%74ml", "a b.html", Spelling::Shorter(5), "/a%20b"),
            ("/docs/index.html", "docs/index.html", Spelling::Shorter(10), "/docs/"),
            ("/docs/index.html", "docs/index.html", Spelling::Shorter(11), "/docs"),
            ("//index.html", "index.html", Spelling::Shorter(10), "/"),
        ] {
            assert_eq!(location(target.as_bytes(), name, spelling), expected, "{target}");
        }
    }
}
