//! System calls that no crate here has.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// Sets and clears attributes of a mount, and with `deep` of all below it: mount_setattr(2), Linux 5.12. An empty path is `folder` itself.
pub(super) fn mount_setattr(
    folder: BorrowedFd<'_>,
    path: &Path,
    deep: bool,
    set: u64,
    clear: u64,
) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let flags = if deep { libc::AT_RECURSIVE } else { 0 } | libc::AT_EMPTY_PATH;
    // SAFETY: path and attributes live until the call returns and are only read by it; the size is that of the attributes.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Version of Landlock that the kernel has; none: it has none, or it is off.
pub(super) fn landlock_version() -> Option<u32> {
    const VERSION: libc::c_long = 1; // LANDLOCK_CREATE_RULESET_VERSION
    // SAFETY: with this flag the call reads nothing and makes nothing (landlock_create_ruleset(2)).
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}
