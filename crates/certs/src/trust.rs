//! Whether this host trusts a root, and how that is brought about. Browsers that keep lists of their own cannot be looked at.

use std::path::Path;

/// Lists of trusted roots that programs of this host read: Debian's and its kin's, Fedora's and its kin's, SUSE's.
const LISTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Whether a list of this host's trusted roots has this one.
pub fn is_trusted(root: &str) -> bool {
    LISTS.iter().any(|list| is_in(Path::new(list), root))
}

fn is_in(list: &Path, root: &str) -> bool {
    // Lines may be of another length there: only the characters between the marks count.
    let plain = |text: &str| -> String { text.chars().filter(|it| !it.is_whitespace()).collect() };
    let root = plain(root);
    !root.is_empty() && std::fs::read_to_string(list).is_ok_and(|list| plain(&list).contains(&root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_whatever_the_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        sys::durable::write(&list, b"# one\r\n-----BEGIN X-----\r\nABCD\r\nEF\r\n-----END X-----\r\n", 0o644)
            .unwrap();
        assert!(is_in(&list, "-----BEGIN X-----\nABC\nDEF\n-----END X-----\n"));
        assert!(!is_in(&list, "-----BEGIN X-----\nABCE\n-----END X-----\n") && !is_in(&list, ""));
    }
}
