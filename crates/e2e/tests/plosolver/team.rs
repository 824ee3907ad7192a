//! The team's folder: its compose file as it is, what is laid over it, and what is asked of it while it runs.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use testkit::http::{Response, get};
use testkit::tiny::Belongings;
use testkit::{Running, Sandbox, free_port, images, tiny, wait_until};

/// Longest time until all of it runs, on a machine that does much else.
pub const LONG: Duration = Duration::from_secs(180);

/// A file of the team's documents; none, which is said: they are not beside the project.
pub fn fragment(name: &str) -> Option<String> {
    let path = testkit::checkout().join("../shared/fragments").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no {}", path.display());
    }
    text
}

/// The folder, with `docker` first in `PATH` of what is run in it.
pub struct Team {
    pub engine: Belongings,
    pub sandbox: Sandbox,
    pub name: String,
    pub port: u16,
    pub https: u16,
    pub dashboard: u16,
    /// What the files are named by, in their order.
    pub files: Vec<String>,
    up: Option<Running>,
}

impl Team {
    /// With the file as it is, the variables, and the overlay. None: there is no engine, or there are no documents.
    pub fn new(variables: &str) -> Option<Self> {
        let (file, variables) = (fragment("CFG-05.plosolver.docker-compose.yml")?, fragment(variables)?);
        let mut team = Self::empty()?;
        images::postgres();
        images::python();
        team.lay("docker-compose.yml", &file);
        team.lay("overlay.yml", include_str!("overlay.yml"));
        let texts = [
            (".env", &*variables),
            ("frontend.Dockerfile", include_str!("frontend.Dockerfile")),
            ("backend.Dockerfile", include_str!("backend.Dockerfile")),
            ("equity_server.py", include_str!("equity_server.py")),
            ("index.html", "<div id=\"root\"></div>\n"),
        ];
        for (name, text) in texts {
            team.sandbox.write(name, text);
        }
        Some(team)
    }

    /// Without a file.
    pub fn empty() -> Option<Self> {
        tiny::image()?;
        let (port, https, dashboard) = (free_port(), free_port(), free_port());
        let name = format!("plo-{}-{port}", std::process::id());
        let sandbox = Sandbox::empty();
        std::fs::create_dir(sandbox.folder().join("bin")).unwrap();
        symlink(testkit::binary(), sandbox.folder().join("bin/docker")).unwrap();
        Some(Self {
            engine: Belongings::of(&name),
            sandbox,
            name,
            port,
            https,
            dashboard,
            files: Vec::new(),
            up: None,
        })
    }

    /// Lays a file over those that there are.
    pub fn lay(&mut self, name: &str, text: &str) {
        let ports = [("HTTPS", self.https), ("HTTP", self.port), ("DASHBOARD", self.dashboard)];
        let text = ports.iter().fold(text.to_owned(), |text, (word, port)| {
            text.replace(&format!("127.0.0.1:{word}:"), &format!("127.0.0.1:{port}:"))
        });
        self.sandbox.write(name, text);
        self.files.push(name.to_owned());
    }

    /// `docker compose` with all files, then these words.
    pub fn compose(&self, words: &str) -> String {
        let mut line = "docker compose".to_owned();
        self.files.iter().for_each(|file| write!(line, " -f {file}").unwrap());
        format!("{line} -p {} {words}", self.name)
    }

    /// In the folder.
    pub fn shell(&self, script: &str) -> Command {
        let path = format!("{}/bin:{}", self.sandbox.folder().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(self.sandbox.stack());
        command.env("PATH", path).env("NO_COLOR", "1").env("XDG_STATE_HOME", self.sandbox.folder());
        command
    }

    #[track_caller]
    pub fn done(&self, script: &str) -> String {
        let output = self.shell(script).output().unwrap();
        succeeded(script, &output)
    }

    /// The same, with this on its standard input; what it printed.
    #[track_caller]
    pub fn piped(&self, script: &str, input: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut command = self.shell(script);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        succeeded(script, &output);
        writer.join().unwrap().unwrap();
        output.stdout
    }

    /// Runs it in the foreground, in the background of the test, until all of it is up; what was said until then.
    #[track_caller]
    pub fn up(&mut self, options: &[&str]) -> String {
        let mut words: Vec<&OsStr> = vec!["up".as_ref(), "-p".as_ref(), self.name.as_ref()];
        for file in &self.files {
            words.extend([OsStr::new("-f"), file.as_ref()]);
        }
        words.extend(options.iter().map(OsStr::new));
        let up = self.sandbox.start(words);
        testkit::wait_within(LONG, "all of it is up", || {
            let said = up.stdout() + &up.stderr();
            let is_up = said.contains(" is up: ");
            assert!(is_up || testkit::is_alive(up.pid()), "{said}");
            is_up.then_some(())
        });
        let said = up.stdout() + &up.stderr();
        self.up = Some(up);
        said
    }

    /// All that there is to say about the files, a sentence in a line.
    #[track_caller]
    pub fn checked(&self, options: &[&str]) -> String {
        let mut words = vec!["check", "--json", "-p", &self.name];
        self.files.iter().for_each(|file| words.extend(["-f", file.as_ref()]));
        words.extend(options);
        let said = self.sandbox.run(words).expect_code(0).json();
        let messages = said["diagnostics"].as_array().expect("diagnostics").iter();
        messages.map(|it| format!("{}\n", it["message"].as_str().unwrap_or_default())).collect()
    }

    /// Ends it, as Ctrl-C does.
    #[track_caller]
    pub fn end(&mut self) {
        let up = self.up.take().unwrap();
        up.signal("INT");
        up.wait_within(LONG).expect_code(0);
        wait_until("no container is left", || self.engine.containers().is_empty().then_some(()));
    }

    #[track_caller]
    pub fn get(&self, host: &str, path: &str) -> Response {
        get(self.port, host, path)
    }

    /// Which instance of the backend answers here.
    #[track_caller]
    pub fn who(&self, path: &str) -> String {
        let answer = self.get("localhost", path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["name"].as_str().unwrap().to_owned()
    }

    /// All that the dashboard knows.
    #[track_caller]
    pub fn routing(&self) -> serde_json::Value {
        get(self.dashboard, "localhost", "/api/rawdata").json()
    }

    /// Process ids of a service's instances.
    #[track_caller]
    pub fn pids(&self, service: &str) -> Vec<u64> {
        self.instances(service).iter().map(|instance| instance["pid"].as_u64().unwrap()).collect()
    }

    #[track_caller]
    pub fn instances(&self, service: &str) -> Vec<serde_json::Value> {
        let status = self.sandbox.status();
        let apps = status["stacks"][0]["apps"].as_array().unwrap().clone();
        let app = apps.into_iter().find(|app| app["name"] == service).unwrap();
        app["instances"].as_array().unwrap().clone()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        if let Some(up) = self.up.take() {
            if std::thread::panicking() {
                eprintln!("{}\n{}", up.stdout(), up.stderr());
            }
            up.signal("TERM");
            up.wait_within(LONG);
        }
        if !std::thread::panicking() {
            tiny::end_engine(&self.sandbox);
        }
    }
}

#[track_caller]
fn succeeded(script: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
