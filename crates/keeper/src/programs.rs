//! The programs that a home was run by: `home/bin` holds a copy of each, so that what somebody does with his file changes
//! nothing that runs, and so that there is a way back. `programs.json` says which of them runs, which ran before it, and how
//! far an upgrade is.
//!
//! A keeper that is started from a program which was replaced by an upgrade (`systemd` goes on naming `/usr/bin/mainstay`)
//! stands aside for the one that replaced it ([`stand_in`]); one that nobody knows yet (a newer package) runs itself.

use crate::error::KeeperError;
use crate::home::Home;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a keeper and its successor speak with each other ([`crate::trial`]).
pub const HAND_OVER: u32 = 1;
/// The kernel's own link to the program that runs here, whatever became of its file.
const SELF: &str = "/proc/self/exe";

/// A file, by what does not change unless somebody writes another one: not even over a restart of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    /// Of the file at this path.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self { inode: meta.ino(), size: meta.size(), modified: (meta.mtime(), meta.mtime_nsec()) })
    }
}

/// A program in `home/bin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The copy.
    pub path: PathBuf,
    /// Of the package.
    pub version: String,
    /// [`store::SCHEMA`] of it.
    pub schema: u32,
    /// The file it was copied from.
    pub origin: Option<Identity>,
}

/// How far an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The new program has to prove itself.
    Trial,
    /// It has. The keeper is it; the edge becomes it.
    Committed,
    /// All of it.
    Done,
    /// It has not: what was there before runs.
    Failed,
}

/// An upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names it.
    pub id: String,
    /// What runs before it.
    pub from: Program,
    /// What is to run.
    pub to: Program,
    /// Milliseconds that it has to prove itself.
    pub within_ms: u64,
    /// Milliseconds that connections of the former edge have to end.
    pub drain_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// Stacks that could not be loaded before it.
    pub broken: Vec<String>,
    /// Copy of the state store from before it.
    pub copy: PathBuf,
    /// How far it is.
    pub stage: Stage,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// What the last upgrade made run; none before the first one.
    pub current: Option<Program>,
    /// What ran before it.
    pub previous: Option<Program>,
    /// Files that stand aside for `current`.
    pub replaced: Vec<Identity>,
    /// The last upgrade.
    pub attempt: Option<Attempt>,
}

impl Programs {
    /// What is known in this home.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(home: &Home) -> Result<Self, KeeperError> {
        let path = home.programs();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| KeeperError::at(format!("cannot read {}", path.display()))(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(KeeperError::at(format!("cannot read {}", path.display()))(error)),
        }
    }

    /// Writes it down, durably.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn save(&self, home: &Home) -> Result<(), KeeperError> {
        let path = home.programs();
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        let saved = folder(home).and_then(|()| sys::durable::write(&path, &bytes, 0o600));
        saved.map_err(KeeperError::at(format!("cannot write {}", path.display())))
    }

    /// The upgrade under way.
    pub fn under_way(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| matches!(attempt.stage, Stage::Trial | Stage::Committed))
    }

    /// The new program has proven itself.
    pub(crate) fn commit(&mut self) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.stage = Stage::Committed;
        self.replaced.extend(attempt.from.origin.clone());
        self.replaced.retain(|file| Some(file) != attempt.to.origin.as_ref());
        self.replaced.dedup();
        self.previous = Some(attempt.from.clone());
        self.current = Some(attempt.to.clone());
    }

    /// It has not.
    pub(crate) fn fail(&mut self, reason: impl Into<String>) {
        if let Some(attempt) = &mut self.attempt {
            (attempt.stage, attempt.reason) = (Stage::Failed, Some(reason.into()));
        }
    }

    /// Removes copies that nobody goes back to.
    pub(crate) fn sweep(&self, home: &Home) {
        let kept = [&self.current, &self.previous].map(|program| program.as_ref().map(|it| it.path.clone()));
        for entry in std::fs::read_dir(home.bin()).into_iter().flatten().flatten() {
            let ours = entry.file_name().to_string_lossy().starts_with("mainstay-");
            if ours && !kept.contains(&Some(entry.path())) {
                let _ = std::fs::remove_file(entry.path()); // the next upgrade tries again
            }
        }
    }
}

/// Copies a program into the home. What is there already is not written again.
///
/// # Errors
/// When it cannot be read or written.
pub fn keep(home: &Home, file: &Path, version: &str, schema: u32) -> Result<Program, KeeperError> {
    let bytes = std::fs::read(file).map_err(KeeperError::at(format!("cannot read {}", file.display())))?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '+' | '-');
    let version: String = version.chars().filter(|letter| plain(*letter)).take(40).collect();
    let path = home.bin().join(format!("mainstay-{version}-{:016x}", model::id::fnv1a(&bytes)));
    let there = std::fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
    if !there {
        let kept = folder(home).and_then(|()| sys::durable::write(&path, &bytes, 0o755));
        kept.map_err(KeeperError::at(format!("cannot write {}", path.display())))?;
    }
    Ok(Program { path, version, schema, origin: Identity::of(file).ok() })
}

/// This program itself, copied into the home.
///
/// # Errors
/// Those of [`keep`].
pub(crate) fn keep_own(home: &Home) -> Result<Program, KeeperError> {
    keep(home, Path::new(SELF), env!("CARGO_PKG_VERSION"), store::SCHEMA)
}

/// Schema of the state that is there.
///
/// # Errors
/// When it cannot be read.
pub fn schema(home: &Home) -> Result<u32, KeeperError> {
    Ok(store::migrate::schema_of(&home.database())?)
}

/// Who is to run in the place of this program: it was replaced by an upgrade. `own`: its path.
pub fn stand_in(home: &Home, own: &Path) -> Option<PathBuf> {
    if own.starts_with(home.bin()) {
        return None;
    }
    let programs = Programs::load(home).ok()?;
    let current = programs.current?.path;
    let replaced = Identity::of(Path::new(SELF)).is_ok_and(|file| programs.replaced.contains(&file));
    (replaced && is_kept(home, &current)).then_some(current)
}

/// Whether a program is one of this home's, and nobody else's doing.
pub(crate) fn is_kept(home: &Home, program: &Path) -> bool {
    let own = |path: &Path, mask: u32| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|meta| meta.uid() == sys::user::uid() && meta.mode() & mask == 0)
    };
    program.parent() == Some(&*home.bin())
        && own(&home.bin(), 0o022)
        && own(program, 0o022)
        && program.is_file()
}

/// How this program is started again: by its path, unless another file lies there by now.
pub(crate) fn own(path: &Path) -> PathBuf {
    let same = Identity::of(path).ok() == Identity::of(Path::new(SELF)).ok();
    if same { path.to_owned() } else { PathBuf::from(SELF) }
}

/// The edge, whoever it runs as, has to execute what is in it.
fn folder(home: &Home) -> io::Result<()> {
    sys::folder::make(&home.bin(), 0o711, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn copies_are_kept_apart_from_their_files_and_swept() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let file = dir.path().join("program");
        std::fs::copy("/bin/true", &file).unwrap();
        let one = keep(&home, &file, "1.0.0/../x", 2).unwrap();
        assert!(one.path.starts_with(home.bin()) && one.version == "1.0.0..x", "{one:?}");
        assert_eq!(std::fs::metadata(&one.path).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(is_kept(&home, &one.path) && !is_kept(&home, &file));
        std::fs::copy("/bin/false", &file).unwrap();
        let other = keep(&home, &file, "2.0.0", 3).unwrap();
        assert_ne!(one.path, other.path);
        let attempt = Attempt {
            id: "1".into(),
            from: one.clone(),
            to: other.clone(),
            within_ms: 1,
            drain_ms: 1,
            began_ms: 1,
            broken: Vec::new(),
            copy: PathBuf::new(),
            stage: Stage::Trial,
            reason: None,
        };
        let mut programs = Programs { attempt: Some(attempt), ..Programs::default() };
        assert!(programs.under_way().is_some());
        programs.commit();
        programs.save(&home).unwrap();
        let programs = Programs::load(&home).unwrap();
        assert_eq!((programs.current.as_ref(), programs.previous.as_ref()), (Some(&other), Some(&one)));
        assert_eq!(programs.replaced, [one.origin.clone().unwrap()]);
        let third = keep(&home, Path::new("/bin/sh"), "3", 3).unwrap();
        programs.sweep(&home);
        assert!(one.path.exists() && other.path.exists() && !third.path.exists());
    }
}
