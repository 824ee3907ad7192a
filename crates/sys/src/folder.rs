//! Folders with an owner and a mode, and files in folders that somebody else may write into. Root writes among what belongs to
//! others: nothing here follows a symbolic link that stands where the folder or the file itself is expected.

use rustix::fs::{Gid, Mode, OFlags, Uid};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes the folder, and its parents with the same mode, unless it is there; then gives it to `owner` (user, group) and sets
/// the mode. Parents that are there already are left as they are.
///
/// # Errors
/// When the system refuses, or a file or a link of that name is in the way.
pub fn make(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    // By descriptor: a link that took the folder's place meanwhile would give somebody else's folder away.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))?;
    if let Some((uid, gid)) = owner {
        rustix::fs::fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

/// Whether this is a folder (no link to one) that belongs to this process's user and that nobody else can write into.
///
/// # Errors
/// `PermissionDenied` when it is not, with the reason for people; or when the system refuses.
pub fn check_own(path: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(path)?;
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !meta.is_dir() {
        return refused("it is no folder of its own but a link or a file".to_owned());
    }
    if meta.uid() != crate::user::uid() {
        return refused(format!(
            "it belongs to another user (uid {}), who could change what is kept there",
            meta.uid()
        ));
    }
    if meta.mode() & 0o022 != 0 {
        return refused("others can write into it".to_owned());
    }
    Ok(())
}

/// Opens a file for appending, made with this mode if it is missing. Never another than the one of that name: a link, a pipe
/// or a file with a second name is refused.
///
/// # Errors
/// When the system refuses, or something else is in the way.
pub fn append_to(path: &Path, mode: u32) -> io::Result<File> {
    // Not blocking: the opening of a pipe that nobody reads would hang. It means nothing to a regular file.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().append(true).create(true).mode(mode).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no plain file of one name"));
    }
    Ok(file)
}

/// What a plain file holds, symbolic links followed. Never waits: what stands at the path may be a pipe that nobody writes into, or a
/// device.
///
/// # Errors
/// When the system refuses; `InvalidInput` for what is no plain file, `FileTooLarge` for more than `most` bytes.
pub fn read_plain(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is larger than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_link_in_a_folders_place_gives_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        make(&victim, 0o750, None).unwrap();
        symlink(&victim, &link).unwrap();
        assert!(make(&link, 0o777, None).is_err());
        assert_eq!(mode(&victim), 0o750);
        assert!(check_own(&link).is_err());
        check_own(&victim).unwrap();
    }

    #[test]
    fn a_folder_that_others_write_into_is_not_our_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o770)).unwrap();
        assert_eq!(check_own(dir.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn reading_never_waits_for_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let (file, pipe, link) = (dir.path().join("file"), dir.path().join("pipe"), dir.path().join("link"));
        drop(append_to(&file, 0o600).unwrap());
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(10).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        symlink(&pipe, &link).unwrap();
        assert_eq!(read_plain(&file, 10).unwrap(), [0; 10]);
        assert_eq!(read_plain(&file, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for other in [&pipe, &link, Path::new("/dev/zero"), dir.path()] {
            assert_eq!(read_plain(other, 10).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{other:?}");
        }
    }

    #[test]
    fn a_log_is_not_written_through_a_link_or_a_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(append_to(&at("log"), 0o640).unwrap());
        assert_eq!(mode(&at("log")) & 0o137, 0);
        symlink(at("elsewhere"), at("link")).unwrap();
        assert!(append_to(&at("link"), 0o640).is_err());
        assert!(!at("elsewhere").exists());
        std::fs::hard_link(at("log"), at("second")).unwrap();
        assert!(append_to(&at("second"), 0o640).is_err());
    }
}
