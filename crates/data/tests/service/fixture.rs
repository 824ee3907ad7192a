//! A service in a folder of its own: expanded, started as the shim would start it, stopped at the end.

use data::{Expanded, Place, TlsFiles};
use model::AppName;
use model::service::ServiceSpec;
use model::spec::{EnvValue, Probe};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use testkit::wait_until;

/// What this test program does when it is started as the program.
pub const VERB: &str = "DATA_TEST_VERB";
const ARGUMENTS: &str = "DATA_TEST_ARGUMENTS";
/// The option file of a client in the service's folder.
pub const LOGIN: &str = "client.cnf";

/// Arguments for the client.
pub fn arguments() -> Vec<OsString> {
    let lines = std::env::var(ARGUMENTS).unwrap_or_default();
    lines.split('\u{1}').filter(|line| !line.is_empty()).map(OsString::from).collect()
}

/// A service with what a manifest says when it says little; `change` says more.
pub fn spec(change: impl FnOnce(&mut ServiceSpec)) -> ServiceSpec {
    let mut spec: ServiceSpec = serde_json::from_value(serde_json::json!({
        "kind": "mariadb", "port": null, "database": "plot_palette", "user": "plot_palette_user", "password": null,
        "character_set": "utf8mb4", "collation": "utf8mb4_unicode_ci", "max_connections": 20, "tls": "off",
        "slow_query": { "secs": 0, "nanos": 200_000_000 }, "memory": 32 << 20, "run_as": user().map_or("", |user| user.name.leak()),
        "interval": { "secs": 10, "nanos": 0 }, "start_period": { "secs": 60, "nanos": 0 },
        "restart": { "policy": "always", "delay": { "secs": 1, "nanos": 0 }, "max_delay": { "secs": 1, "nanos": 0 },
                     "min_uptime": { "secs": 1, "nanos": 0 }, "max_restarts": 3 },
        "stop": { "signal": 15, "timeout": { "secs": 30, "nanos": 0 }, "drain": { "secs": 0, "nanos": 0 } },
        "logs": { "max_size": 1 << 20, "keep": 1 },
    }))
    .unwrap();
    // Others may have the usual one, and tests run beside each other.
    spec.port = Some(testkit::free_port());
    change(&mut spec);
    spec
}

/// Whom the server runs as where this is root: its own user, else one that everybody has.
pub fn user() -> Option<sys::user::User> {
    sys::user::is_root()
        .then(|| sys::user::lookup("mysql").or_else(|| sys::user::lookup("nobody")).expect("nobody"))
}

/// Whether the packages are here.
pub fn installed() -> bool {
    let found = ["/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db", "/usr/bin/mariadb"];
    let all = found.iter().all(|program| Path::new(program).exists());
    if !all {
        eprintln!("skipped: apt-get install mariadb-server-core mariadb-client-core (scripts/setup does it)");
    }
    all
}

/// A service, and its server if it runs.
pub struct Service {
    /// Everything of this test's.
    pub home: TempDir,
    /// As it was expanded last.
    pub expanded: Expanded,
    spec: ServiceSpec,
    tls: Option<TlsFiles>,
    server: Option<Child>,
    output: Arc<Mutex<String>>,
}

impl Service {
    /// Expands, and starts nothing.
    pub fn expand(spec: ServiceSpec, tls: Option<TlsFiles>) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let expanded = expand(home.path(), &spec, tls.as_ref(), false).unwrap();
        Self { home, expanded, spec, tls, server: None, output: Arc::default() }
    }

    /// A server that is in good health.
    pub fn start(spec: ServiceSpec) -> Self {
        let mut service = Self::expand(spec, None);
        service.run();
        service.wait_healthy();
        service
    }

    /// Expands it again, as another manifest says.
    pub fn change(&mut self, change: impl FnOnce(&mut ServiceSpec)) {
        change(&mut self.spec);
        self.expanded = expand(self.home.path(), &self.spec, self.tls.as_ref(), false).unwrap();
    }

    pub fn folder(&self) -> PathBuf {
        folder(self.home.path())
    }

    pub fn data(&self) -> PathBuf {
        self.folder().join("store/data")
    }

    /// What an application gets under this name.
    pub fn given(&self, name: &str) -> String {
        let (_, value) = self.expanded.gives.iter().find(|(given, _)| given == name).unwrap();
        value.expose().to_owned()
    }

    fn command(&self, verb: &str) -> Command {
        let Probe::Command(argv) = &self.expanded.app.health.probe else { panic!("no command") };
        assert_eq!(argv[..3], ["$MAINSTAY", "service", "health"]);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "as_program", "--nocapture"]).env(VERB, format!("{verb} {}", argv[3]));
        if let Some(user) = user()
            && (verb == "run" || verb == "health")
        {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Starts the server as a shim does: its pipes belong to its user.
    pub fn run(&mut self) {
        let command = self.command("run");
        self.spawn(command);
    }

    /// The same where `store` is a file system of 64 MiB, which is gone with the server.
    pub fn run_on_small_disk(&mut self, store: &Path) {
        let user = user().unwrap();
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        let mount = "mount -t tmpfs -o size=64m,mode=700,uid=$1,gid=$2 none \"$0\" && shift 2 && exec \"$@\"";
        let inner = self.command("run");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", mount]).arg(store).args([&uid, &gid]);
        command
            .args(["setpriv", "--reuid", &uid, "--regid", &gid, "--clear-groups"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        let (read, write) = sys::pipe::new().unwrap();
        if let Some(user) = user() {
            sys::pipe::give(&write, user.uid, user.gid).unwrap();
        }
        command.stdin(Stdio::null()).stdout(write.try_clone().unwrap()).stderr(write);
        self.server = Some(command.spawn().unwrap());
        let output = Arc::clone(&self.output);
        std::thread::spawn(move || {
            let mut read = std::fs::File::from(read);
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = read.read(&mut chunk) {
                output.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
    }

    /// Everything that servers of this service have said.
    pub fn said(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// What the health check says, if it is not content.
    pub fn health(&self) -> Result<(), String> {
        let output = self.command("health").output().unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub fn wait_healthy(&mut self) {
        wait_until("the server is in good health", || {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.said());
            self.health().ok()
        });
    }

    /// The end of a server that was not to start: what it said.
    pub fn wait_refused(&mut self) -> String {
        let status = wait_until("the server gives up", || self.server.as_mut().unwrap().try_wait().unwrap());
        assert_eq!(status.code(), Some(1), "{}", self.said());
        self.server = None;
        wait_until("its last words", || Some(self.said()).filter(|said| said.contains("next:")))
    }

    /// Ends the server with a signal, and waits for its end.
    pub fn stop(&mut self, signal: &str) {
        let mut server = self.server.take().unwrap();
        testkit::signal(server.id(), signal);
        let status = server.wait().unwrap();
        assert!(signal == "KILL" || status.success(), "{status}: {}", self.said());
    }

    /// Statements as the application; what it answers, or the error.
    pub fn sql(&self, statements: &str) -> Result<String, String> {
        self.client("application", &["--batch", "--skip-column-names", "-e", statements])
    }

    /// The same as administrator.
    pub fn administer(&self, statements: &str) -> Result<String, String> {
        self.client("administrator", &["--batch", "--skip-column-names", "-e", statements])
    }

    /// A file of statements, as administrator.
    pub fn administer_file(&self, file: &Path) -> Result<String, String> {
        said(self.command("administrator").stdin(std::fs::File::open(file).unwrap()).output().unwrap())
    }

    /// A client that keeps its connection of the application's, and waits for statements.
    pub fn hold_connection(&self) -> Child {
        let mut command = self.command("application");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// The server, to be ended by who takes it.
    pub fn take(&mut self) -> Ended {
        Ended(self.server.take().unwrap())
    }

    /// The client, run as `mainstay data shell` runs it.
    pub fn client(&self, who: &str, arguments: &[&str]) -> Result<String, String> {
        said(self.command(who).env(ARGUMENTS, arguments.join("\u{1}")).output().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.server.take().map(Ended));
    }
}

/// A server that has to end.
pub struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    // The test program says what it runs before it becomes the client.
    let text = text.split_once("running 1 test\n").map_or(&*text, |(_, text)| text);
    if output.status.success() {
        Ok(text.trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}

/// A client of the test's own, with its own arguments.
pub fn client(arguments: &[&str]) -> Result<String, String> {
    said(
        Command::new("mariadb")
            .arg("--no-defaults")
            .args(arguments)
            .args(["--batch", "--skip-column-names"])
            .output()
            .unwrap(),
    )
}

fn folder(home: &Path) -> PathBuf {
    home.join("stack/db")
}

/// What the keeper does.
pub fn expand(
    home: &Path,
    spec: &ServiceSpec,
    tls: Option<&TlsFiles>,
    dry: bool,
) -> Result<Expanded, data::DataError> {
    let owner = user().map(|user| (user.uid, user.gid));
    let (folder, socket) = (folder(home), home.join("run/s"));
    let place = Place { folder: &folder, socket: &socket, owner, tls, dry };
    data::expand(&"db".parse::<AppName>().unwrap(), spec, &place)
}

/// Whether this is shown as what it is; passwords are not.
pub fn is_secret(value: &EnvValue) -> bool {
    matches!(value, EnvValue::Secret(_))
}
