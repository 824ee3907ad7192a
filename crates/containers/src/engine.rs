//! Which engine there is, and how it is spoken to.
//!
//! ```text
//! CONTAINER_HOST, DOCKER_HOST ─▶ Podman's socket ─▶ the program podman (a service of our own) ─▶ Docker's socket ─▶ none: how to get one
//! ```

use crate::greeting::{self, Greeting};
use bollard::{API_DEFAULT_VERSION, Docker};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds that an engine has for one answer. It pulls and builds in calls of their own, which go on as long as something comes.
const ANSWER: u64 = 120;
/// First and longest pause between two tries to reach an engine. They grow slowly: Podman's service, just started, listens after some tenths of
/// a second, and every container waits for it.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// What runs containers on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It listens: `unix:///path` or `tcp://host:port`.
    Listens(String),
    /// Podman is installed, and has no service: this program makes one.
    Podman(PathBuf),
}

/// Why there is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEngine {
    /// A variable names one that cannot be spoken to.
    #[error("{variable}={value}: only unix:///path and tcp://host:port can be spoken to")]
    Strange {
        /// `CONTAINER_HOST` or `DOCKER_HOST`.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// None is installed.
    #[error("there is no container engine on this host: {}", install())]
    None,
}

/// The command that installs one.
pub fn install() -> String {
    // crun refuses a host that has both versions of control groups mounted.
    let runtime = if mixed_cgroups() { "runc" } else { "crun" };
    format!("apt-get install podman {runtime} netavark aardvark-dns")
}

/// Both versions of control groups are mounted, and the first rules.
pub fn mixed_cgroups() -> bool {
    !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() && Path::new("/sys/fs/cgroup").exists()
}

/// Looks for an engine; `variable` reads the keeper's environment.
///
/// # Errors
/// [`NoEngine`], with the next step.
pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Found, NoEngine> {
    for name in ["CONTAINER_HOST", "DOCKER_HOST"] {
        let Some(value) = variable(name).filter(|value| !value.is_empty()) else { continue };
        return match value.starts_with("unix://") || value.starts_with("tcp://") {
            true => Ok(Found::Listens(value)),
            false => Err(NoEngine::Strange { variable: name, value }),
        };
    }
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let sockets = |root: &str, own: &str| -> Vec<PathBuf> {
        let own = runtime.as_ref().map(|runtime| runtime.join(own));
        own.filter(|_| !sys::user::is_root()).into_iter().chain([PathBuf::from(root)]).collect()
    };
    if let Some(socket) = listening(sockets("/run/podman/podman.sock", "podman/podman.sock")) {
        return Ok(Found::Listens(socket));
    }
    let path = variable("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let podman = std::env::split_paths(&path).map(|folder| folder.join("podman")).find(|file| file.is_file());
    if let Some(podman) = podman {
        return Ok(Found::Podman(podman));
    }
    listening(sockets("/run/docker.sock", "docker.sock")).map(Found::Listens).ok_or(NoEngine::None)
}

fn listening(sockets: Vec<PathBuf>) -> Option<String> {
    let socket = sockets.into_iter().find(|socket| answers(socket))?;
    Some(format!("unix://{}", socket.display()))
}

/// Whether somebody accepts connections there.
pub fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Seconds for which it can be asked how a command ended that was run inside a container.
const EXEC_KEPT: u32 = 10;

/// What Podman has to be told on this host, as the text of a containers.conf(5); none: nothing, or the administrator has written one, which
/// ours would replace.
pub fn configuration() -> Option<String> {
    if Path::new("/etc/containers/containers.conf").exists() {
        return None;
    }
    // A process stays behind each command that was run inside, until nobody can ask any more how it ended: five minutes, if nothing is said.
    let engine = format!("[engine]\nexit_command_delay = {EXEC_KEPT}\n");
    let runtime = mixed_cgroups().then(|| "runtime = \"runc\"\n".to_owned());
    [Some(engine), runtime, limits()].into_iter().flatten().reduce(|all, part| all + &part)
}

/// Without CAP_SYS_RESOURCE root cannot give a container more files and processes than it has itself, which Podman would: what to say instead.
/// It counts for a container without limits of its own only; one that has some is told the others with them.
fn limits() -> Option<String> {
    let [files, processes] = own_limits()?.map(|(name, most)| format!("\"{name}={most}:{most}\""));
    Some(format!("[containers]\ndefault_ulimits = [{files}, {processes}]\n"))
}

/// The most that a container can be given where root is not allowed to go beyond its own, each with its name as the engine knows it; none: it
/// may.
pub(crate) fn own_limits() -> Option<[(&'static str, u64); 2]> {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let may = u64::from_str_radix(effective.trim(), 16).ok()? & SYS_RESOURCE != 0;
    if may || !sys::user::is_root() {
        return None;
    }
    let own = std::fs::read_to_string("/proc/self/limits").ok()?;
    // "Max open files            1024                 4096                 files": the hard one is the second number.
    let hard = |name: &str| {
        own.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    let most = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse::<u64>().ok()?;
    Some([("nofile", hard("Max open files")?), ("nproc", hard("Max processes").unwrap_or(most).min(most))])
}

/// A connection to an engine whose version of the API has been agreed on.
///
/// # Errors
/// Whatever stands in the way, as the engine or the system says it.
pub async fn connect(engine: &str) -> Result<Docker, bollard::errors::Error> {
    if let Some(greeting) = greeting(engine).await {
        return Docker::connect_with_unix(engine, ANSWER, &greeting.version());
    }
    let docker = match engine.starts_with("tcp://") {
        true => Docker::connect_with_http(engine, ANSWER, API_DEFAULT_VERSION)?,
        false => Docker::connect_with_unix(engine, ANSWER, API_DEFAULT_VERSION)?,
    };
    docker.negotiate_version().await
}

/// What a local engine says to a ping.
async fn greeting(engine: &str) -> Option<Greeting> {
    greeting::ping(Path::new(engine.strip_prefix("unix://")?)).await
}

/// The same, tried again until it succeeds: who waits for a service that is being started again has nothing else to do.
pub async fn connect_patiently(engine: &str) -> Docker {
    let mut pause = PAUSE.0;
    loop {
        match connect(engine).await {
            Ok(docker) => return docker,
            Err(error) => tracing::debug!(engine, %error, "the engine does not answer"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(PAUSE.1);
    }
}

/// What an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Podman, not Docker.
    pub podman: bool,
    /// It has no rights beyond those of its user: containers' addresses cannot be reached from the host.
    pub rootless: bool,
}

/// Finds out what the engine behind a connection to `engine` is. A local Podman is rootless where its socket is not root's: what it says itself costs
/// it seconds.
///
/// # Errors
/// As [`connect`].
pub async fn kind(docker: &Docker, engine: &str) -> Result<Kind, bollard::errors::Error> {
    if greeting(engine).await.is_some_and(|greeting| greeting.podman) {
        let owner = engine.strip_prefix("unix://").and_then(|socket| std::fs::metadata(socket).ok());
        if let Some(owner) = owner {
            return Ok(Kind { podman: true, rootless: owner.uid() != 0 });
        }
    }
    let components = docker.version().await?.components.unwrap_or_default();
    let podman = components.iter().any(|component| component.name.starts_with("Podman"));
    let options = docker.info().await?.security_options.unwrap_or_default();
    Ok(Kind { podman, rootless: options.iter().any(|option| option.contains("rootless")) })
}

/// The connection is gone, or the engine is on its way out: it may be asked again. Anything else is its answer.
pub fn is_lost(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error;
    !matches!(
        error,
        Error::DockerResponseServerError { .. }
            | Error::DockerContainerWaitError { .. }
            | Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. }
            | Error::URLEncodedError { .. }
    )
}

/// Status of an engine's answer that is an error.
pub fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An engine's error in its own words.
pub fn words(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_believed_first() {
        let only = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        let found = find(only("DOCKER_HOST", "unix:///x/y.sock"));
        assert_eq!(found, Ok(Found::Listens("unix:///x/y.sock".into())));
        let found = find(only("CONTAINER_HOST", "ssh://somewhere"));
        let error = found.unwrap_err().to_string();
        assert!(error.contains("CONTAINER_HOST=ssh://somewhere"), "{error}");
    }

    #[test]
    fn who_has_none_is_told_the_command() {
        let error = NoEngine::None.to_string();
        assert!(error.contains("apt-get install podman") && error.contains("aardvark-dns"), "{error}");
    }
}
