//! Certificates that were asked for by name (`mainstay certs issue`), with or without a site that has them: kept in `certs/issued.json`,
//! renewed by whichever keeper the home has.

use crate::error::KeeperError;
use model::acme::AcmeSpec;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Larger files are none of ours.
const MOST: u64 = 1 << 20;

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Issued {
    /// All in one certificate.
    pub(crate) names: Vec<String>,
    /// From whom.
    pub(crate) acme: AcmeSpec,
}

/// All. One list that cannot be read is none, and is left as it is.
pub(super) fn all(file: &Path) -> Vec<Issued> {
    let read = || -> io::Result<Vec<Issued>> {
        match sys::folder::read_plain(file, MOST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => Ok(serde_json::from_slice(&other?)?),
        }
    };
    read().unwrap_or_else(|error| {
        tracing::error!(file = %file.display(), %error, "certificates that were issued by name are not renewed");
        Vec::new()
    })
}

/// Keeps one, in place of one with the same first name.
pub(crate) fn add(file: &Path, new: &Issued) -> Result<(), KeeperError> {
    let mut list = all(file);
    list.retain(|known| known.names.first() != new.names.first());
    list.push(new.clone());
    write(file, &list)
}

/// Forgets the one with this first name. False: there is none.
pub(super) fn remove(file: &Path, name: &str) -> Result<bool, KeeperError> {
    let mut list = all(file);
    let before = list.len();
    list.retain(|known| known.names.first().is_none_or(|first| first != name));
    let gone = list.len() < before;
    if gone {
        write(file, &list)?;
    }
    Ok(gone)
}

fn write(file: &Path, list: &[Issued]) -> Result<(), KeeperError> {
    let failed = |error| KeeperError::at(format!("cannot write {}", file.display()))(error);
    let folder = file.parent().unwrap_or(file);
    sys::folder::make(folder, 0o700, None).map_err(failed)?;
    let text = serde_json::to_vec_pretty(list).map_err(|error| failed(error.into()))?;
    sys::durable::write(file, &text, 0o600).map_err(failed)
}
