//! A folder of its own for one test: a stack, a home, and what runs there.
//!
//! A process belongs to the sandbox when its command line, its working folder, its environment or one of its open files names
//! the folder, which no other test and nobody else has. So what outlives its parent is found too.

use crate::running::{Output, Running};
use crate::{binary, checkout, is_alive, wait_until};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A stack in a folder of its own, and a home for `--home`.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    path: PathBuf,
}

impl Sandbox {
    /// With this manifest.
    pub fn with_manifest(manifest: &str) -> Self {
        let sandbox = Self::empty();
        sandbox.write("mainstay.toml", manifest);
        sandbox
    }

    /// With a copy of `stacks/<name>`, without its tests and what it wrote when it ran there.
    pub fn with_stack(name: &str) -> Self {
        let sandbox = Self::empty();
        copy(&checkout().join("stacks").join(name), &sandbox.stack());
        sandbox.own(&sandbox.stack());
        sandbox
    }

    /// With a folder for a stack, in which is nothing yet.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("mainstay-test-").tempdir().expect("a temporary folder");
        // started by root, apps and the edge run as somebody else and must get here
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let path = folder.path().canonicalize().expect("its path");
        let sandbox = Self { folder, path };
        fs::create_dir(sandbox.stack()).expect("the stack's folder");
        sandbox.own(&sandbox.stack());
        sandbox
    }

    /// The whole folder: what a test writes that is no part of the stack belongs here.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Folder of the stack.
    pub fn stack(&self) -> PathBuf {
        self.path.join("stack")
    }

    /// The keeper's home, for `--home`; `up` without that uses [`Sandbox::stack`]`/.mainstay`.
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Writes a file of the stack, with its folders.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.stack().join(name);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("folders");
        #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
        fs::write(&path, text).expect("a file");
        self.own(folder);
        self.own(&path);
        path
    }

    /// `mainstay` in the stack's folder, without colour and without this user's own homes.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.stack()).env("NO_COLOR", "1");
        command.env("XDG_STATE_HOME", self.path.join("state"));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        Running::start(self.command(arguments)).wait()
    }

    /// Starts it.
    pub fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Running::start(self.command(arguments))
    }

    /// `mainstay up --http 127.0.0.1:PORT`, waited for until the stack is up.
    #[track_caller]
    pub fn up(&self, port: u16) -> Running {
        let mut up = self.start(["up", "--http", &format!("127.0.0.1:{port}")]);
        up.wait_for(" is up: ");
        up
    }

    /// `mainstay start --home …`, waited for until the stack is up. Ended with the sandbox.
    #[track_caller]
    pub fn start_daemon(&self, port: u16) -> Output {
        let home = self.home();
        let address = format!("127.0.0.1:{port}");
        let arguments =
            [OsStr::new("start"), "--home".as_ref(), home.as_os_str(), "--http".as_ref(), address.as_ref()];
        self.run(arguments).expect_code(0)
    }

    /// Ports of the edge's first address for HTTP, and for HTTPS: 0 where there is none.
    #[track_caller]
    pub fn doors(&self) -> (u16, u16) {
        let status = self.status();
        let addresses = |name: &str| status["edge"][name].as_array().cloned().unwrap_or_default();
        let port = |address: &Value| -> Option<u16> { address.as_str()?.rsplit(':').next()?.parse().ok() };
        let secure = addresses("tls");
        let plain = addresses("listen").into_iter().find(|address| !secure.contains(address));
        (plain.as_ref().and_then(port).unwrap_or(0), secure.first().and_then(port).unwrap_or(0))
    }

    /// `mainstay status --json`, of the home if a keeper lives there, else of the stack's own.
    #[track_caller]
    pub fn status(&self) -> Value {
        let home = self.home();
        let own = self.stack().join(".mainstay");
        let home = if home.is_dir() { home } else { own };
        self.run([OsStr::new("status"), "--json".as_ref(), "--home".as_ref(), home.as_os_str()])
            .expect_code(0)
            .json()
    }

    /// Ids of all living processes that belong here.
    pub fn processes(&self) -> Vec<u32> {
        let own = std::process::id();
        let pids = sys::proc::pids().expect("/proc");
        pids.into_iter().filter(|pid| *pid != own && is_alive(*pid) && self.owns(*pid)).collect()
    }

    /// Waits until no process of the sandbox lives.
    #[track_caller]
    pub fn wait_until_empty(&self) {
        wait_until("nothing of the sandbox lives", || self.processes().is_empty().then_some(()));
    }

    fn owns(&self, pid: u32) -> bool {
        let mark = self.path.as_os_str().as_encoded_bytes();
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let named = |bytes: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
        let link = |path: &Path| fs::read_link(path).is_ok_and(|to| named(to.as_os_str().as_encoded_bytes()));
        let file = |name: &str| fs::read(folder.join(name)).is_ok_and(|bytes| named(&bytes));
        let open = || {
            fs::read_dir(folder.join("fd")).into_iter().flatten().flatten().any(|entry| link(&entry.path()))
        };
        file("cmdline") || link(&folder.join("cwd")) || file("environ") || open()
    }

    /// Started by root, a stack's owner is whom its apps run as: not root. What `up` keeps there stays the keeper's.
    fn own(&self, path: &Path) {
        if sys::user::is_root() {
            let nobody = sys::user::lookup("nobody").expect("the user nobody");
            chown(path, Some(nobody.uid), Some(nobody.gid)).expect("chown");
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let entries = entries.filter(|entry| entry.file_name() != ".mainstay");
            entries.for_each(|entry| self.own(&entry.path()));
        }
    }

    /// Folders of sockets, which lie outside (a socket's path is short).
    fn run_folders(&self) -> Vec<PathBuf> {
        let base = if sys::user::is_root() {
            PathBuf::from("/run/mainstay")
        } else {
            let runtime =
                std::env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("mainstay"));
            runtime.unwrap_or_else(|| std::env::temp_dir().join(format!("mainstay-{}", sys::user::uid())))
        };
        let homes = [self.home(), self.stack().join(".mainstay"), self.path.join("state/mainstay")];
        let id = |home: &PathBuf| format!("{:016x}", model::id::fnv1a(home.as_os_str().as_encoded_bytes()));
        homes.iter().map(|home| base.join(id(home))).collect()
    }
}

impl Drop for Sandbox {
    /// Ends what is left and removes the sockets' folders. A test that passed by itself fails when it left something
    /// that was started by `up`, or a `start` that it did not stop: those are ended here, keeper first.
    fn drop(&mut self) {
        if self.home().is_dir() && !self.processes().is_empty() && !std::thread::panicking() {
            let home = self.home();
            let stop = [OsStr::new("stop"), "--home".as_ref(), home.as_os_str()];
            let output = self.run(stop);
            assert_eq!(output.code, Some(0), "mainstay stop: {}", output.stderr);
        }
        let left = self.processes();
        for pid in &left {
            let _ = sys::process::signal(*pid, 9); // it may have ended just now
        }
        for folder in self.run_folders() {
            let _ = fs::remove_dir_all(folder);
        }
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind in {}: {left:?}", self.folder.path().display());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())).flatten() {
        let name = entry.file_name();
        if ["data", ".mainstay", ".env", "__pycache__", "e2e"].iter().any(|other| name == *other) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}
