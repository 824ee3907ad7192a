//! The data folder: whose it is, which server wrote it, and how it is made. What is not this server's is never touched.
//!
//! ```text
//! missing or empty ── installer into `data.new` ─▶ marker ─▶ fsync ─▶ rename to `data`
//! anything else ── marker, owners, locks, space ─▶ as it is, or one clear error
//! ```
//! The marker, a file of ours in the folder, is written last: a folder without it is not ours, or was never finished.

use crate::DataError;
use crate::description::Description;
use crate::programs::{Version, command, last_line};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name of the marker.
const MARKER: &str = "mainstay.json";
/// Bytes that an empty database takes, with room to begin.
const ROOM_TO_INSTALL: u64 = 256 << 20;
/// Bytes without which no start is tried: temporary tables alone take 12 MiB.
const ROOM_TO_START: u64 = 32 << 20;
/// What one server locks as long as it lives.
const LOCKED: [&str; 2] = ["ibdata1", "aria_log_control"];
const ENGINE: &str = "mariadb";

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    engine: String,
    version: String,
}

/// What has to be done about the data before it is served.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    /// Nothing.
    Ready,
    /// It was written by an older series of the server.
    Old(Version),
}

/// Makes the folder if there is none, and checks it if there is.
///
/// # Errors
/// Whatever stands in the way; nothing was touched then.
pub(crate) fn prepare(told: &Description, server: Version) -> Result<Data, DataError> {
    let data = told.data();
    let temporary = told.temporary();
    sys::folder::make(&temporary, 0o700, None).map_err(DataError::file("make", temporary))?;
    if is_empty(&data)? {
        return install(told, server).map(|()| Data::Ready);
    }
    check_owner(&data)?;
    if let Some(pid) = holder(&data)? {
        return Err(DataError::Held { path: data, pid });
    }
    let found = check_marker(&data, server)?;
    check_room(&data, ROOM_TO_START)?;
    Ok(found)
}

/// Who has the data open.
pub(crate) fn holder(data: &Path) -> Result<Option<u32>, DataError> {
    for name in LOCKED {
        let file = data.join(name);
        if let Some(pid) = sys::lock::record_holder(&file).map_err(DataError::file("look at", file))? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Bytes that this process's user may still write there.
pub(crate) fn free(folder: &Path) -> Result<u64, DataError> {
    let found =
        rustix::fs::statvfs(folder).map_err(|error| DataError::file("look at", folder)(error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn is_empty(data: &Path) -> Result<bool, DataError> {
    match std::fs::read_dir(data) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        // Somebody else's folder that may not even be looked into.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => check_uid(data).map(|()| false),
        Err(error) => Err(DataError::file("read", data)(error)),
    }
}

/// The folder and what lies right in it: a backup that root has put back is found here.
fn check_owner(data: &Path) -> Result<(), DataError> {
    check_uid(data)?;
    let entries = std::fs::read_dir(data).map_err(DataError::file("read", data))?;
    entries.flatten().try_for_each(|entry| check_uid(&entry.path()))
}

fn check_uid(path: &Path) -> Result<(), DataError> {
    let meta = std::fs::symlink_metadata(path).map_err(DataError::file("look at", path))?;
    let runs_as = sys::user::uid();
    if meta.uid() == runs_as {
        return Ok(());
    }
    Err(DataError::WrongOwner { path: path.into(), owner: meta.uid(), runs_as })
}

fn check_marker(data: &Path, server: Version) -> Result<Data, DataError> {
    let foreign = || DataError::Foreign { path: data.into() };
    let text = match sys::folder::read_plain(&data.join(MARKER), 4096) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(foreign()),
        other => other.map_err(DataError::file("read", data.join(MARKER)))?,
    };
    let marker: Marker = serde_json::from_slice(&text).map_err(|_| foreign())?;
    let version = Version::parse(&marker.version).ok_or_else(foreign)?;
    if marker.engine != ENGINE || version.series() > server.series() {
        return Err(DataError::OtherData {
            path: data.into(),
            found: format!("{} {version}", marker.engine),
            server: format!("{ENGINE} {server}"),
        });
    }
    if version.series() < server.series() {
        return Ok(Data::Old(version));
    }
    if version != server {
        mark(data, server)?;
    }
    Ok(Data::Ready)
}

fn check_room(folder: &Path, needed: u64) -> Result<(), DataError> {
    let free = free(folder)?;
    if free < needed {
        return Err(DataError::Full { path: folder.into(), free, needed });
    }
    Ok(())
}

/// Says in the folder which server's it is.
pub(crate) fn mark(data: &Path, server: Version) -> Result<(), DataError> {
    let path = data.join(MARKER);
    let marker = Marker { engine: ENGINE.to_owned(), version: server.to_string() };
    let text = serde_json::to_vec(&marker).map_err(|error| DataError::file("write", &path)(error.into()))?;
    sys::durable::write(&path, &text, 0o600).map_err(DataError::file("write", path))
}

fn install(told: &Description, server: Version) -> Result<(), DataError> {
    let new = told.store.join("data.new");
    check_room(&told.store, ROOM_TO_INSTALL)?;
    let lock = told.store.join("install.lock");
    let held = sys::lock::FileLock::try_acquire(&lock).map_err(DataError::file("lock", &lock))?;
    let _held = held.ok_or_else(|| DataError::Held {
        path: told.data(),
        pid: sys::lock::holder(&lock).unwrap_or_default(),
    })?;
    clear(&new)?; // a start that was cut short
    let installed =
        run_installer(told, &new).and_then(|()| mark(&new, server)).and_then(|()| settle(told, &new));
    if installed.is_err() {
        let _ = clear(&new); // the next start clears it too
    }
    installed
}

fn clear(new: &Path) -> Result<(), DataError> {
    match std::fs::remove_dir_all(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataError::file("remove", new)(error)),
        _ => Ok(()),
    }
}

fn run_installer(told: &Description, new: &Path) -> Result<(), DataError> {
    let argument = |name: &str, value: &Path| {
        let mut text = std::ffi::OsString::from(name);
        text.push(value);
        text
    };
    let failed = |said| DataError::Program { program: told.installer.clone(), said };
    let output = command(&told.installer)
        .args(["--no-defaults", "--auth-root-authentication-method=socket", "--skip-test-db"])
        .args(["--skip-name-resolve", "--cross-bootstrap"])
        .arg(format!("--auth-root-socket-user={}", told.administrator))
        .arg(argument("--datadir=", new))
        .env("TMPDIR", told.temporary())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    if is_full(&String::from_utf8_lossy(&said)) {
        let free = free(&told.store)?;
        return Err(DataError::Full { path: told.store.clone(), free, needed: ROOM_TO_INSTALL });
    }
    Err(failed(first_error(&said)))
}

/// How servers say it: ENOSPC is 28.
fn is_full(said: &str) -> bool {
    ["No space left on device", "Errcode: 28", "error number 28", "disk full"]
        .iter()
        .any(|text| said.contains(text))
}

/// What went wrong first says more than what it ended with.
fn first_error(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let first = text.lines().find(|line| line.starts_with("ERROR") || line.contains("[ERROR]"));
    first.map_or_else(|| last_line(said), |line| line.chars().take(300).collect())
}

/// Everything on the disk, then under its name.
fn settle(told: &Description, new: &Path) -> Result<(), DataError> {
    let sync = |path: PathBuf| {
        let file = std::fs::File::open(&path).map_err(DataError::file("open", &path))?;
        rustix::fs::syncfs(file).map_err(|error| DataError::file("write", path)(error.into()))
    };
    sync(new.into())?;
    let data = told.data();
    std::fs::rename(new, &data).map_err(DataError::file("make", data))?;
    sync(told.store.clone())
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
