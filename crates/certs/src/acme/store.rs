//! What lies on the disk. Everything is written durably (temporary file, fsync, rename) and read with a bound; what cannot be read is
//! reported by file and cause and left as it is: nothing here repairs by removing.
//!
//! ```text
//! accounts/<authority>-<hash>.json   an account: URL and key (0600)
//! limits.json                        what authorities were asked for
//! certificates/<name>/fullchain.pem  the pair, privkey.pem and order.key 0600
//!                     privkey.pem
//!                     former-*.pem   the pair before, until the new one is served
//!                     order.key      key of the order under way
//!                     meta.json      [`Meta`]
//! broken/<number>-<name>/            what could not be read, and somebody wanted a new one all the same
//! ```
//! Two files cannot be replaced at once. The former pair is laid aside first, then the key is written, then the chain: wherever that is
//! interrupted, `fullchain.pem` fits either `privkey.pem` or `former-privkey.pem`.

use super::limits::{self, Limits};
use super::meta::Meta;
use crate::{CertError, Pair, files};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Larger files are none of ours.
const MOST: u64 = 1 << 20;
/// So many broken ones of one name are laid aside.
const BROKEN: u32 = 100;
const CHAIN: &str = "fullchain.pem";
const KEY: &str = "privkey.pem";
const FORMER_CHAIN: &str = "former-fullchain.pem";
const FORMER_KEY: &str = "former-privkey.pem";
const ORDER_KEY: &str = "order.key";
const META: &str = "meta.json";

/// All of it. Shared between tasks: each certificate has one task at a time, what they share is behind a lock.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Of authorities that say so to us, beside [`limits::published`].
    limits: Vec<(String, Limits)>,
    /// Held where a file that all of them share is read and written.
    pub(super) shared: Mutex<()>,
    /// Held while an account is made: tasks that begin together share it.
    pub(super) accounts: tokio::sync::Mutex<()>,
}

/// One certificate's folder.
#[derive(Debug)]
pub struct Entry {
    /// Of the folder: the first name, made safe.
    pub name: String,
    /// What there is, or which file cannot be read and why.
    pub held: Result<Held, CertError>,
}

/// What there is of a certificate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// The stored pair; none before the first one came.
    pub pair: Option<Pair>,
    /// What is known of it.
    pub meta: Meta,
}

impl Store {
    /// The store in this folder, which is made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, CertError> {
        for part in ["accounts", "certificates"] {
            let path = folder.join(part);
            sys::folder::make(&path, 0o700, None).map_err(|error| file(&path, error))?;
        }
        sys::folder::make(folder, 0o700, None).map_err(|error| file(folder, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            limits: Vec::new(),
            shared: Mutex::default(),
            accounts: tokio::sync::Mutex::default(),
        })
    }

    /// Holds orders at this authority to these limits, in place of those that are known of it.
    pub fn limited(mut self, directory: &str, limits: Limits) -> Self {
        self.limits.push((directory.to_owned(), limits));
        self
    }

    /// Those of an authority.
    pub(super) fn limits(&self, directory: &str) -> Option<Limits> {
        let own = self.limits.iter().find(|(of, _)| of == directory).map(|(_, limits)| *limits);
        own.or_else(|| limits::published(directory))
    }

    /// Every certificate there is, by name; one that cannot be read is among them.
    ///
    /// # Errors
    /// The folder of all cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, CertError> {
        let folder = self.folder.join("certificates");
        let read = || -> io::Result<Vec<String>> {
            let names = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name()));
            let names: Vec<_> = names.collect::<io::Result<_>>()?;
            Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
        };
        let mut names = read().map_err(|error| file(&folder, error))?;
        names.sort_unstable();
        Ok(names
            .into_iter()
            .map(|name| Entry { held: self.read(&folder.join(&name)).map(Option::unwrap_or_default), name })
            .collect())
    }

    /// What there is for these names: by the first one, whatever the stored pair is valid for.
    ///
    /// # Errors
    /// A file of it cannot be read or is broken; the text names it.
    pub fn look(&self, names: &[String]) -> Result<Option<Held>, CertError> {
        self.read(&self.entry(names))
    }

    /// Forgets a certificate that nobody wants any more, its order and its failures.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, names: &[String]) -> Result<(), CertError> {
        let entry = self.entry(names);
        self.remove_files(&entry, &[META, CHAIN, KEY, FORMER_CHAIN, FORMER_KEY, ORDER_KEY])?;
        match std::fs::remove_dir(&entry) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(&entry, error)),
            _ => Ok(()),
        }
    }

    /// The new pair is served: the one before is not needed any more. Where the new one was not written wholly the key of the one
    /// before is all that the chain fits: it stays.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn served(&self, names: &[String]) -> Result<(), CertError> {
        let entry = self.entry(names);
        if files::load(&entry.join(CHAIN), &entry.join(KEY)).is_err() {
            return Ok(());
        }
        self.remove_files(&entry, &[FORMER_CHAIN, FORMER_KEY])
    }

    /// Makes room for a new certificate where the one there is cannot be read: all of it goes to `broken/`, and nothing is removed. One
    /// that can be read stays.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn lay_aside(&self, names: &[String]) -> Result<(), CertError> {
        if self.look(names).is_ok() {
            return Ok(());
        }
        let (entry, broken) = (self.entry(names), self.folder.join("broken"));
        sys::folder::make(&broken, 0o700, None).map_err(|error| file(&broken, error))?;
        let places = (1..=BROKEN).map(|number| broken.join(format!("{number}-{}", folder_name(names))));
        let free = places.into_iter().find(|place| place.symlink_metadata().is_err());
        let full =
            || io::Error::new(io::ErrorKind::QuotaExceeded, "is full: look at what is there, and remove it");
        let free = free.ok_or_else(|| file(&broken, full()))?;
        std::fs::rename(&entry, &free).map_err(|error| file(&entry, error))
    }

    /// Where the pair of these names lies: `fullchain.pem` and `privkey.pem`.
    pub fn files(&self, names: &[String]) -> (PathBuf, PathBuf) {
        let entry = self.entry(names);
        (entry.join(CHAIN), entry.join(KEY))
    }

    /// Keeps what is known.
    pub(super) fn keep_meta(&self, names: &[String], meta: &Meta) -> Result<(), CertError> {
        let entry = self.made(names)?;
        let path = entry.join(META);
        let text = serde_json::to_vec_pretty(meta).map_err(|error| file(&path, error.into()))?;
        write(&path, &text, 0o600)
    }

    /// Keeps a new pair in place of the one there is, which is laid aside, and forgets the order it came from.
    pub(super) fn keep_pair(&self, names: &[String], pair: &Pair, meta: &Meta) -> Result<(), CertError> {
        let entry = self.made(names)?;
        // What was interrupted in the middle is no pair: what lies aside then still is.
        if files::load(&entry.join(CHAIN), &entry.join(KEY)).is_ok() {
            for (now, former) in [(KEY, FORMER_KEY), (CHAIN, FORMER_CHAIN)] {
                if let Some(old) = text(&entry.join(now))? {
                    write(&entry.join(former), old.as_bytes(), 0o600)?;
                }
            }
        }
        write(&entry.join(KEY), pair.key.as_bytes(), 0o600)?;
        write(&entry.join(CHAIN), pair.chain.as_bytes(), 0o644)?;
        self.keep_meta(names, meta)?;
        self.remove_files(&entry, &[ORDER_KEY])
    }

    /// Key of the order under way.
    pub(super) fn order_key(&self, names: &[String]) -> Result<Option<String>, CertError> {
        text(&self.entry(names).join(ORDER_KEY))
    }

    /// Keeps it; none: there is no order any more.
    pub(super) fn keep_order_key(&self, names: &[String], key: Option<&str>) -> Result<(), CertError> {
        let entry = self.made(names)?;
        match key {
            Some(key) => write(&entry.join(ORDER_KEY), key.as_bytes(), 0o600),
            None => self.remove_files(&entry, &[ORDER_KEY]),
        }
    }

    /// A file that belongs to no certificate: its text, if it is there.
    pub(super) fn other(&self, name: &str) -> Result<Option<String>, CertError> {
        text(&self.folder.join(name))
    }

    /// Keeps such a file.
    pub(super) fn keep_other(&self, name: &str, content: &str) -> Result<(), CertError> {
        write(&self.folder.join(name), content.as_bytes(), 0o600)
    }

    /// Removes such a file.
    pub(super) fn remove_other(&self, name: &str) -> Result<(), CertError> {
        self.remove_files(&self.folder, &[name])
    }

    /// What to say of such a file that is not what it should be.
    pub(super) fn broken(&self, name: &str, cause: &str, next: &'static str) -> CertError {
        CertError::Content { path: self.folder.join(name), cause: cause.to_owned(), next }
    }

    fn read(&self, entry: &Path) -> Result<Option<Held>, CertError> {
        let path = entry.join(META);
        let Some(known) = text(&path)? else { return Ok(None) };
        let meta = serde_json::from_str(&known).map_err(|error| CertError::Content {
            path,
            cause: format!("is not what was written there: {error}"),
            next: "restore it, or remove its folder: a new certificate is ordered then",
        })?;
        let chain = entry.join(CHAIN);
        let there = chain.try_exists().map_err(|error| file(&chain, error))?;
        let load = || {
            files::load(&chain, &entry.join(KEY)).or_else(|error| {
                // A pair whose chain was not written any more: what is there still is the one before.
                files::load(&chain, &entry.join(FORMER_KEY)).map_err(|_| error)
            })
        };
        Ok(Some(Held { pair: there.then(load).transpose()?, meta }))
    }

    fn entry(&self, names: &[String]) -> PathBuf {
        self.folder.join("certificates").join(folder_name(names))
    }

    fn made(&self, names: &[String]) -> Result<PathBuf, CertError> {
        let entry = self.entry(names);
        sys::folder::make(&entry, 0o700, None).map_err(|error| file(&entry, error))?;
        Ok(entry)
    }

    fn remove_files(&self, folder: &Path, names: &[&str]) -> Result<(), CertError> {
        for name in names {
            let path = folder.join(name);
            match sys::durable::remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(&path, error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The folder's name: the first name in lower case, `*` as `_wildcard`, and nothing in it that means something in a path.
pub fn folder_name(names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str).to_ascii_lowercase().replace('*', "_wildcard");
    let safe =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-:".contains(letter) { letter } else { '_' };
    let name: String = first.trim_start_matches('.').chars().map(safe).take(253).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn text(path: &Path) -> Result<Option<String>, CertError> {
    match sys::folder::read_plain(path, MOST) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| file(path, io::Error::new(io::ErrorKind::InvalidData, "is no text"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file(path, error)),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertError> {
    sys::durable::write(path, bytes, mode).map_err(|error| file(path, error))
}

fn file(path: &Path, source: io::Error) -> CertError {
    CertError::File {
        path: path.to_owned(),
        source,
        next: "the keeper's user has to be able to read and write it",
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
