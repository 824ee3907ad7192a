//! Where a server's programs are, and which version they are.

use crate::DataError;
use model::service::{SERVER_FOLDERS, ServiceKind};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest MariaDB that has all that is used: logging in by socket, programs of these names.
const OLDEST: Version = Version { major: 10, minor: 5, patch: 0 };

/// A server's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// `10.11.19`, and whatever stands behind it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { major: next()?, minor: next()?, patch: next()? })
    }

    /// Data of one series is read by all of its versions; between series tables of the server's own change.
    pub(crate) fn series(self) -> (u32, u32) {
        (self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The programs of one server.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) installer: PathBuf,
    pub(crate) client: PathBuf,
}

/// Finds them on this host, and asks for the server's version.
///
/// # Errors
/// When one is missing, or the server is another or too old.
pub(crate) fn find(kind: ServiceKind) -> Result<(Programs, Version), DataError> {
    if kind == ServiceKind::Mysql {
        return Err(DataError::UnknownKind { kind });
    }
    let find = |program: &'static str| program_named(program).ok_or(DataError::NoProgram { program, kind });
    let server = find("mariadbd")?;
    let version = version_of(&server)?;
    let (installer, client) = (find("mariadb-install-db")?, find("mariadb")?);
    Ok((Programs { server, installer, client }, version))
}

/// The program of that name, if this host has it.
pub(crate) fn program_named(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SERVER_FOLDERS.iter().map(PathBuf::from));
    let mut files = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

/// Asks the server.
pub(crate) fn version_of(server: &Path) -> Result<Version, DataError> {
    let output = command(server).args(["--no-defaults", "--version"]).output();
    let output =
        output.map_err(|error| DataError::Program { program: server.into(), said: error.to_string() })?;
    understand(&String::from_utf8_lossy(&output.stdout)).map_err(|found| DataError::WrongServer {
        path: server.into(),
        found,
        needed: "MariaDB 10.5 or newer",
    })
}

/// `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)`
fn understand(said: &str) -> Result<Version, String> {
    let version = said.split_once("Ver ").and_then(|(_, rest)| Version::parse(rest));
    match version {
        Some(version) if said.contains("MariaDB") && version >= OLDEST => Ok(version),
        Some(version) if said.contains("MariaDB") => Err(format!("MariaDB {version}")),
        Some(version) => Err(format!("another server, of version {version}")),
        None => Err("no server that tells its version".to_owned()),
    }
}

/// A program of the server's, with nothing in its environment that could change what it does.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/");
    let kept = ["PATH", "LANG", "TZ", "TERM"].into_iter();
    command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// The last line that says something, in what a program printed.
pub(crate) fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_what_it_says() {
        let said = "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)";
        let version = understand(said).unwrap();
        assert_eq!((version.series(), version.to_string()), ((10, 11), "10.11.19".to_owned()));
        let mysql = "/usr/sbin/mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)";
        assert_eq!(understand(mysql).unwrap_err(), "another server, of version 8.0.36");
        assert_eq!(understand("mysqld  Ver 10.3.39-MariaDB").unwrap_err(), "MariaDB 10.3.39");
        for nonsense in ["", "Ver ", "Ver 10.11", "Ver 99999999999.1.1"] {
            assert!(understand(nonsense).is_err(), "{nonsense}");
        }
    }
}
