//! A container image of a megabyte or two, made from the host's static busybox: for tests of what Mainstay does with containers, not of what is in
//! them. Its users are root and `app` (1001).

use crate::{Sandbox, wait_until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What the engine knows it as.
const NAME: &str = "localhost/mainstay-test/tiny:1";

/// The image, made where it is missing. None: Podman is not installed, which is said; `scripts/setup test` installs it.
pub fn image() -> Option<&'static str> {
    static MADE: OnceLock<bool> = OnceLock::new();
    MADE.get_or_init(|| {
        if Command::new("podman").arg("--version").output().is_err() {
            eprintln!("skipped: podman is not installed (scripts/setup test installs it)");
            return false;
        }
        if !there() {
            make();
        }
        true
    })
    .then_some(NAME)
}

fn there() -> bool {
    podman(&["image", "exists", NAME]).0
}

#[allow(clippy::disallowed_methods)]
fn make() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let busybox = Path::new("/bin/busybox");
    for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "run"] {
        fs::create_dir(root.join(name)).expect("a folder");
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("a mode");
    fs::copy(busybox, root.join("bin/busybox")).expect("busybox-static (scripts/setup test installs it)");
    let names = Command::new(busybox).arg("--list").output().expect("busybox --list");
    for name in String::from_utf8_lossy(&names.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name)).expect("a link");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:1001:1001::/:/bin/sh\n").expect("users");
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\n").expect("groups");
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root)
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar");
    let output = Command::new("podman")
        .args(["import", "--change", "CMD [\"sh\"]", "--change", "ENV PATH=/bin", "-", NAME])
        .stdin(tar.stdout.take().expect("a pipe"))
        .output()
        .expect("podman import");
    tar.wait().expect("tar");
    // Another test process may have been first.
    assert!(output.status.success() || there(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs podman; whether it succeeded, and what it printed.
pub fn podman(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("podman").args(arguments).output().expect("podman");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The stacks of a sandbox are down: ends what the engine keeps for a while after that (its service until nobody has asked for a minute, a process
/// of each command that was run inside).
#[track_caller]
pub fn end_engine(sandbox: &Sandbox) {
    let engines = |pid: &u32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("podman") || words.contains("conmon")
    };
    wait_until("nothing of the engine is left", || {
        let left: Vec<u32> = sandbox.processes().into_iter().filter(engines).collect();
        left.iter().for_each(|pid| crate::signal(*pid, "KILL"));
        left.is_empty().then_some(())
    });
}

/// Everything the engine has of one stack; removed when this is dropped, whatever became of the test.
pub struct Belongings {
    stack: String,
}

impl Belongings {
    /// Of a stack whose name nobody else has.
    pub fn of(stack: &str) -> Self {
        Self { stack: stack.to_owned() }
    }

    /// What the engine is to be asked for with `--filter`.
    pub fn filter(&self) -> String {
        format!("label=mainstay.stack={}", self.stack)
    }

    fn list(&self, arguments: &[&str]) -> Vec<String> {
        let (_, text) = podman(&[arguments, &["--filter", &self.filter()]].concat());
        text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
    }

    /// Ids of its containers, whether or not they run.
    pub fn containers(&self) -> Vec<String> {
        self.list(&["ps", "-aq", "--no-trunc"])
    }

    /// Names of its networks.
    pub fn networks(&self) -> Vec<String> {
        self.list(&["network", "ls", "-q"])
    }

    /// Names of the images that were built for it.
    pub fn images(&self) -> Vec<String> {
        let filter = format!("reference=localhost/mainstay/{}/*", self.stack);
        let (_, text) = podman(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &filter]);
        text.lines().map(str::to_owned).collect()
    }

    /// Names of its volumes.
    pub fn volumes(&self) -> Vec<String> {
        self.list(&["volume", "ls", "-q"])
    }
}

impl Drop for Belongings {
    fn drop(&mut self) {
        for id in self.containers() {
            podman(&["rm", "-f", "-t", "0", "-v", &id]);
        }
        for name in self.networks() {
            podman(&["network", "rm", &name]);
        }
        for name in self.volumes() {
            podman(&["volume", "rm", &name]);
        }
        for name in self.images() {
            podman(&["rmi", &name]);
        }
    }
}
