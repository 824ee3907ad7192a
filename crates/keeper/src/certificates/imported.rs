//! Pairs that were given to the home (`mainstay certs import`): `certs/own/<name>/fullchain.pem` and `privkey.pem` (0600).

use super::live::{self, CHAIN, KEY};
use crate::api::{Imported, NewPair};
use crate::error::KeeperError;
use certs::acme::store::folder_name;
use certs::files;
use model::site::PairSpec;
use std::path::Path;

/// Those there are.
pub(super) fn all(folder: &Path) -> impl Iterator<Item = PairSpec> {
    live::all(folder).into_iter().map(|path| PairSpec { cert: path.join(CHAIN), key: path.join(KEY) })
}

/// Keeps one, if it is a pair.
pub(super) fn add(folder: &Path, pair: &NewPair) -> Result<Imported, KeeperError> {
    let failed =
        |error| KeeperError::at(format!("cannot keep the certificate in {}", folder.display()))(error);
    let trial = tempdir(folder).map_err(failed)?;
    let checked = live::put(&trial, "pair", (&pair.chain, &pair.key), 0o700).map_err(failed).and_then(|()| {
        let kept = trial.join("pair");
        files::load(&kept.join(CHAIN), &kept.join(KEY)).map_err(KeeperError::from)
    });
    drop(live::remove(&trial, "pair").and_then(|()| std::fs::remove_dir(&trial)));
    let names = checked?.facts.names;
    if names.is_empty() {
        return Err(KeeperError::Wrong(
            "the certificate names no host: it would never be served; it needs a subject alternative name"
                .into(),
        ));
    }
    let name = folder_name(&names);
    live::put(folder, &name, (&pair.chain, &pair.key), 0o700).map_err(failed)?;
    Ok(Imported { name, names })
}

/// Where a pair is looked at before it is kept.
fn tempdir(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    let trial = folder.join(".trial");
    sys::folder::make(&trial, 0o700, None).map(|()| trial)
}

/// Forgets one. None: there is none of that name.
pub(super) fn remove(folder: &Path, name: &str) -> Result<Option<Imported>, KeeperError> {
    let name = folder_name(&[name.to_owned()]);
    let link = folder.join(&name);
    if !link.is_symlink() {
        return Ok(None);
    }
    let names =
        files::load(&link.join(CHAIN), &link.join(KEY)).map(|pair| pair.facts.names).unwrap_or_default();
    live::remove(folder, &name).map_err(KeeperError::at(format!("cannot remove {}", link.display())))?;
    Ok(Some(Imported { name, names }))
}
