//! What `mainstay exec` asks for, and what it has to know to run a command beside an instance.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Which instance of an app a command is to run beside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecRequest {
    /// The one in this slot; none: one that takes requests if there is one, the lowest slot first.
    pub slot: Option<u32>,
}

/// The surroundings of an instance. Holds secrets: it is answered to who may open the control socket, and shown nowhere.
#[derive(Clone, Serialize, Deserialize)]
pub struct ExecPlace {
    /// `app.slot`.
    pub label: String,
    /// Its main process; of a container the runner.
    pub pid: u32,
    /// How it is called where its control groups are.
    pub group: String,
    /// User, group and further groups; none: the keeper's own.
    pub user: Option<(u32, u32, Vec<u32>)>,
    /// Its working folder.
    pub dir: PathBuf,
    /// Its whole environment; empty of a container, which has its own inside.
    pub env: Vec<(String, String)>,
    /// What its runner was told, where it is a container.
    pub container: Option<PathBuf>,
}

impl fmt::Debug for ExecPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ExecPlace").field("label", &self.label).field("env", &names).finish_non_exhaustive()
    }
}
