//! Types of files that may be asked for, by the extension of the path's last segment.
//!
//! The path is read as an application might read it: percent-encoding resolved, parameters (`;`) and a slash at the end left out. What has
//! no extension passes.

use crate::error_page::Refusal;
use percent_encoding::percent_decode;
use std::collections::HashSet;
use wire::failure::Cause;

/// Compiled.
#[derive(Debug)]
pub struct FileTypes(HashSet<Vec<u8>>);

impl FileTypes {
    /// None where all are.
    pub fn new(extensions: &[String]) -> Option<Self> {
        let lower = |extension: &String| extension.to_ascii_lowercase().into_bytes();
        (!extensions.is_empty()).then(|| Self(extensions.iter().map(lower).collect()))
    }

    /// Lets a path pass or not.
    pub fn check(&self, path: &[u8]) -> Result<(), Refusal> {
        let decoded: Vec<u8> = percent_decode(path).collect();
        let mut segments = decoded.split(|&byte| byte == b'/').rev();
        let last = segments.find(|segment| !segment.is_empty()).unwrap_or_default();
        let name = last.split(|&byte| byte == b';').next().unwrap_or_default();
        let extension = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
        let none = extension.len() == name.len();
        // A control character ends the name for some, and not for others.
        let plain = !decoded.iter().any(u8::is_ascii_control);
        if plain && (none || self.0.contains(&extension.to_ascii_lowercase())) {
            return Ok(());
        }
        Err(Refusal::new(403, Cause::Access, "a type of file that the route does not give"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_extensions_pass_however_they_are_written() {
        let types = FileTypes::new(&["html".into(), "png".into()]).unwrap();
        for path in ["/", "/a/b", "/a.b/c", "/x.html", "/X.PNG", "/a%2Epng", "/v1.png/"] {
            assert!(types.check(path.as_bytes()).is_ok(), "{path}");
        }
        for path in
            ["/x.php", "/x%2ephp", "/x.ph%70", "/x.php;a=.png", "/x.php/", "/x.php%00.png", "/.env", "/x."]
        {
            assert!(types.check(path.as_bytes()).is_err(), "{path}");
        }
        assert!(FileTypes::new(&[]).is_none());
    }
}
