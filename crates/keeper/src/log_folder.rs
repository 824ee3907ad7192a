//! A folder that a stack has for its logs (`[logs] dir`).
//!
//! ```text
//! /var/log/shop/                     the keeper's (root's, where it is root), 0755
//! ├── web.0.out.log, web.0.err.log   written by the instances' shims, which run as the keeper's user
//! ├── web.build.log                  written by the keeper: what the app's steps printed
//! ├── access.log → access/access.log
//! └── access/                        the edge's, 0750: access.log[.N]
//! home/logs/shop/folder → /var/log/shop
//! ```
//!
//! The edge must make and rename files, and may be somebody else than root. In one folder with the others (by its group and the sticky
//! bit) it could not take their files away, but it could be first: a link or a file of its own named as the next instance's log, into
//! which root's shim would then write. So it has a folder in the folder, and the name that people look for is a link that root made.
//!
//! Who could exchange the folder could likewise have root write where he likes: it must belong to the keeper's user, be writable by nobody else,
//! and so must all that lies above it, or be root's. Nothing here is ever removed but the link in the home, by which `mainstay logs` finds the folder, also
//! when nothing runs.

use crate::edge_host::log_folder_of_edge;
use crate::error::KeeperError;
use crate::home::Home;
use crate::keeper::Keeper;
use model::AppId;
use model::redact::RedactKind;
use model::spec::{StackLogs, StackSpec};
use std::io;
use std::path::{Path, PathBuf};
use sys::user::User;
use wire::snapshot::{LogPlace, Snapshot};

/// Name of the edge's folder in the stack's.
const ACCESS: &str = "access";

/// Tells each app where its output goes: it is a part of what an instance is started with.
pub(crate) fn spread(spec: &mut StackSpec) {
    for app in spec.apps.values_mut() {
        app.logs.dir.clone_from(&spec.logs.dir);
    }
}

/// Where the edge logs requests of the stack.
pub(crate) fn place(logs: &StackLogs) -> LogPlace {
    LogPlace { dir: logs.dir.as_ref().map(|dir| dir.join(ACCESS)), redact: logs.redact.clone() }
}

/// The keeper's own log names clients too, those that are banned: it shows no more than any stack allows.
pub(crate) fn mask_own(snapshot: &Snapshot) {
    let kinds: Vec<RedactKind> = snapshot.logs.values().flat_map(|place| &place.redact).copied().collect();
    telemetry::log::redact(&kinds);
}

/// Notes in the home where the stack's logs are.
pub(crate) fn link(home: &Home, spec: &StackSpec) {
    let link = home.log_link(spec.name.as_str());
    let made = match &spec.logs.dir {
        None => std::fs::remove_file(&link).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
        Some(dir) => {
            let folder = home.stack_logs(spec.name.as_str());
            sys::folder::make(&folder, 0o711, None).and_then(|()| point(&link, dir))
        }
    };
    if let Err(error) = made {
        tracing::warn!(%error, link = %link.display(), "mainstay logs will not find the stack's folder of logs");
    }
}

/// Makes the folder and the edge's one in it, unless they are there, and tries whether they can be written.
fn prepare(dir: &Path, edge: Option<&User>) -> io::Result<()> {
    sys::folder::check_way(dir, edge.map(|user| (user.uid, user.gid)))?;
    if std::fs::symlink_metadata(dir).is_err() {
        sys::folder::make(dir, 0o755, None)?;
    }
    sys::folder::check_own(dir)?;
    let probe = dir.join(".writable");
    sys::folder::append_to(&probe, 0o600)?;
    std::fs::remove_file(&probe)?;
    log_folder_of_edge(&dir.join(ACCESS), edge)?;
    point(&dir.join("access.log"), &Path::new(ACCESS).join("access.log"))
}

/// Makes a link, or lets one that is there lead elsewhere. What is no link is not touched.
fn point(link: &Path, target: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if !found.is_symlink() => {
            let why = format!("{} is there already, and is not Mainstay's", link.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        Ok(_) if std::fs::read_link(link)? == target => return Ok(()),
        Ok(_) => std::fs::remove_file(link)?,
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link)
}

impl Keeper {
    /// Makes the folder for the logs of a stack that is to be prepared.
    ///
    /// # Errors
    /// When it cannot be had: with the reason, and what to do.
    pub(crate) fn check_log_folder(&self, spec: &StackSpec) -> Result<(), KeeperError> {
        let Some(dir) = &spec.logs.dir else { return Ok(()) };
        let others = self.stacks.values().filter(|stack| stack.name != spec.name && !stack.removing);
        let taken = |dir: &Path| {
            let mut others = others.clone();
            others.find(|stack| {
                stack.revisions().any(|revision| revision.spec.logs.dir.as_deref() == Some(dir))
            })
        };
        if let Some(other) = taken(dir) {
            let (dir, other) = (dir.display(), &other.name);
            return Err(KeeperError::Wrong(format!(
                "{dir} is the folder of the logs of the stack {other} already"
            )));
        }
        prepare(dir, self.recipe.user.as_ref()).map_err(|source| KeeperError::At {
            what: format!(
                "no logs can be kept in {}: make it a folder of the user that the keeper runs as (uid {}), or name another one in [logs] dir",
                dir.display(),
                sys::user::uid()
            ),
            source,
        })
    }

    /// The same at boot, where what runs is not stopped for it.
    pub(crate) fn prepare_log_folders(&self) {
        for active in self.stacks.values().filter_map(|stack| stack.active.as_ref()) {
            if let Err(error) = self.check_log_folder(&active.spec) {
                tracing::error!(stack = %active.spec.name, "{error}");
            }
            link(&self.home, &active.spec);
        }
    }

    /// The two logs of an app's slot; `fingerprint`: of the specification that ran there.
    pub(crate) fn app_logs(&self, app: &AppId, slot: u32, fingerprint: Option<u64>) -> [PathBuf; 2] {
        let stack = self.stacks.get(&app.stack);
        let ran = fingerprint.and_then(|print| stack?.spec_of(&app.app, print));
        let now = || stack?.revisions().find_map(|revision| revision.spec.apps.get(&app.app)).cloned();
        let dir = ran.map(|spec| spec.logs.dir.clone()).or_else(|| Some(now()?.logs.dir)).flatten();
        ["out", "err"].map(|stream| self.home.app_log(dir.as_deref(), app, slot, stream))
    }
}
