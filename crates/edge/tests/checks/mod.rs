//! What must hold for any bytes; shared with the fuzz target of the same name.

/// Whatever the path: what comes out names something below a root, in one spelling.
pub fn file_path(path: &[u8]) {
    let Some(name) = edge::decode_file_path(path) else { return };
    let folders = name.strip_suffix('/').unwrap_or(&name);
    assert!(name.is_empty() || !folders.is_empty(), "only a slash: {path:?}");
    for segment in folders.split('/').filter(|_| !folders.is_empty()) {
        assert!(!matches!(segment, "" | "." | ".."), "{name:?} of {path:?}");
    }
    assert!(
        !name.contains('\\') && !name.chars().any(|letter| letter.is_ascii_control()),
        "{name:?} of {path:?}"
    );
    let again = name.replace('%', "%25");
    assert_eq!(
        edge::decode_file_path(format!("/{again}").as_bytes()).as_deref(),
        Some(&*name),
        "spelled twice: {path:?}"
    );
}
