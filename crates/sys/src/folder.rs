//! Folders with an owner and a mode, and files in folders that somebody else may write into. Root writes among what belongs to
//! others: nothing here follows a symbolic link that stands where the folder or the file itself is expected.

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path};

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

/// Makes a folder below `root`, and what is missing above it, and gives both to `owner` (user, group) with mode 0755. `path` itself is
/// given to him too where it was there and belonged to somebody else; what is in it stays as it is. Step by step from `root` on: no
/// component below it may be a link.
///
/// # Errors
/// `InvalidInput` where `path` is not below `root`; or when the system refuses, or a link or a file is in the way.
pub fn make_below(root: &Path, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let outside =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("it is not below {}", root.display()));
    let inside = path.strip_prefix(root).map_err(|_| outside())?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(root, flags, Mode::empty())?;
    let mut names = inside.components().peekable();
    names.peek().ok_or_else(outside)?;
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(outside()) };
        let made = match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        folder = rustix::fs::openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        let (is_last, uid) = (names.peek().is_none(), rustix::fs::fstat(&folder)?.st_uid);
        if made || is_last && owner.is_some_and(|owner| owner.0 != uid) {
            if let Some((uid, gid)) = owner {
                rustix::fs::fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            }
            // The mask of this process may have taken bits away.
            rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?;
        }
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

/// Whether nobody but root and this process's user can put something else in the place of `path`, by what lies above it; and whether
/// `user` (user, group) can get there. `path` itself need not exist; what is missing above it is not looked at.
///
/// # Errors
/// `PermissionDenied` with the reason for people; or when the system refuses.
pub fn check_way(path: &Path, user: Option<(u32, u32)>) -> io::Result<()> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    for above in path.ancestors().skip(1) {
        let meta = match std::fs::metadata(above) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let link = std::fs::symlink_metadata(above)?;
        if link.uid() != 0 && link.uid() != crate::user::uid() {
            return refused(format!("{} is a link of another user's (uid {})", above.display(), link.uid()));
        }
        let (mode, above) = (meta.mode(), above.display());
        if meta.uid() != 0 && meta.uid() != crate::user::uid() {
            return refused(format!("{above} belongs to another user (uid {})", meta.uid()));
        }
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return refused(format!("others can write into {above}"));
        }
        let passes = |(uid, gid)| {
            let bit = if uid == meta.uid() {
                0o100
            } else if gid == meta.gid() {
                0o010
            } else {
                0o001
            };
            mode & bit != 0
        };
        if !user.is_none_or(passes) {
            return refused(format!("the user of the edge cannot pass through {above}"));
        }
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

/// The same of a log that several processes write little into: one of more than `most` bytes becomes `path.1` first, and takes the former
/// one's place. Who has it open writes on there.
///
/// # Errors
/// Those of [`append_to`].
pub fn append_to_log(path: &Path, mode: u32, most: u64) -> io::Result<File> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.len() > most) {
        let mut older = path.as_os_str().to_owned();
        older.push(".1");
        std::fs::rename(path, older)?;
    }
    append_to(path, mode)
}

/// Opens a plain file for reading, symbolic links followed. Never waits, as [`read_plain`].
///
/// # Errors
/// When the system refuses; `InvalidInput` for what is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no plain file"));
    }
    Ok(file)
}

/// What a plain file holds, symbolic links followed. Never waits: what stands at the path may be a pipe that nobody writes into, or a
/// device.
///
/// # Errors
/// When the system refuses; `InvalidInput` for what is no plain file, `FileTooLarge` for more than `most` bytes.
pub fn read_plain(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_plain(path)?;
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
    fn a_folder_below_another_is_made_without_following_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("stack/kept")).unwrap();
        std::fs::set_permissions(at("stack/kept"), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::create_dir(at("victim")).unwrap();
        symlink(at("victim"), at("stack/link")).unwrap();
        let own = Some((crate::user::uid(), crate::user::gid()));
        for (name, wanted) in [("a/b", 0o755), ("kept", 0o700)] {
            make_below(&at("stack"), &at("stack").join(name), own).unwrap();
            assert_eq!(mode(&at("stack").join(name)), wanted, "{name}");
        }
        if crate::user::is_root() {
            make_below(&at("stack"), &at("stack/kept/new"), Some((65_534, 65_534))).unwrap();
            let owner = |name: &str| std::fs::metadata(at(name)).unwrap().uid();
            assert_eq!((owner("stack/kept"), owner("stack/kept/new")), (0, 65_534));
            make_below(&at("stack"), &at("stack/kept"), Some((65_534, 65_534))).unwrap();
            assert_eq!((owner("stack/kept"), mode(&at("stack/kept"))), (65_534, 0o755));
        }
        for name in ["stack/link", "stack/link/in", "stack", "victim", "stack/../victim"] {
            assert!(make_below(&at("stack"), &at(name), own).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_dir(at("victim")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_write_into_is_not_our_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o770)).unwrap();
        assert_eq!(check_own(dir.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_way_to_a_folder_is_nobody_elses_and_open_to_whom_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shared/missing/logs");
        check_way(&path, None).unwrap();
        std::fs::create_dir(dir.path().join("shared")).unwrap();
        let set = |mode| {
            std::fs::set_permissions(dir.path().join("shared"), PermissionsExt::from_mode(mode)).unwrap()
        };
        set(0o777);
        assert!(check_way(&path, None).is_err());
        set(0o1777);
        check_way(&path, None).unwrap();
        if crate::user::is_root() {
            let link = dir.path().join("link");
            symlink(dir.path().join("shared"), &link).unwrap();
            check_way(&link.join("logs"), None).unwrap();
            std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
            assert!(
                check_way(&link.join("logs"), None).unwrap_err().to_string().contains("a link of another")
            );
        }
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(check_way(&path, Some((65_533, 65_533))).unwrap_err().to_string().contains("cannot pass"));
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
        std::fs::OpenOptions::new().write(true).open(at("log")).unwrap().set_len(12).unwrap();
        drop(append_to_log(&at("log"), 0o640, 12).unwrap());
        assert!(!at("log.1").exists());
        drop(append_to_log(&at("log"), 0o640, 11).unwrap());
        assert_eq!((at("log").metadata().unwrap().len(), at("log.1").metadata().unwrap().len()), (0, 12));
        symlink(at("elsewhere"), at("link")).unwrap();
        assert!(append_to(&at("link"), 0o640).is_err());
        assert!(!at("elsewhere").exists());
        std::fs::hard_link(at("log"), at("second")).unwrap();
        assert!(append_to(&at("second"), 0o640).is_err());
    }
}
