//! What is chosen once and kept: port and password of a service. Small files of the keeper's in the service's folder, 0600.

use crate::{DataError, Place};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

const PORT: &str = "port";
const PASSWORD: &str = "password";
/// Longest such file, in bytes.
const MOST: u64 = 4096;
/// Characters of a generated password.
const LENGTH: usize = 32;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The port: the one given, else the one kept, else `usual` if nobody has it, else any that is free. Somebody else may have taken the
/// kept one while the server did not run (`runs`): then it is chosen anew, as apps are told the new one.
pub(crate) fn port(place: &Place<'_>, given: Option<u16>, usual: u16, runs: bool) -> Result<u16, DataError> {
    let file = place.folder.join(PORT);
    let kept: Option<u16> = read(&file)?.and_then(|text| text.parse().ok());
    let port = match given.or(kept.filter(|port| runs || is_free(*port))) {
        Some(port) => port,
        None => free_port(usual, &ports_of_others(place.folder))
            .map_err(DataError::file("choose a port for", place.folder))?,
    };
    if kept != Some(port) && !place.dry {
        write(&file, &port.to_string())?;
    }
    Ok(port)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port(usual: u16, taken: &BTreeSet<u16>) -> std::io::Result<u16> {
    if !taken.contains(&usual) && is_free(usual) {
        return Ok(usual);
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Ports that other services of this home have kept, also those that do not run just now: beside `<stack>/<service>`.
fn ports_of_others(folder: &Path) -> BTreeSet<u16> {
    let entries =
        |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let stacks = folder.parent().and_then(Path::parent).into_iter().flat_map(entries);
    let services = stacks.flat_map(|stack| entries(&stack)).filter(|other| other != folder);
    services.filter_map(|other| read(&other.join(PORT)).ok()??.parse().ok()).collect()
}

/// The password: the one kept, else a new one.
pub(crate) fn password(place: &Place<'_>) -> Result<String, DataError> {
    let file = place.folder.join(PASSWORD);
    if let Some(kept) = read(&file)?.filter(|kept| !kept.is_empty()) {
        return Ok(kept);
    }
    let new = random_letters(LENGTH).map_err(DataError::file("read", "/dev/urandom"))?;
    if !place.dry {
        write(&file, &new)?;
    }
    Ok(new)
}

/// Letters and digits, each as likely as the others.
fn random_letters(count: usize) -> std::io::Result<String> {
    let mut random = File::open("/dev/urandom")?;
    let mut letters = String::with_capacity(count);
    while letters.len() < count {
        let mut bytes = [0; 64];
        random.read_exact(&mut bytes)?;
        // What lies beyond the last full round would make some letters likelier.
        let fair = bytes.iter().filter(|byte| usize::from(**byte) < 256 / LETTERS.len() * LETTERS.len());
        let chosen = fair.filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
        letters.extend(chosen.take(count - letters.len()).map(|letter| char::from(*letter)));
    }
    Ok(letters)
}

fn read(file: &Path) -> Result<Option<String>, DataError> {
    match sys::folder::read_plain(file, MOST) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::file("read", file)(error)),
    }
}

fn write(file: &Path, text: &str) -> Result<(), DataError> {
    sys::durable::write(file, format!("{text}\n").as_bytes(), 0o600).map_err(DataError::file("write", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path, dry: bool) -> Place<'_> {
        Place { folder, socket: Path::new("/run/s"), owner: None, tls: None, dry }
    }

    fn folder(home: &Path, name: &str) -> std::path::PathBuf {
        let folder = home.join("stack").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_port_is_chosen_once_and_never_one_of_a_neighbour() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (folder(home.path(), "one"), folder(home.path(), "two"));
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let usual = busy.local_addr().unwrap().port();
        let first = port(&place(&one, false), None, usual, false).unwrap();
        assert_ne!(first, usual, "somebody has that");
        drop(busy);
        assert_eq!(
            port(&place(&one, false), None, usual, false).unwrap(),
            first,
            "kept, although the usual one is free now"
        );
        // `one` does not run, and its port is free: it is taken all the same.
        let second = port(&place(&two, false), None, first, false).unwrap();
        assert_ne!(second, first);
        assert_eq!(port(&place(&one, false), Some(7777), usual, false).unwrap(), 7777);
        assert_eq!(port(&place(&one, false), None, usual, true).unwrap(), 7777);
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, second)).unwrap();
        assert_eq!(
            port(&place(&two, false), None, usual, true).unwrap(),
            second,
            "its own server listens there"
        );
        let moved = port(&place(&two, false), None, usual, false).unwrap();
        assert_ne!(moved, second, "a stranger does");
        drop(stranger);
        assert_eq!(port(&place(&two, false), None, second, false).unwrap(), moved);
    }

    #[test]
    fn a_password_is_made_once_and_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let one = folder(home.path(), "one");
        let made = password(&place(&one, true)).unwrap();
        assert!(std::fs::read_dir(&one).unwrap().next().is_none(), "a dry run writes nothing");
        let kept = password(&place(&one, false)).unwrap();
        assert_ne!(made, kept);
        assert_eq!(password(&place(&one, false)).unwrap(), kept);
        assert!(kept.len() == 32 && kept.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", kept.len());
        let mode = std::os::unix::fs::MetadataExt::mode(&one.join(PASSWORD).metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
