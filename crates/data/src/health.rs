//! `mainstay service health FILE`: whether the server answers a statement as the application would get it answered. Runs as the
//! database's user, in a bounded time.

use crate::description::Description;
use crate::{DataError, client, folder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;

/// Longest time for an answer, in seconds.
const PATIENCE: i64 = 8;
/// Most that is read of what the client says, in bytes.
const SAID: u64 = 4096;
/// Less than this many free bytes are worth a word.
const LITTLE: u64 = 64 << 20;

/// Asks once.
///
/// # Errors
/// [`DataError::Unhealthy`], in a line for people; others when it could not even be asked.
pub fn health(description: &Path) -> Result<(), DataError> {
    let told = Description::read(description)?;
    let failed =
        |error: io::Error| DataError::Program { program: told.client.clone(), said: error.to_string() };
    let unhealthy = |reason| DataError::Unhealthy { reason };
    let mut asked = client::login(&told, false)
        .args(["--batch", "--skip-column-names", "--execute=SELECT 1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let ended = sys::process::pidfd(asked.id()).and_then(|process| {
        let wait = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
        Ok(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&wait))?)
    });
    if ended.map_err(failed)? == 0 {
        let _ = asked.kill();
        let _ = asked.wait();
        return Err(unhealthy(format!("the server has not answered for {PATIENCE} s")));
    }
    if asked.wait().map_err(failed)?.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    // It has ended: all that it said is there.
    asked.stderr.take().map(|from| from.take(SAID).read_to_end(&mut said)).transpose().map_err(failed)?;
    Err(unhealthy(explain(&told, &String::from_utf8_lossy(&said))))
}

/// What the client's error means here. Its numbers are those of the server's documentation, and do not change.
fn explain(told: &Description, said: &str) -> String {
    let error = said.lines().find(|line| line.starts_with("ERROR ")).unwrap_or(said).trim();
    let number = error.strip_prefix("ERROR ").and_then(|rest| rest.split([' ', ':']).next());
    let account = if told.login.is_some() { &told.user } else { &told.administrator };
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(1045 | 1698) => format!(
            "access denied for {account}: its password was changed in the server, or the account was not made"
        ),
        Some(4151) => format!(
            "the account {account} is locked: a statement of the start failed; the server's log says which, after ERROR"
        ),
        Some(1044 | 1049) => format!("{account} is let in, but its database is not there for it: {error}"),
        Some(1040 | 1203) => "too many connections".to_owned(),
        Some(2002 | 2003 | 2013) => unreachable(told),
        Some(2026) => format!("no encrypted connection: {error}"),
        _ => error.chars().take(200).collect(),
    }
}

/// Why nobody answers, as far as it can be seen from outside.
fn unreachable(told: &Description) -> String {
    let mut text = match folder::holder(&told.data()) {
        Ok(Some(_)) => {
            format!("still starting, or recovering after a crash: port {} does not answer yet", told.port)
        }
        _ => format!("cannot connect to port {}: no server has the data open", told.port),
    };
    if let Ok(free @ 0..LITTLE) = folder::free(&told.store) {
        text.push_str(&format!("; {} has only {free} bytes free", told.store.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_becomes_a_line_for_people() {
        let folder = tempfile::tempdir().unwrap();
        let told = Description {
            service: "db".into(),
            server: "/x".into(),
            installer: "/x".into(),
            client: "/x".into(),
            options: "/x".into(),
            store: folder.path().into(),
            socket: "/x".into(),
            port: 3306,
            login: Some("/x".into()),
            user: "shop".into(),
            administrator: "mysql".into(),
            owner: None,
        };
        let cases = [
            (
                "ERROR 1045 (28000): Access denied for user 'shop'@'localhost' (using password: YES)",
                "access denied for shop",
            ),
            ("ERROR 4151 (HY000): Access denied, this account is locked", "the account shop is locked"),
            ("ERROR 1040 (08004): Too many connections", "too many connections"),
            (
                "ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)",
                "cannot connect to port 3306",
            ),
            ("WARNING: x\nERROR 1049 (42000): Unknown database 'shop'", "its database is not there"),
            ("", ""),
        ];
        for (said, meant) in cases {
            let text = explain(&told, said);
            assert!(text.contains(meant) && !text.contains('\n'), "{said}: {text}");
        }
    }
}
