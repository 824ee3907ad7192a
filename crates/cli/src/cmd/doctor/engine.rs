//! The container engine: whether there is one, and whether what it needs on this host is there.
//!
//! Podman is asked with its own `info`; what it is made to do by Mainstay (`containers::engine::configuration`) counts as done.

use super::Finding;
use containers::engine::{self, Found};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest time for the engine to say what it is.
const ANSWER: Duration = Duration::from_secs(30);
/// Where Debian and others keep what Podman runs.
const HELPERS: [&str; 5] = [
    "/usr/lib/podman",
    "/usr/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/local/libexec/podman",
    "/usr/bin",
];
/// Plugins of the older kind of network.
const PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// All of it.
pub(super) fn look() -> Vec<Finding> {
    match engine::find(|name| std::env::var(name).ok()) {
        Err(error) => vec![Finding::limited(
            "container engine",
            error.to_string(),
            "apps with `image`, and compose files, cannot run; all else can",
            format!("sudo {}", engine::install()),
        )],
        Ok(Found::Podman(program)) => podman(&program),
        Ok(Found::Listens(engine)) => listening(&engine),
    }
}

/// One that has a service of its own.
fn listening(engine: &str) -> Vec<Finding> {
    let about = "container engine";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let answer = async {
            let docker = engine::connect(engine).await?;
            engine::kind(&docker, engine).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(ANSWER, answer).await });
        answer.map_err(|_| "is silent".to_owned())?.map_err(|error| error.to_string())
    });
    match asked {
        Err(error) => vec![Finding::broken(
            about,
            format!("{engine}: {error}"),
            "apps in containers cannot run",
            "start it, or unset CONTAINER_HOST and DOCKER_HOST: Mainstay then starts Podman itself",
        )],
        Ok(kind) if kind.podman => {
            let service =
                Finding::good(about, format!("Podman, listening at {engine}, {}", rights(kind.rootless)));
            let rest = program("podman").map(|program| podman(&program)).unwrap_or_default();
            std::iter::once(service).chain(rest.into_iter().skip(1)).collect()
        }
        Ok(kind) => {
            vec![Finding::good(about, format!("Docker, listening at {engine}, {}", rights(kind.rootless)))]
        }
    }
}

fn rights(rootless: bool) -> &'static str {
    if rootless { "without root" } else { "as root" }
}

/// What Podman says of itself, and what it says nothing of.
fn podman(program: &Path) -> Vec<Finding> {
    let info = match info(program) {
        Ok(info) => info,
        Err(error) => {
            let means = "apps in containers cannot run";
            let found = format!("{} info: {error}", program.display());
            return vec![Finding::broken("container engine", found, means, "put right what it says")];
        }
    };
    let text = |at: &str| info.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rootless = info.pointer("/host/security/rootless").and_then(Value::as_bool).unwrap_or(false);
    let version = text("/version/Version");
    let mut findings = vec![
        Finding::good(
            "container engine",
            format!("Podman {version}, {}; Mainstay starts it when it is needed", rights(rootless)),
        ),
        runtime(&text("/host/ociRuntime/name")),
        limits(),
        storage(&text("/store/graphDriverName"), rootless),
    ];
    findings.extend(network(&text("/host/networkBackend")));
    findings.push(builds());
    if rootless {
        findings.extend([ids(), Finding::good("network without root", "published on ports of loopback")]);
        findings.extend(rootless_programs());
    }
    findings
}

fn info(program: &Path) -> Result<Value, String> {
    let mut command = Command::new(program);
    command.args(["info", "--format", "json"]).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("fails without a word").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn runtime(own: &str) -> Finding {
    let about = "container runtime";
    if !engine::mixed_cgroups() {
        return match program(own) {
            Some(_) => Finding::good(about, own),
            None => Finding::broken(
                about,
                format!("{own} is not installed"),
                "no container can start",
                "sudo apt-get install crun",
            ),
        };
    }
    // What the administrator has written stays: then it has to say so itself.
    let theirs = Path::new("/etc/containers/containers.conf").exists();
    match program("runc") {
        None => Finding::broken(
            about,
            format!(
                "{own} refuses hosts with both versions of control groups mounted, as this one, and runc is not installed"
            ),
            "no container can start",
            "sudo apt-get install runc",
        ),
        Some(_) if theirs && own != "runc" => Finding::broken(
            about,
            format!(
                "{own}, by /etc/containers/containers.conf, which refuses hosts with both versions of control groups mounted"
            ),
            "no container can start",
            "write runtime = \"runc\" below [engine] in /etc/containers/containers.conf",
        ),
        Some(_) => {
            Finding::good(about, "runc: both versions of control groups are mounted, and crun would refuse")
        }
    }
}

fn limits() -> Finding {
    let about = "limits of containers";
    let configuration = engine::configuration().unwrap_or_default();
    match configuration.lines().find(|line| line.starts_with("default_ulimits")) {
        Some(limits) => Finding::limited(
            about,
            format!("the capability CAP_SYS_RESOURCE is missing: Mainstay has Podman set {limits}"),
            "a container gets no more files and processes than that; `ulimits` beyond are refused by the kernel",
            "give the capability, or raise the limits of whoever starts Mainstay (LimitNOFILE, LimitNPROC)",
        ),
        None => Finding::good(about, "as the engine sets them"),
    }
}

fn storage(driver: &str, rootless: bool) -> Finding {
    let about = "storage of images";
    if driver != "vfs" {
        return Finding::good(about, driver);
    }
    let mend = if rootless {
        "sudo apt-get install fuse-overlayfs"
    } else {
        "write driver = \"overlay\" below [storage] in /etc/containers/storage.conf"
    };
    let means = "each layer is copied whole: builds and starts are slow, and take many times the disk";
    Finding::limited(
        about,
        "vfs",
        means,
        format!("{mend}; then podman system reset, which removes what there is"),
    )
}

fn network(backend: &str) -> Vec<Finding> {
    let install = "sudo apt-get install netavark aardvark-dns iptables";
    let means = "containers do not find each other by name";
    let helper =
        |name: &str, folders: &[&str]| folders.iter().any(|folder| Path::new(folder).join(name).is_file());
    let names = match backend {
        "netavark" if helper("aardvark-dns", &HELPERS) => {
            Finding::good("names of containers", "aardvark-dns")
        }
        "netavark" => Finding::broken(
            "names of containers",
            "aardvark-dns is not installed",
            means,
            "sudo apt-get install aardvark-dns",
        ),
        _ if helper("dnsname", &PLUGINS) => Finding::good("names of containers", "the plugin dnsname"),
        other => Finding::broken(
            "names of containers",
            format!("the network backend is {other}, without the plugin dnsname"),
            means,
            format!("{install}; then podman system reset, which removes what there is"),
        ),
    };
    let rules = match (backend, program("iptables")) {
        ("netavark", None) => Finding::broken(
            "network of containers",
            "iptables is not installed",
            "no network can be made",
            install,
        ),
        _ => Finding::good("network of containers", backend),
    };
    vec![rules, names]
}

fn builds() -> Finding {
    let about = "builds of images";
    if engine::configuration().is_some() {
        Finding::good(about, "in a chroot: no runtime is needed for them")
    } else {
        Finding::good(about, "as the engine does them")
    }
}

/// Subordinate user and group ids (subuid(5)).
fn ids() -> Finding {
    let uid = sys::user::uid();
    let name = sys::user::by_uid(uid).map(|user| user.name).unwrap_or_default();
    let has = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let owner = |line: &str| line.split(':').next().is_some_and(|it| it == name || it == uid.to_string());
        text.lines().any(owner)
    };
    if has("/etc/subuid") && has("/etc/subgid") {
        return Finding::good("subordinate ids", "given to this user");
    }
    Finding::broken(
        "subordinate ids",
        format!("none for {name} in /etc/subuid and /etc/subgid"),
        "images with more than one user cannot be unpacked",
        format!(
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}; then podman system migrate"
        ),
    )
}

fn rootless_programs() -> Vec<Finding> {
    let mut findings = Vec::new();
    if program("newuidmap").is_none() {
        let found = "newuidmap is not installed";
        findings.push(Finding::broken(
            "programs without root",
            found,
            "no container can start",
            "sudo apt-get install uidmap",
        ));
    }
    if program("slirp4netns").is_none() && program("pasta").is_none() {
        let found = "neither slirp4netns nor pasta is installed";
        findings.push(Finding::broken(
            "programs without root",
            found,
            "containers have no network",
            "sudo apt-get install slirp4netns",
        ));
    }
    findings
}

/// Where a program is; also where only root looks.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file())
}
