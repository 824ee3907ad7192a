//! Who one is to a registry: read from the files of the engines, each time it is asked, kept nowhere.
//!
//! Order: `$REGISTRY_AUTH_FILE` alone, if it is set; else `containers/auth.json` below `$XDG_RUNTIME_DIR` (`/run/containers/UID/auth.json`), below
//! `$XDG_CONFIG_HOME`, and Docker's `config.json`. In each: the helper of the registry, what stands in the file, the helper of all registries.
//! Helpers are programs beside `$PATH`'s others (docker-credential-helpers protocol), run without a shell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Longest time that a helper may take.
const HELPER: Duration = Duration::from_secs(20);
/// What Docker calls its own registry in its file.
const HUB: [&str; 3] = ["https://index.docker.io/v1/", "docker.io", "index.docker.io"];
/// What a helper says instead of a user where the secret is a token.
const TOKEN: &str = "<token>";

/// Where credentials are.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    files: Vec<PathBuf>,
    for_podman: bool,
}

/// A file of the engines.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AuthFile {
    auths: BTreeMap<String, AuthEntry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    /// Those of whoever runs this process.
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        if let Some(file) = variable("REGISTRY_AUTH_FILE") {
            return Self { files: vec![file], for_podman: false };
        }
        let home = variable("HOME");
        let uid = rustix::process::getuid().as_raw();
        let running = variable("XDG_RUNTIME_DIR").map(|it| it.join("containers"));
        let running = running.unwrap_or_else(|| PathBuf::from(format!("/run/containers/{uid}")));
        let config = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|it| it.join(".config")));
        let docker = variable("DOCKER_CONFIG").or_else(|| home.map(|it| it.join(".docker")));
        let files = [
            Some(running.join("auth.json")),
            config.map(|it| it.join("containers/auth.json")),
            docker.map(|it| it.join("config.json")),
        ];
        Self { files: files.into_iter().flatten().collect(), for_podman: false }
    }

    /// For Podman, whose service reads all of these files but `$REGISTRY_AUTH_FILE` itself. It reads what it is sent as base64url, and the
    /// client writes base64: what differs there is not sent.
    pub fn for_podman(self) -> Self {
        Self { for_podman: true, ..self }
    }

    fn can_be_sent(&self, credentials: &DockerCredentials) -> bool {
        let text = serde_json::to_vec(credentials).unwrap_or_default();
        !self.for_podman || !STANDARD.encode(text).contains(['+', '/'])
    }

    /// For one registry; none: nobody.
    pub async fn of(&self, registry: &str) -> Option<DockerCredentials> {
        for file in &self.files {
            let Some(read) = read(file) else { continue };
            if let Some(found) = in_file(&read, registry).await {
                return Some(found).filter(|found| self.can_be_sent(found));
            }
        }
        None
    }

    /// For all registries that the files name: a build may start from images of any.
    pub async fn all(&self) -> HashMap<String, DockerCredentials> {
        let mut all = HashMap::new();
        for read in self.files.iter().filter_map(|file| read(file)) {
            for registry in read.auths.keys().chain(read.cred_helpers.keys()) {
                if let Some(found) = in_file(&read, registry).await {
                    all.entry(registry.clone()).or_insert(found);
                }
            }
        }
        // All of them travel in one header, at places that nobody knows: what might differ there is left out.
        let plain = |text: &Option<String>| {
            !text.as_ref().is_some_and(|it| it.contains(['>', '?', '~']) || !it.is_ascii())
        };
        all.retain(|_, it: &mut DockerCredentials| {
            !self.for_podman || (plain(&it.username) && plain(&it.password) && plain(&it.identitytoken))
        });
        all
    }
}

/// One that is not there or is broken counts as none: the engine would not read it either.
fn read(file: &Path) -> Option<AuthFile> {
    let text = std::fs::read(file).ok()?;
    let read = serde_json::from_slice(&text);
    // Not the error itself: it may quote what it stumbled over.
    read.inspect_err(
        |_| tracing::warn!(file = %file.display(), "credentials cannot be read: it is no such JSON"),
    )
    .ok()
}

/// What the file may call the registry.
fn names(registry: &str) -> Vec<String> {
    let plain = registry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    if HUB.contains(&registry) || HUB.contains(&plain) {
        return HUB.iter().map(|&it| it.to_owned()).collect();
    }
    vec![
        plain.to_owned(),
        format!("https://{plain}"),
        format!("http://{plain}"),
        format!("https://{plain}/"),
        registry.to_owned(),
    ]
}

async fn in_file(file: &AuthFile, registry: &str) -> Option<DockerCredentials> {
    let names = names(registry);
    let helper = names.iter().find_map(|name| file.cred_helpers.get(name));
    if let Some(helper) = helper {
        return ask(helper, &names).await;
    }
    let written =
        names.iter().find_map(|name| file.auths.get(name)).and_then(|entry| written(entry, registry));
    match (&written, &file.creds_store) {
        (None, Some(store)) => ask(store, &names).await,
        _ => written,
    }
}

fn written(entry: &AuthEntry, registry: &str) -> Option<DockerCredentials> {
    let serveraddress = Some(registry.to_owned());
    if let Some(token) = entry.identitytoken.clone().filter(|it| !it.is_empty()) {
        return Some(DockerCredentials { identitytoken: Some(token), serveraddress, ..Default::default() });
    }
    let pair = STANDARD.decode(entry.auth.as_ref()?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.trim_end_matches('\0').split_once(':')?;
    let (username, password) = (Some(user.to_owned()), Some(password.to_owned()));
    Some(DockerCredentials { username, password, serveraddress, ..Default::default() })
}

/// Asks a helper for the first of these names that it knows.
async fn ask(helper: &str, names: &[String]) -> Option<DockerCredentials> {
    // A name with a slash would be a path.
    if helper.is_empty() || helper.contains('/') {
        return None;
    }
    for name in names {
        let program = format!("docker-credential-{helper}");
        let said = tokio::time::timeout(HELPER, run(program.as_ref(), name)).await.ok().flatten();
        if let Some(Answer { username, secret }) = said {
            let serveraddress = Some(name.clone());
            return Some(if username == TOKEN {
                DockerCredentials { identitytoken: Some(secret), serveraddress, ..Default::default() }
            } else {
                DockerCredentials {
                    username: Some(username),
                    password: Some(secret),
                    serveraddress,
                    ..Default::default()
                }
            });
        }
    }
    None
}

async fn run(program: &Path, name: &str) -> Option<Answer> {
    let mut command = tokio::process::Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .inspect_err(|error| tracing::warn!(program = %program.display(), %error, "credential helper"))
        .ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(name.as_bytes()).await.ok()?;
    drop(stdin);
    let output = child.wait_with_output().await.ok()?;
    serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
