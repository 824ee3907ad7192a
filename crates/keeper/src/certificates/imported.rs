//! Pairs that were given to the home (`mainstay certs import`): `certs/own/<name>/fullchain.pem` and `privkey.pem` (0600). A pair is
//! written beside the former one and takes its place with one rename of a link: nobody ever reads half of it.

use crate::api::{Imported, NewPair};
use crate::error::KeeperError;
use certs::acme::store::folder_name;
use certs::files;
use model::site::PairSpec;
use std::io;
use std::path::Path;

const CHAIN: &str = "fullchain.pem";
const KEY: &str = "privkey.pem";

/// Those there are.
pub(super) fn all(folder: &Path) -> Vec<PairSpec> {
    let Ok(read) = std::fs::read_dir(folder) else { return Vec::new() };
    let links = read.filter_map(|entry| Some(entry.ok()?.path()));
    let links = links.filter(|path| path.is_symlink() && path.join(CHAIN).exists());
    let mut found: Vec<PairSpec> =
        links.map(|path| PairSpec { cert: path.join(CHAIN), key: path.join(KEY) }).collect();
    found.sort();
    found
}

/// Keeps one.
pub(super) fn add(folder: &Path, pair: &NewPair) -> Result<Imported, KeeperError> {
    let failed =
        |error| KeeperError::at(format!("cannot keep the certificate in {}", folder.display()))(error);
    sys::folder::make(folder, 0o700, None).map_err(failed)?;
    let new = folder.join(format!(".pair-{}", crate::keeper::epoch_ms()));
    sys::folder::make(&new, 0o700, None).map_err(failed)?;
    let kept = (|| {
        sys::durable::write(&new.join(KEY), pair.key.as_bytes(), 0o600).map_err(failed)?;
        sys::durable::write(&new.join(CHAIN), pair.chain.as_bytes(), 0o644).map_err(failed)?;
        let loaded = files::load(&new.join(CHAIN), &new.join(KEY))?;
        if loaded.facts.names.is_empty() {
            return Err(KeeperError::Wrong(
                "the certificate names no host: it would never be served; it needs a subject alternative name".into(),
            ));
        }
        let name = folder_name(&loaded.facts.names);
        let (link, beside) = (folder.join(&name), folder.join(format!(".link-{name}")));
        let former = std::fs::read_link(&link).ok();
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let target = new.file_name().unwrap_or_default();
        std::os::unix::fs::symlink(target, &beside).map_err(failed)?;
        std::fs::rename(&beside, &link).map_err(failed)?;
        if let Some(former) = former {
            forget(&folder.join(former));
        }
        Ok(Imported { name, names: loaded.facts.names })
    })();
    if kept.is_err() {
        forget(&new);
    }
    kept
}

/// Forgets one. None: there is none of that name.
pub(super) fn remove(folder: &Path, name: &str) -> Result<Option<Imported>, KeeperError> {
    let name = folder_name(&[name.to_owned()]);
    let link = folder.join(&name);
    let Ok(target) = std::fs::read_link(&link) else { return Ok(None) };
    let names =
        files::load(&link.join(CHAIN), &link.join(KEY)).map(|pair| pair.facts.names).unwrap_or_default();
    std::fs::remove_file(&link).map_err(KeeperError::at(format!("cannot remove {}", link.display())))?;
    forget(&folder.join(target));
    Ok(Some(Imported { name, names }))
}

/// A folder of ours that no link leads to. What stays is no harm: it is closed.
fn forget(folder: &Path) {
    for file in [CHAIN, KEY] {
        drop(std::fs::remove_file(folder.join(file)));
    }
    drop(std::fs::remove_dir(folder));
}
