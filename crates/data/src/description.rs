//! What the keeper tells the processes of a service: a file of JSON that holds no secret and is named in their arguments.

use crate::DataError;
use crate::programs::Programs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Largest such file that is read, in bytes.
const MOST: u64 = 64 << 10;

/// All that `service run`, `service health` and `data shell` need.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Name of the service.
    pub(crate) service: String,
    /// The programs.
    pub(crate) server: PathBuf,
    pub(crate) installer: PathBuf,
    pub(crate) client: PathBuf,
    /// The server's option file.
    pub(crate) options: PathBuf,
    /// The folder in which the data folder lies; it belongs to the database's user.
    pub(crate) store: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
    /// Option file of the client that logs in as the application; none without a database.
    pub(crate) login: Option<PathBuf>,
    /// The application's account.
    pub(crate) user: String,
    /// The system user, who is also the server's administrator when he comes by the socket.
    pub(crate) administrator: String,
    /// User and group id of the database; none: whoever starts it.
    pub(crate) owner: Option<(u32, u32)>,
}

impl Description {
    /// Reads what `expand` wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let text = sys::folder::read_plain(path, MOST).map_err(DataError::file("read", path))?;
        serde_json::from_slice(&text).map_err(|error| DataError::file("read", path)(error.into()))
    }

    pub(crate) fn programs(self) -> Programs {
        Programs { server: self.server, installer: self.installer, client: self.client }
    }

    pub(crate) fn data(&self) -> PathBuf {
        data_of(&self.store)
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        temporary_of(&self.store)
    }
}

/// The description of a service, in its folder.
pub fn description_in(folder: &Path) -> PathBuf {
    folder.join("service.json")
}

/// The data folder itself.
pub(crate) fn data_of(store: &Path) -> PathBuf {
    store.join("data")
}

/// Where the server's temporary tables are: a starting server removes those that it finds, so no two may share a folder.
pub(crate) fn temporary_of(store: &Path) -> PathBuf {
    store.join("tmp")
}
