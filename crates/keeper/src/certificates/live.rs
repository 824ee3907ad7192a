//! A pair in a folder as other programs know it: `NAME/fullchain.pem` and `NAME/privkey.pem` (0600). `NAME` is a link to a folder that never
//! changes, replaced by one rename: nobody ever reads the key of one pair and the certificate of another. Where `NAME` is a folder
//! that somebody else made, its two files are replaced one after the other.

use std::io;
use std::path::{Path, PathBuf};

pub(super) const CHAIN: &str = "fullchain.pem";
pub(super) const KEY: &str = "privkey.pem";

/// Puts it there; folders that are made get this mode. One that is there already is somebody else's, too: it keeps its own.
pub(super) fn put(folder: &Path, name: &str, (chain, key): (&str, &str), mode: u32) -> io::Result<()> {
    if !folder.is_dir() {
        sys::folder::make(folder, mode, None)?;
    }
    let link = folder.join(name);
    if link.is_dir() && !link.is_symlink() {
        return write(&link, chain, key);
    }
    let new = folder.join(format!(".{name}-{}", crate::keeper::epoch_ms()));
    sys::folder::make(&new, mode, None)?;
    let former = own(folder, name);
    let linked = write(&new, chain, key).and_then(|()| {
        let beside = folder.join(format!(".{name}-new"));
        absent(std::fs::remove_file(&beside))?;
        std::os::unix::fs::symlink(new.file_name().unwrap_or_default(), &beside)?;
        std::fs::rename(&beside, &link)
    });
    match linked {
        Ok(()) => former.into_iter().for_each(|former| forget(&former)),
        Err(_) => forget(&new),
    }
    linked
}

/// Takes away what [`put`] put there.
pub(super) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    let link = folder.join(name);
    let target = own(folder, name);
    std::fs::remove_file(&link)?;
    target.into_iter().for_each(|target| forget(&target));
    Ok(())
}

/// The folder that `NAME` leads to, where [`put`] made it. A link that somebody else made leads to files that are not ours to remove.
fn own(folder: &Path, name: &str) -> Option<PathBuf> {
    let target = std::fs::read_link(folder.join(name)).ok()?;
    let is_own = |target: &str| !target.contains('/') && target.starts_with(&format!(".{name}-"));
    target.to_str().is_some_and(is_own).then(|| folder.join(target))
}

/// Whether the same pair is there already.
pub(super) fn has(folder: &Path, name: &str, (chain, key): (&str, &str)) -> bool {
    let is = |file: &str, text: &str| {
        std::fs::read(folder.join(name).join(file)).is_ok_and(|there| there == text.as_bytes())
    };
    is(CHAIN, chain) && is(KEY, key)
}

/// The folders of all that were put there.
pub(super) fn all(folder: &Path) -> Vec<PathBuf> {
    let Ok(read) = std::fs::read_dir(folder) else { return Vec::new() };
    let links = read.filter_map(|entry| Some(entry.ok()?.path()));
    let mut links: Vec<PathBuf> =
        links.filter(|path| path.is_symlink() && path.join(CHAIN).exists()).collect();
    links.sort();
    links
}

fn write(folder: &Path, chain: &str, key: &str) -> io::Result<()> {
    sys::durable::write(&folder.join(KEY), key.as_bytes(), 0o600)?;
    sys::durable::write(&folder.join(CHAIN), chain.as_bytes(), 0o644)
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// A folder that no link leads to. What stays is no harm: its key is closed.
fn forget(folder: &Path) {
    [CHAIN, KEY].iter().for_each(|file| drop(std::fs::remove_file(folder.join(file))));
    drop(std::fs::remove_dir(folder));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pair_is_replaced_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        put(&live, "a.test", ("one", "key one"), 0o755).unwrap();
        assert!(has(&live, "a.test", ("one", "key one")));
        let key = live.join("a.test/privkey.pem").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(key, 0o600);
        std::thread::sleep(std::time::Duration::from_millis(2));
        put(&live, "a.test", ("two", "key two"), 0o755).unwrap();
        assert!(has(&live, "a.test", ("two", "key two")) && !has(&live, "a.test", ("one", "key two")));
        assert_eq!(std::fs::read_dir(&live).unwrap().count(), 2, "the link and what it leads to");
        remove(&live, "a.test").unwrap();
        assert_eq!(std::fs::read_dir(&live).unwrap().count(), 0);
        std::fs::create_dir(live.join("b.test")).unwrap();
        put(&live, "b.test", ("two", "key two"), 0o755).unwrap();
        assert!(has(&live, "b.test", ("two", "key two")) && !live.join("b.test").is_symlink());
    }

    #[test]
    fn a_link_of_somebody_elses_was_followed_and_his_key_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (live, others) = (folder.path().join("live"), folder.path().join("others"));
        std::fs::create_dir_all(&live).unwrap();
        std::fs::create_dir_all(&others).unwrap();
        write(&others, "theirs", "their key").unwrap();
        for act in ["put", "remove"] {
            drop(std::fs::remove_file(live.join("a.test")));
            std::os::unix::fs::symlink(&others, live.join("a.test")).unwrap();
            match act {
                "put" => put(&live, "a.test", ("one", "key one"), 0o755).unwrap(),
                _ => remove(&live, "a.test").unwrap(),
            }
            assert!(has(folder.path(), "others", ("theirs", "their key")), "{act}");
        }
        assert!(!live.join("a.test").is_symlink());
    }

    #[test]
    fn a_folder_that_was_closed_to_others_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        std::fs::create_dir(&live).unwrap();
        std::fs::set_permissions(&live, PermissionsExt::from_mode(0o700)).unwrap();
        put(&live, "a.test", ("one", "key one"), 0o755).unwrap();
        assert_eq!(live.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
