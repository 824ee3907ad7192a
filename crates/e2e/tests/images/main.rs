//! Images by the real binary and a real engine: built from Dockerfiles as the teams write them, pulled from a registry of the test's own, kept by
//! their id. What they are made from is made in `testkit::images`; where there is no Podman the tests fail and say what installs it.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod build;
mod pull;

use std::time::Duration;
use testkit::tiny::{self, Belongings};
use testkit::{Running, Sandbox, http, wait_within};

/// Longest time until an image is built and its container answers, on a machine that does much else.
const BUILT: Duration = Duration::from_secs(240);

/// A stack that is up, or coming up.
struct Stack {
    sandbox: Sandbox,
    up: Option<Running>,
    port: u16,
    /// What the engine has of it; goes last.
    name: String,
    _belongings: Belongings,
}

impl Stack {
    /// Runs `up` with these variables; waits for nothing.
    fn begin(sandbox: Sandbox, variables: &[(&str, &str)]) -> Self {
        let port = testkit::free_port();
        // The engine is everybody's: each stack has a name of its own.
        let name = format!("e2e-images-{}-{port}", std::process::id());
        let manifest = std::fs::read_to_string(sandbox.stack().join("mainstay.toml")).expect("a manifest");
        sandbox.write("mainstay.toml", manifest.replace("stack = \"t\"", &format!("stack = \"{name}\"")));
        let mut command = sandbox.command(["up", "--http", &format!("127.0.0.1:{port}")]);
        command.envs(variables.iter().copied());
        let _belongings = Belongings::of(&name);
        Self { up: Some(Running::start(command)), sandbox, port, name, _belongings }
    }

    /// The same, waited for until this host answers at `/`.
    #[track_caller]
    fn up(sandbox: Sandbox, variables: &[(&str, &str)], host: &str) -> Self {
        let stack = Self::begin(sandbox, variables);
        wait_within(BUILT, "an answer through the edge", || {
            (http::try_status(stack.port, host, "/") == Some(200)).then_some(())
        });
        stack
    }

    #[track_caller]
    fn get(&self, host: &str, path: &str) -> String {
        http::get(self.port, host, path).text()
    }

    /// Label and process of all instances of an app.
    fn pids(&self, app: &str) -> Vec<u64> {
        let status = self.sandbox.status();
        let apps = status["stacks"][0]["apps"].as_array().cloned().unwrap_or_default();
        let found =
            apps.iter().find(|it| it["name"] == app).and_then(|it| it["instances"].as_array().cloned());
        found.unwrap_or_default().iter().filter_map(|it| it["pid"].as_u64()).collect()
    }

    fn build_log(&self, app: &str) -> String {
        let log = self.sandbox.stack().join(format!(".mainstay/logs/{}/{app}.build.log", self.name));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    /// Names of all images that the stack had built.
    fn built(&self) -> Vec<String> {
        self.images("*")
    }

    /// What it said when it gave up.
    #[track_caller]
    fn refused(&mut self) -> String {
        let up = self.up.take().expect("it was begun");
        let output = up.wait_within(BUILT);
        tiny::end_engine(&self.sandbox);
        assert_eq!(output.code, Some(4), "{}", output.stderr);
        output.stderr
    }

    /// Names of images that the stack had built, with their ids.
    fn images(&self, app: &str) -> Vec<String> {
        let filter = format!("reference=localhost/mainstay/{}/{app}:*", self.name);
        let output =
            podman(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &filter]);
        // It lists every name of an image that has this one.
        let own = format!("localhost/mainstay/{}/", self.name);
        output.lines().filter(|line| line.starts_with(&own)).map(str::to_owned).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(up) = self.up.take() else { return };
        if std::thread::panicking() {
            eprintln!("{}\n{}", up.stdout(), up.stderr());
        }
        up.signal("TERM");
        up.wait_within(BUILT);
        for name in self.built() {
            let _ = std::process::Command::new("podman").args(["rmi", "-f", &name]).output();
        }
        tiny::end_engine(&self.sandbox);
    }
}

/// What it says on its standard output.
#[track_caller]
fn podman(arguments: &[&str]) -> String {
    let output =
        std::process::Command::new("podman").args(arguments).output().expect("podman: scripts/setup test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "podman {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
