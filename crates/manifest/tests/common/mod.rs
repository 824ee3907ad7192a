//! A folder with all that the fixtures name, and an environment that is the same on every machine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, dead_code)]

use manifest::{Diagnostics, Loaded, StackSpec};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A hash in form, of no password.
pub const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRoZXJlMTIzNA$LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE";

/// A manifest in a folder of its own.
pub struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// Copies a fixture there, with its `.env` if it brings one.
    pub fn new(manifest: &Path) -> Self {
        let stage = Self::with(&fs::read_to_string(manifest).unwrap());
        let own = manifest.with_extension("env");
        if own.exists() {
            fs::copy(own, stage.path().join(".env")).unwrap();
        }
        stage
    }

    /// A manifest with this text.
    pub fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { folder };
        stage.mode("", 0o755);
        for folder in ["bin", "public", "secrets", "locked", "locked/public"] {
            fs::create_dir(stage.path().join(folder)).unwrap();
            stage.mode(folder, 0o755);
        }
        for program in ["python3", "node", "mariadbd", "mariadb-install-db", "mariadb"] {
            stage.file(&format!("bin/{program}"), "#!/bin/sh\n", 0o755);
        }
        stage.file("notexec.sh", "#!/bin/sh\n", 0o644);
        let page = "<h1>{status}</h1>";
        for page_name in ["404.html", "5xx.html", "closed.html", "public/index.html", "public/missing.html"] {
            stage.file(page_name, page, 0o644);
        }
        stage.file("cert.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", 0o644);
        for (key, mode) in [("key.pem", 0o600), ("open.pem", 0o644)] {
            stage.file(key, "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", mode);
        }
        stage.file("users", &format!("# who may pass\n\nberta:{HASH}\n"), 0o600);
        stage.file("bad-users", &format!("anna:{HASH}\nanna:{HASH}\nberta:hunter2\ncarla\n"), 0o600);
        stage.file("hash", &format!("{HASH}\n"), 0o600);
        for script in ["app.py", "with space.py", "worker.py", "public/app.py"] {
            stage.file(script, "", 0o644);
        }
        stage.file("secrets/db", "hunter2\n", 0o640);
        stage.file("secrets/open", "hunter2", 0o644);
        stage.file(".env", "DOTENV_VALUE=hunter2\nBOTH=from the file\n", 0o640);
        stage.file(
            "good.env",
            "# comment\nSHARED=hunter2\nFILE_ONLY=hunter2 # comment\nTWICE=first\n",
            0o640,
        );
        stage.file("services.env", "# of the database\nDB_PASSWORD=your_secure_hunter2\n", 0o640);
        stage.file("later.env", "TWICE=hunter2\n", 0o640);
        stage.file("duplicate.env", "A=hunter2\nB=2\nA=hunter2 again\n", 0o640);
        stage.file("double.env", "LEGEND=a â†’ b\n", 0o640);
        stage.file("broken.env", "GOOD=1\nDB_PASSWORD hunter2\n=hunter2\nB='hunter2\n", 0o640);
        stage.mode("locked", 0o000);
        stage.file("mainstay.toml", text, 0o644);
        stage
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path().join(name), text).unwrap();
        self.mode(name, mode);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Loads the manifest.
    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        manifest::load(self.path(), &|name| self.variable(name))
    }

    /// Loads a text in the manifest's place.
    pub fn load_text(&self, text: &str) -> Result<Loaded, Diagnostics> {
        manifest::load_from(text, &self.path().join("mainstay.toml"), &|name| self.variable(name))
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "PATH" => Some(self.path().join("bin").display().to_string()),
            "SHELL_VALUE" => Some("from the shell".into()),
            "API_TOKEN" => Some("hunter2".into()),
            "ORIGINS" => Some("https://a.example, https://b.example:8443".into()),
            "HASH" => Some(HASH.into()),
            "BOTH" => Some("from the shell".into()),
            _ => None,
        }
    }

    /// Without what differs from machine to machine.
    pub fn neutral(&self, text: &str) -> String {
        let folder = fs::canonicalize(self.path()).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let stack = name.trim_matches('.').to_lowercase();
        let mut text = text
            .replace(&*folder.to_string_lossy(), "/srv/shop")
            .replace(&format!("\"{stack}\""), "\"shop\"");
        for user in ["user `mainstay`", "user `nobody`", "uid "] {
            while let Some(at) = text.find(user) {
                let end = at
                    + user.len()
                    + text[at + user.len()..].find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                text.replace_range(at..end, "THE USER");
            }
        }
        text
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.mode("locked", 0o755);
    }
}

/// The specification with every secret made the same.
pub fn masked(spec: &StackSpec) -> StackSpec {
    let mut spec = spec.clone();
    let tasks = spec.tasks.values_mut().map(|task| &mut task.app);
    let apps = spec.apps.values_mut().chain(tasks).flat_map(|app| app.env.values_mut());
    let bindings = spec.acme.iter_mut().flat_map(|acme| {
        let keys = acme.authorities.iter_mut().filter_map(|own| Some(&mut own.eab.as_mut()?.hmac_key));
        keys.chain(acme.dns.iter_mut().flat_map(|dns| dns.env.values_mut()))
    });
    for value in apps.chain(bindings) {
        if let model::spec::EnvValue::Secret(_) | model::spec::EnvValue::Kept(_) = value {
            *value = model::spec::EnvValue::Secret(model::Secret::new(""));
        }
    }
    for service in spec.services.values_mut().filter(|service| service.password.is_some()) {
        service.password = Some(model::Secret::new(""));
    }
    let policies = spec.sites.iter_mut().flat_map(|site| &mut site.routes).map(|route| &mut route.policy);
    for user in policies.filter_map(|policy| policy.basic_auth.as_mut()).flat_map(|auth| &mut auth.users) {
        user.hash.clear();
    }
    spec
}
