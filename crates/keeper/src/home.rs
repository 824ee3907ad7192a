//! Where a keeper keeps its files and sockets (the table in `ARCHITECTURE.md`).

use model::{AppId, InstanceId, StackName};
use std::io;
use std::path::{Path, PathBuf};

/// The folders of one keeper. Two keepers with different homes never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    home: PathBuf,
    run: PathBuf,
}

/// The home of `start` for root, and of the systemd unit.
pub const OF_ROOT: &str = "/var/lib/mainstay";

impl Home {
    /// The folders for this home, which is made if it is missing.
    ///
    /// # Errors
    /// When the home cannot be made or its path not be resolved.
    pub fn open(home: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(home)?;
        let home = home.canonicalize()?;
        let id = model::id::fnv1a(home.as_os_str().as_encoded_bytes());
        Ok(Self { run: run_base().join(format!("{id:016x}")), home })
    }

    /// The home of `start`: [`OF_ROOT`] for root, else `$XDG_STATE_HOME/mainstay`.
    pub fn of_host() -> PathBuf {
        if sys::user::is_root() {
            return PathBuf::from(OF_ROOT);
        }
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let fallback =
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".local/state");
        state.unwrap_or_else(fallback).join("mainstay")
    }

    /// The home of `up`: `.mainstay` in the stack's folder.
    pub fn of_stack(root: &Path) -> PathBuf {
        root.join(".mainstay")
    }

    /// The home itself.
    pub fn path(&self) -> &Path {
        &self.home
    }
    /// Folder of the sockets.
    pub fn run(&self) -> &Path {
        &self.run
    }
    /// Folder of the control groups of its instances, below the keeper's own.
    pub fn groups(&self) -> String {
        format!("mainstay-{}", self.run.file_name().unwrap_or_default().to_string_lossy())
    }
    /// Is there where a stack may reserve more than there is.
    pub fn overcommit(&self, stack: &StackName) -> PathBuf {
        self.home.join("overcommit").join(stack.as_str())
    }
    /// The state store.
    pub fn database(&self) -> PathBuf {
        self.home.join("state.db")
    }
    /// Held while a keeper lives.
    pub fn lock(&self) -> PathBuf {
        self.home.join("keeper.lock")
    }
    /// Folder of all logs.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }
    /// Folder of the local certificate authority.
    pub fn certs(&self) -> PathBuf {
        self.home.join("certs")
    }
    /// The keeper's own diagnostics.
    pub fn keeper_log(&self) -> PathBuf {
        self.logs().join("keeper.log")
    }
    /// Folder of the edge's logs.
    pub fn edge_logs(&self) -> PathBuf {
        self.logs().join("edge")
    }
    /// The edge's standard error.
    pub fn edge_error_log(&self) -> PathBuf {
        self.logs().join("edge.err")
    }
    /// Folder of a stack's logs.
    pub fn stack_logs(&self, stack: &str) -> PathBuf {
        self.logs().join(stack)
    }
    /// Link to the folder that a stack has for its logs besides, if it has one.
    pub fn log_link(&self, stack: &str) -> PathBuf {
        self.stack_logs(stack).join("folder")
    }
    /// Where a stack's output goes: into its own folder if it has one.
    fn outputs(&self, dir: Option<&Path>, app: &AppId) -> PathBuf {
        dir.map_or_else(|| self.stack_logs(app.stack.as_str()), Path::to_owned)
    }
    /// Log file of one stream (`out` or `err`) of an app's slot, in the stack's own folder if it has one.
    pub fn app_log(&self, dir: Option<&Path>, app: &AppId, slot: u32, stream: &str) -> PathBuf {
        self.outputs(dir, app).join(format!("{}.{slot}.{stream}.log", app.app))
    }
    /// `$STATE_DIRECTORY` of an app: its own, and kept.
    pub fn app_state(&self, app: &AppId) -> PathBuf {
        self.home.join("state").join(app.stack.as_str()).join(app.app.as_str())
    }
    /// What an app's steps have built, a folder each, and the home of its steps.
    pub fn app_builds(&self, app: &AppId) -> PathBuf {
        self.builds().join(app.stack.as_str()).join(app.app.as_str())
    }
    /// One of them: `$BUILD_DIRECTORY`.
    pub fn app_build(&self, app: &AppId, hash: u64) -> PathBuf {
        self.app_builds(app).join(format!("{hash:016x}"))
    }
    /// Hashes that the revisions of a stack have in force.
    pub fn build_hashes(&self, stack: &str) -> PathBuf {
        self.builds().join(stack).join(".hashes.json")
    }
    /// Folder of all builds.
    pub fn builds(&self) -> PathBuf {
        self.home.join("build")
    }
    /// Journal of an app's steps, in the stack's own folder if it has one.
    pub fn app_build_log(&self, dir: Option<&Path>, app: &AppId) -> PathBuf {
        self.outputs(dir, app).join(format!("{}.build.log", app.app))
    }
    /// Folder of a data service: configuration, password, data.
    pub fn service(&self, service: &AppId) -> PathBuf {
        self.service_named(service.stack.as_str(), service.app.as_str())
    }
    /// The same, by the names that `status` gives.
    pub fn service_named(&self, stack: &str, service: &str) -> PathBuf {
        self.home.join("data").join(stack).join(service)
    }
    /// Unix socket of a data service: the same for every run, in a folder of its user's.
    pub fn service_socket(&self, service: &AppId) -> PathBuf {
        let id = model::id::fnv1a(service.to_string().as_bytes());
        self.run.join("data").join(format!("{id:016x}")).join("s")
    }
    /// Folder of a data service's certificate.
    pub fn service_certs(&self, service: &AppId) -> PathBuf {
        self.certs().join("services").join(service.stack.as_str()).join(service.app.as_str())
    }
    /// What cookies are made with by which a client belongs to an instance. No stack can have that name.
    pub fn sticky_key(&self) -> PathBuf {
        self.home.join("secrets").join("sticky.key")
    }
    /// Folder of what was generated for an app's environment, a file for each variable.
    pub fn secrets(&self, app: &AppId) -> PathBuf {
        self.home.join("secrets").join(app.stack.as_str()).join(app.app.as_str())
    }
    /// Folder of what is known of instances.
    pub fn instances(&self) -> PathBuf {
        self.home.join("instances")
    }
    /// An instance's status file, which its shim writes.
    pub fn instance_status(&self, id: &InstanceId) -> PathBuf {
        self.instances().join(format!("{}.json", id.short()))
    }
    /// What the keeper needs to adopt an instance.
    pub fn instance_meta(&self, id: &InstanceId) -> PathBuf {
        self.instances().join(format!("{}.meta.json", id.short()))
    }
    /// What is remembered of slots ([`crate::slots`]).
    pub fn slots(&self) -> PathBuf {
        self.run.join("slots.json")
    }

    /// Where the container engine listens, written when the first container is to run.
    pub fn engine(&self) -> PathBuf {
        self.home.join("engine")
    }
    /// Socket of Podman's service, where this keeper runs one.
    pub fn engine_socket(&self) -> PathBuf {
        self.run.join("engine.sock")
    }

    /// Ranges of private networks ([`crate::networks`]).
    pub fn networks(&self) -> PathBuf {
        self.home.join("networks.json")
    }
    /// Held by one home of this host at a time while it takes a range.
    pub fn networks_lock(&self) -> PathBuf {
        run_base().join("networks.lock")
    }
    /// Names that an instance resolves.
    pub fn names(&self, id: &InstanceId) -> PathBuf {
        self.run.join("net").join(id.short())
    }

    /// The control API's socket.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }
    /// The edge's socket.
    pub fn edge_socket(&self) -> PathBuf {
        self.run.join("edge.sock")
    }
    /// Socket of an edge that is to take over.
    pub fn edge_coming_socket(&self) -> PathBuf {
        self.run.join("edge-new.sock")
    }
    /// Socket of an edge that was taken over from.
    pub fn edge_leaving_socket(&self) -> PathBuf {
        self.run.join("edge-old.sock")
    }
    /// Programs that this home was run by.
    pub fn bin(&self) -> PathBuf {
        self.home.join("bin")
    }
    /// What is known of them.
    pub fn programs(&self) -> PathBuf {
        self.bin().join("programs.json")
    }
    /// Copy of the state store, from before an upgrade.
    pub fn store_copy(&self, schema: u32) -> PathBuf {
        self.home.join(format!("state.db.{schema}"))
    }
    /// An instance's shim.
    pub fn shim_socket(&self, id: &InstanceId) -> PathBuf {
        self.run.join("shim").join(format!("{}.sock", id.short()))
    }
    /// `$SOCKET` of an instance.
    pub fn app_socket(&self, id: &InstanceId) -> PathBuf {
        self.run.join("app").join(id.short()).join("s")
    }
}

fn run_base() -> PathBuf {
    if sys::user::is_root() {
        return PathBuf::from("/run/mainstay");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("mainstay"),
        None => std::env::temp_dir().join(format!("mainstay-{}", sys::user::uid())),
    }
}
