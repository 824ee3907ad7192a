//! A keeper of a test's own, and projects below it.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use testkit::http::{self, Connection};
use testkit::tiny::{self, Belongings};
use testkit::{Output, Running, Sandbox, free_port, wait_within};

/// What an engine does in a second takes it many where the machine is busy.
pub const LONG: Duration = Duration::from_secs(120);

/// Runs what it is sent.
const SHELL: &str =
    "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nhead -c \"$CONTENT_LENGTH\" | sh 2>&1\n";

/// A home for several projects, and what they serve.
pub struct Ground {
    // before the sandbox: what an engine has of them goes first
    belongings: Vec<Belongings>,
    pub sandbox: Sandbox,
    pub port: u16,
}

impl Ground {
    /// None: there is no engine, which is said.
    pub fn new() -> Option<Self> {
        tiny::image()?;
        let sandbox = Sandbox::with_manifest("");
        fs::remove_file(sandbox.stack().join("mainstay.toml")).unwrap();
        sandbox.write("www/index.html", "hello\n");
        let script = sandbox.write("www/cgi-bin/sh", SHELL);
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { belongings: Vec::new(), sandbox, port: free_port() })
    }

    /// A project of its own folder with this as its `docker-compose.yml`. In it `PORT` to `PORT3` are free ports, and `web.yaml` beside it has the
    /// service `web`, to be extended.
    pub fn shape(&mut self, name: &str, file: &str) -> Shape {
        let project = format!("e2e-{name}-{}", self.port);
        self.belongings.push(Belongings::of(&project));
        let ports = [free_port(), free_port(), free_port()];
        let shape = Shape {
            folder: self.sandbox.stack().join(name),
            home: self.sandbox.home(),
            edge: self.port,
            project: project.clone(),
            ports,
        };
        let variables = format!(
            "PORT={}\nPORT2={}\nPORT3={}\nEMPTY=\nFOLDER={}\n",
            ports[0],
            ports[1],
            ports[2],
            shape.folder.display()
        );
        self.sandbox.write(&format!("{name}/.env"), variables);
        self.sandbox.write(&format!("{name}/web.yaml"), include_str!("shapes/web.yaml"));
        self.sandbox.write(&format!("{name}/docker-compose.yml"), format!("name: {project}\n{file}"));
        shape
    }

    /// Another file of a project.
    pub fn write(&self, shape: &Shape, name: &str, text: &str) {
        let folder = shape.folder.file_name().unwrap().to_string_lossy();
        self.sandbox.write(&format!("{folder}/{name}"), text);
    }

    /// Ends everything, and finds nothing left of containers and networks.
    pub fn end(self) {
        let home = self.sandbox.home();
        let arguments = ["stop", "--all", "--home", home.to_str().unwrap()];
        self.sandbox.start(arguments).wait_within(LONG).expect_code(0);
        for of in &self.belongings {
            assert!(of.containers().is_empty() && of.networks().is_empty());
        }
        end_engine(&self.sandbox);
    }
}

/// What the engine keeps for a while after the last container: its service for a minute, Podman a process of each command.
fn end_engine(sandbox: &Sandbox) {
    let engines = |pid: &u32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("podman") || words.contains("conmon")
    };
    wait_within(LONG, "nothing of the engine is left", || {
        let left: Vec<u32> = sandbox.processes().into_iter().filter(engines).collect();
        left.iter().for_each(|pid| testkit::signal(*pid, "KILL"));
        left.is_empty().then_some(())
    });
}

/// A project.
pub struct Shape {
    pub folder: PathBuf,
    pub project: String,
    pub ports: [u16; 3],
    home: PathBuf,
    edge: u16,
}

impl Shape {
    /// A verb about it, in its folder.
    pub fn starting(&self, verb: &[&str]) -> Running {
        let mut command = std::process::Command::new(testkit::binary());
        command.args(["--home", self.home.to_str().unwrap()]).args(verb);
        command.current_dir(&self.folder).env("NO_COLOR", "1");
        Running::start(command)
    }

    #[track_caller]
    pub fn run(&self, verb: &[&str]) -> Output {
        self.starting(verb).wait_within(LONG)
    }

    /// `start`, until all of it is up.
    #[track_caller]
    pub fn start_with(&self, options: &[&str]) -> Output {
        let http = format!("127.0.0.1:{}", self.edge);
        let verb = ["start", "--http", &http];
        self.run(&[&verb, options].concat()).expect_code(0)
    }

    #[track_caller]
    pub fn start(&self) -> Output {
        self.start_with(&[])
    }

    /// Stops it; its volumes stay.
    #[track_caller]
    pub fn stop(&self) {
        self.run(&["stop"]).expect_code(0);
    }

    /// What its page says.
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        let answer = http::get(self.ports[0], "localhost", path);
        assert_eq!(answer.status, 200, "{} {path}: {}", self.project, answer.text());
        answer.text()
    }

    /// What a script says in the container behind the first port.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.sh_at(self.ports[0], script)
    }

    /// The same behind another one.
    #[track_caller]
    pub fn sh_at(&self, port: u16, script: &str) -> String {
        let mut connection = Connection::open(("127.0.0.1", port));
        connection.send(format!(
            "POST /cgi-bin/sh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{script}",
            script.len()
        ));
        let answer = connection.response();
        assert_eq!(answer.status, 200, "{} {script}: {}", self.project, answer.text());
        answer.text().trim().to_owned()
    }

    /// Its apps in `status`.
    pub fn apps(&self) -> Vec<Value> {
        let status = self.run(&["status", "--json"]).expect_code(0).json();
        let stacks = status["stacks"].as_array().cloned().unwrap_or_default();
        let own = stacks.into_iter().find(|stack| stack["name"] == self.project.as_str());
        own.and_then(|stack| stack["apps"].as_array().cloned()).unwrap_or_default()
    }

    #[track_caller]
    pub fn app(&self, name: &str) -> Value {
        self.apps().into_iter().find(|app| app["name"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Process ids of the runners of a service.
    #[track_caller]
    pub fn pids(&self, name: &str) -> Vec<u64> {
        let app = self.app(name);
        let instances = app["instances"].as_array().cloned().unwrap_or_default();
        instances.iter().filter_map(|instance| instance["pid"].as_u64()).collect()
    }

    /// What a service has written so far.
    #[track_caller]
    pub fn logs(&self, name: &str) -> String {
        self.run(&["logs", name]).expect_code(0).stdout
    }
}
