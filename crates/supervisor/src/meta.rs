//! What is kept on disk of each instance, so that the next keeper can adopt it: no secret among it.

use crate::Places;
use crate::contained;
use model::InstanceId;
use model::observed::Address;
use model::spec::{AppSpec, HealthSpec, Listen};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What the next keeper needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Which run of which instance.
    pub id: InstanceId,
    /// [`AppSpec::fingerprint`] it was started with.
    pub fingerprint: u64,
    /// Where it takes requests.
    pub address: Option<Address>,
    /// How it listens.
    pub listen: Listen,
    /// How its health is found out.
    pub health: HealthSpec,
    /// Its working folder.
    pub dir: PathBuf,
    /// Its address on each of its own networks; empty: it is in the host's.
    #[serde(default)]
    pub addresses: Vec<(String, IpAddr)>,
}

impl Meta {
    /// Of an instance about to start.
    pub fn new(id: &InstanceId, fingerprint: u64, spec: &AppSpec, address: Option<Address>) -> Self {
        let AppSpec { listen, health, dir, .. } = spec;
        Self {
            id: id.clone(),
            fingerprint,
            address,
            listen: *listen,
            health: health.clone(),
            dir: dir.clone(),
            addresses: Vec::new(),
        }
    }

    /// Writes it durably, readable by the keeper alone.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        sys::durable::write(path, &serde_json::to_vec(self)?, 0o600)
    }

    /// Everything found in `folder`; files that cannot be read are left alone and logged.
    ///
    /// # Errors
    /// When the folder itself cannot be read; a missing one holds nothing.
    pub fn load_all(folder: &Path) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if !path.to_string_lossy().ends_with(".meta.json") {
                continue;
            }
            match std::fs::read(&path)
                .map_err(|e| e.to_string())
                .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).map_err(|error| error.to_string()))
            {
                Ok(meta) => found.push(meta),
                Err(error) => {
                    tracing::warn!(path = %path.display(), error, "not what a keeper wrote: left alone")
                }
            }
        }
        Ok(found)
    }
}

/// Removes every trace of an instance that has ended. The shim has removed its own files; this is for what is left
/// when it could not.
pub(crate) fn clean(places: &Places) {
    for path in [&places.meta, &places.status, &places.shim_socket, &places.app_socket] {
        let _ = std::fs::remove_file(path);
    }
    if let Some(folder) = places.app_socket.parent() {
        contained::clean(folder);
        let _ = std::fs::remove_dir(folder);
    }
}
