//! Images that are pulled, from a registry of the test's own on loopback.

use super::{BUILT, Stack, podman};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use testkit::{Sandbox, http, wait_until, wait_within};

/// Whom the registry lets in.
const USER: &str = "anna";
const PASSWORD: &str = "h0nest-pass";
/// The same as htpasswd(1) writes it, with bcrypt.
const HTPASSWD: &str = "anna:$2b$05$A23ioQx9hKvlTqi7VMEzKuukvbpmqW1GbmQiY2oymvhoWA0dkLUi.\n";

/// Debian's registry, with a folder of its own.
struct Registry {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Registry {
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), testkit::free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"127.0.0.1:{port}\" }}\n\
             auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
            path("data"),
            path("htpasswd"),
        );
        let registries = format!("[[registry]]\nlocation = \"127.0.0.1:{port}\"\ninsecure = true\n");
        for (name, text) in
            [("config.yml", &*config), ("htpasswd", HTPASSWD), ("registries.conf", &registries)]
        {
            sys::durable::write(&folder.path().join(name), text.as_bytes(), 0o600).unwrap();
        }
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config.yml")]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry: scripts/setup test");
        let registry = Self { process, folder, port };
        wait_until("the registry answers", || http::try_status(port, "127.0.0.1", "/v2/"));
        registry
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self) -> String {
        format!("127.0.0.1:{}/t/app:1", self.port)
    }

    /// A small web server whose page is this word, under the one name.
    fn push(&self, word: &str) {
        let root = self.file(word);
        std::fs::create_dir_all(root.join("www")).unwrap();
        std::fs::copy("/bin/busybox", root.join("busybox")).expect("busybox-static: scripts/setup test");
        sys::durable::write(&root.join("www/index.html"), word.as_bytes(), 0o644).unwrap();
        let archive = self.file(&format!("{word}.tar")).display().to_string();
        let tar =
            Command::new("tar").args(["-C", &root.display().to_string(), "-cf", &archive, "."]).status();
        assert!(tar.expect("tar").success());
        let start = r#"CMD ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]"#;
        let name = self.image();
        podman(&["import", "--quiet", "--change", start, &archive, &name]);
        let login = format!("{USER}:{PASSWORD}");
        podman(&["push", "--quiet", "--tls-verify=false", "--creds", &login, &name]);
        podman(&["rmi", "--force", &name]);
    }

    /// `auth.json` with this password.
    fn auth(&self, password: &str) -> String {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        let text = format!(r#"{{"auths":{{"127.0.0.1:{}":{{"auth":"{pair}"}}}}}}"#, self.port);
        let path = self.file(&format!("auth-{password}.json"));
        sys::durable::write(&path, text.as_bytes(), 0o600).unwrap();
        path.display().to_string()
    }

    fn begin(&self, password: &str) -> Stack {
        let sandbox = Sandbox::with_manifest(&format!(
            "stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\n[[site.route]]\npath = \"/*\"\napp = \"web\"\n\
             [app.web]\nimage = \"{}\"\nport = 8080\n",
            self.image(),
        ));
        let (auth, registries) = (self.auth(password), self.file("registries.conf").display().to_string());
        Stack::begin(sandbox, &[("REGISTRY_AUTH_FILE", &auth), ("CONTAINERS_REGISTRIES_CONF", &registries)])
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = Command::new("podman").args(["rmi", "--force", "--ignore", &self.image()]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn says(stack: &Stack, word: &str) {
    wait_within(BUILT, word, || {
        (http::try_status(stack.port, "t.localhost", "/") == Some(200)
            && stack.get("t.localhost", "/") == word)
            .then_some(())
    });
}

#[test]
fn an_image_is_pulled_with_credentials_and_kept_until_it_is_pulled_again() {
    let registry = Registry::start();
    registry.push("first");
    let stack = registry.begin(PASSWORD);
    says(&stack, "first");
    let log = stack.build_log("web");
    assert!(log.contains("pulled ") && log.contains("@sha256:"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");

    registry.push("second");
    let again = stack.sandbox.run(["reload"]).expect_code(0);
    assert!(again.stdout.contains("no change"), "{again:?}");
    let instances = stack.pids("web");
    stack.sandbox.run(["reload", "--pull"]).expect_code(0);
    says(&stack, "second");
    wait_until("the old instance is gone", || {
        let now = stack.pids("web");
        (now.len() == 1 && now != instances).then_some(())
    });

    // Nothing newer: nobody is replaced.
    let instances = stack.pids("web");
    stack.sandbox.run(["reload", "--pull"]).expect_code(0);
    assert_eq!(stack.pids("web"), instances);
}

#[test]
fn wrong_credentials_are_said_in_the_registry_s_words() {
    let registry = Registry::start();
    registry.push("first");
    let reason = registry.begin("wr0ng-pass").refused();
    assert!(reason.contains("authentication required") || reason.contains("unauthorized"), "{reason}");
    assert!(reason.contains("podman login 127.0.0.1:") && !reason.contains("wr0ng-pass"), "{reason}");
}

#[test]
fn an_image_that_cannot_be_had_is_an_error_that_says_what_to_provide() {
    let registry = Registry::start();
    let reason = registry.begin(PASSWORD).refused();
    let name = registry.image();
    assert!(reason.contains("manifest unknown") || reason.contains("name unknown"), "{reason}");
    assert!(
        reason.contains("podman load -i FILE") && reason.contains(&format!("podman build -t {name}")),
        "{reason}"
    );
}
