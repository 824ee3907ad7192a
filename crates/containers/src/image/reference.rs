//! Names of images: `[registry/]name[:tag][@digest]`, as the engines read them (distribution reference grammar).

use super::ImageError;

/// Registry of names that name none.
const HUB: &str = "docker.io";

/// A name in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let wrong = |why| ImageError::Reference(text.to_owned(), why);
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| digest.split_once(':').is_none_or(|(_, hex)| hex.len() < 32)) {
            return Err(wrong("a digest is written `@sha256:` and 64 hexadecimal digits"));
        }
        // A colon before the last slash is that of a port.
        let last = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name.get(last..).and_then(|it| it.find(':')) {
            Some(at) => (name.get(..last + at).unwrap_or_default(), name.get(last + at + 1..)),
            None => (name, None),
        };
        let is_tag = |tag: &str| {
            let begins = tag.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_');
            begins
                && tag.len() <= 128
                && tag.chars().all(|it| it.is_ascii_alphanumeric() || "_.-".contains(it))
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag is made of letters, digits, `_`, `.` and `-`"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest.to_owned())
            }
            Some(_) => (HUB, name.to_owned()),
            None => (HUB, format!("library/{name}")),
        };
        let is_path = path.split('/').all(|part| {
            let letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
            part.starts_with(letter)
                && part.ends_with(letter)
                && part.chars().all(|it| letter(it) || "_.-".contains(it))
        });
        if !is_path {
            return Err(wrong(
                "the name of an image is made of small letters, digits, and `.`, `_`, `-` between them",
            ));
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let registry = if registry == "index.docker.io" { HUB } else { registry }.to_owned();
        Ok(Self { registry, path, tag: owned(tag), digest: owned(digest) })
    }

    /// Host, and port where it names one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Name without tag and digest, with its registry.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }

    /// Its tag.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// In full, for the engine: by digest where it has one.
    pub fn full(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.repository()),
            None => format!("{}:{}", self.repository(), self.tag()),
        }
    }

    /// Whether a digest of the engine's (`name@sha256:…`) is one of this repository.
    pub(super) fn is_same_repository(&self, digest: &str) -> bool {
        Self::parse(digest)
            .is_ok_and(|it| (it.registry, it.path) == (self.registry.clone(), self.path.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_engines_read_them() {
        let full = |text: &str| Reference::parse(text).unwrap().full();
        assert_eq!(full("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full("redis:7-alpine"), "docker.io/library/redis:7-alpine");
        assert_eq!(full("discourse/base:2.0.20241202-1135"), "docker.io/discourse/base:2.0.20241202-1135");
        assert_eq!(full("localhost/a/b:1"), "localhost/a/b:1");
        assert_eq!(full("127.0.0.1:5000/a"), "127.0.0.1:5000/a:latest");
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(full(&format!("ghcr.io/a/b:2@{digest}")), format!("ghcr.io/a/b@{digest}"));
    }

    #[test]
    fn what_is_no_name_is_said() {
        for text in ["", "Nginx", "a//b", "a:", "a:b c", "a@sha256:1", "-a", "a/"] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }
}
