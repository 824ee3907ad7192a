//! The runner of one container: `mainstay container run FILE`, a process under the instance's shim.
//!
//! ```text
//! leftovers of its slot go ─▶ networks, volumes ─▶ create ─▶ start ─▶ address written
//!      ─▶ output copied, end waited for ─▶ removed ─▶ outcome written ─▶ exits with the container's status
//! SIGTERM: the container is stopped, by its own signal and within its own time · other signals go on to it
//! ```
//! A connection to the engine that is lost ends nothing: it is made again, output goes on where it stopped. No state on disk but
//! what [`wire::container`] names.

mod create;
mod follow;
mod memory;
mod prepare;
mod signals;

use crate::engine::{self, Kind};
use crate::listing;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use signals::{Signals, Told};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use sys::cgroup::{Group, Host};
use wire::container::{
    Confined, LABEL_APP, LABEL_HOME, LABEL_SLOT, LABEL_STACK, NOWHERE, Outcome, RunnerPort, RunnerSpec,
    address_file, confined_file, outcome_file,
};

/// Exit status where there was no container to take one from: as a shell's for a command that cannot be executed.
const NO_CONTAINER: i32 = 126;
/// Exit status of one that SIGKILL ended, or that somebody removed.
const KILLED: i32 = 137;
/// Pause before the engine is asked again after it went away.
const PAUSE: Duration = Duration::from_millis(200);
/// How often an answer that cannot be read is asked for again.
const MOST_UNREAD: u32 = 100;
/// Time between two looks at a container whose engine says nothing.
const LOOK: Duration = Duration::from_secs(10);
/// Time for the last output of a container that has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// Beyond the container's own time to stop: the engine's for its part of it.
const ENGINES_PART: Duration = Duration::from_secs(30);

/// Why there is no container; for people.
pub(crate) type Refused = String;

/// Runs the container that `file` describes to its end, and gives the exit status.
pub fn run(file: &Path) -> i32 {
    let spec = std::fs::read(file).map_err(|error| error.to_string());
    let spec = spec.and_then(|bytes| wire::decode::<RunnerSpec>(&bytes).map_err(|error| error.to_string()));
    let spec = match spec {
        Ok(spec) => spec,
        Err(error) => {
            eprintln!("mainstay: {}: {error}", file.display());
            return NO_CONTAINER;
        }
    };
    let _ = sys::process::set_process_name("mainstay-run"); // for `ps` only
    // Nobody else would ever tell it to stop. Its container is swept by the keeper.
    if let Err(error) = sys::process::end_with_parent() {
        return refuse(&spec, &format!("its shim is gone: {error}"));
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(whole(&spec)),
        Err(error) => refuse(&spec, &format!("no runtime: {error}")),
    }
}

fn refuse(spec: &RunnerSpec, why: &str) -> i32 {
    eprintln!("mainstay: {why}");
    note(spec, &Outcome::NotStarted(why.to_owned()));
    NO_CONTAINER
}

fn note(spec: &RunnerSpec, outcome: &Outcome) {
    let written = wire::encode(outcome).map_err(std::io::Error::other);
    let written = written.and_then(|bytes| sys::durable::write(&outcome_file(&spec.folder), &bytes, 0o600));
    if let Err(error) = written {
        eprintln!("mainstay: how the container ended cannot be written down: {error}");
    }
}

async fn whole(spec: &RunnerSpec) -> i32 {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return refuse(spec, &format!("no signals: {error}")),
    };
    // Told to stop before it runs: nothing is left of it.
    let begun = tokio::select! {
        begun = begin(spec) => begun,
        () = signals.stop() => {
            let docker = engine::connect_patiently(&spec.engine).await;
            remove(&docker, &spec.name).await;
            return KILLED;
        }
    };
    let (docker, group) = match begun {
        Ok(begun) => begun,
        Err(why) => {
            if let Ok(docker) = engine::connect(&spec.engine).await {
                remove(&docker, &spec.name).await;
            }
            return refuse(spec, &why);
        }
    };
    let memory = memory::Memory::watch(group);
    let ended = stay(spec, &docker, &mut signals).await;
    let by_kernel = memory.killed().filter(|_| ended.status == KILLED && !ended.asked);
    let docker = engine::connect_patiently(&spec.engine).await;
    remove(&docker, &spec.name).await;
    if ended.out_of_memory || by_kernel.is_some() {
        let (held, limit) =
            by_kernel.map_or((None, spec.resources.memory), |killed| (killed.held, killed.limit));
        note(spec, &Outcome::OutOfMemory { held, limit });
    }
    ended.status
}

/// Makes and starts it. A network that was removed by its stack's last stop just before is made again. Gives its control group too.
async fn begin(spec: &RunnerSpec) -> Result<(Docker, Group), Refused> {
    let docker = engine::connect_patiently(&spec.engine).await;
    let kind = patiently(spec, async |docker| engine::kind(docker, &spec.engine).await).await?;
    remove_leftovers(spec, &docker).await?;
    let port = prepare::port(spec, &docker).await?;
    let mut tries = 3;
    loop {
        match make(spec, &docker, kind, port).await {
            Ok(()) => break,
            Err(error) if tries > 0 && (engine::is_lost(&error) || engine::status(&error) == Some(404)) => {
                tracing::debug!(%error, "once more");
                tries -= 1;
                tokio::time::sleep(PAUSE).await;
                remove(&docker, &spec.name).await;
            }
            Err(error) => return Err(engine::words(&error)),
        }
    }
    let seen = patiently(spec, async |docker| {
        docker.inspect_container(&spec.name, None::<InspectContainerOptions>).await
    });
    let seen = seen.await?;
    // Before the address: who knows that it takes requests finds out what it uses, too.
    let group = confined(spec, &seen);
    let address = match port {
        Some(port) => Some(locate(spec, seen, kind, port)?.to_string()),
        None => (spec.port == RunnerPort::Exposed).then(|| NOWHERE.to_owned()),
    };
    if let Some(address) = address {
        let written = sys::durable::write(&address_file(&spec.folder), address.as_bytes(), 0o644);
        written.map_err(|error| format!("its address cannot be written down: {error}"))?;
    }
    Ok((docker, group))
}

async fn make(spec: &RunnerSpec, docker: &Docker, kind: Kind, port: Option<u16>) -> Result<(), Error> {
    prepare::networks(spec, docker).await?;
    prepare::volumes(spec, docker).await?;
    create::create(spec, docker, kind, port).await?;
    prepare::own_files(spec, docker).await?;
    docker.start_container(&spec.name, None::<StartContainerOptions>).await
}

/// Asks until the engine answers.
async fn patiently<T>(
    spec: &RunnerSpec,
    ask: impl AsyncFn(&Docker) -> Result<T, Error>,
) -> Result<T, Refused> {
    let mut unread = 0;
    loop {
        let docker = engine::connect_patiently(&spec.engine).await;
        match ask(&docker).await {
            Ok(answer) => return Ok(answer),
            Err(error) if engine::is_lost(&error) => tokio::time::sleep(PAUSE).await,
            // Podman 4 says `stopped`, which cannot be read, of one that has ended and is not tidied up yet.
            Err(Error::JsonDataError { .. }) if unread < MOST_UNREAD => {
                unread += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(engine::words(&error)),
        }
    }
}

/// Containers of former runs of its slot, whose runner was killed.
async fn remove_leftovers(spec: &RunnerSpec, docker: &Docker) -> Result<(), Refused> {
    let of = |label: &str| spec.labels.get(label).map(|value| format!("{label}={value}"));
    let labels =
        [LABEL_HOME, LABEL_STACK, LABEL_APP, LABEL_SLOT].into_iter().map(of).collect::<Option<Vec<_>>>();
    let labels = labels.ok_or("its labels are incomplete")?;
    let found = listing::labelled(docker, labels).await.map_err(|error| engine::words(&error))?;
    for id in found.into_iter().filter_map(|container| container.id) {
        remove(docker, &id).await;
    }
    // Of the same name, and not ours: the engine says so at `create`.
    Ok(())
}

/// Removes a container and the volumes without a name that are its own; that it is gone already is well. What cannot be removed is left to the
/// keeper's sweep.
async fn remove(docker: &Docker, name: &str) {
    if let Err(error) = try_remove(docker, name).await {
        tracing::warn!(container = name, error = engine::words(&error), "cannot be removed");
    }
}

/// The same.
///
/// # Errors
/// When the engine does not answer or says no.
pub(crate) async fn try_remove(docker: &Docker, name: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Err(error) if engine::status(&error) != Some(404) => Err(error),
        _ => Ok(()),
    }
}

/// Where it takes requests.
fn locate(
    spec: &RunnerSpec,
    seen: ContainerInspectResponse,
    kind: Kind,
    port: u16,
) -> Result<SocketAddr, Refused> {
    if spec.container.network_mode.as_deref() == Some("host") {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    let settings = seen.network_settings.unwrap_or_default();
    if kind.rootless {
        let ports = settings.ports.unwrap_or_default();
        let binding = ports.get(&format!("{port}/tcp")).into_iter().flatten().flatten().next();
        let number = binding.and_then(|binding| binding.host_port.as_deref()?.parse().ok());
        let number = number.ok_or("the engine has published no port of it")?;
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number));
    }
    let networks = settings.networks.unwrap_or_default();
    let first = spec.networks.first().and_then(|network| networks.get(&network.name));
    let mut endpoints = first.into_iter().chain(networks.values());
    let address = endpoints.find_map(|end| end.ip_address.as_deref()?.parse::<IpAddr>().ok());
    address.map(|ip| SocketAddr::new(ip, port)).ok_or_else(|| "the engine has given it no address".into())
}

/// Its control group, which is also written down for the keeper. Empty: the engine is on another host, or the container has ended.
fn confined(spec: &RunnerSpec, seen: &ContainerInspectResponse) -> Group {
    if !spec.engine.starts_with("unix:") {
        return Group::default();
    }
    let pid = seen.state.as_ref().and_then(|state| u32::try_from(state.pid?).ok()).unwrap_or(0);
    let group = Host::look().group_named(pid, seen.id.as_deref().unwrap_or_default());
    if pid > 0 {
        let born = sys::proc::start_time(pid).unwrap_or_default();
        let confined = Confined { pid, born, groups: group.folders().to_vec() };
        let written = wire::encode(&confined).map_err(std::io::Error::other);
        let written =
            written.and_then(|bytes| sys::durable::write(&confined_file(&spec.folder), &bytes, 0o600));
        if let Err(error) = written {
            tracing::warn!(%error, "what it is held to cannot be written down");
        }
    }
    group
}

/// How a container ended.
struct Ended {
    status: i32,
    out_of_memory: bool,
    /// It was told to stop.
    asked: bool,
}

/// Waits for its end, whatever becomes of the engine, and does what signals say.
async fn stay(spec: &RunnerSpec, docker: &Docker, signals: &mut Signals) -> Ended {
    let mut ended = std::pin::pin!(end_of(spec));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut ended => return Ended { asked: stopping, ..ended },
            told = signals.next() => match told {
                Told::Stop if stopping => {}
                Told::Stop => {
                    stopping = true;
                    // Its end is still waited for, by the same wait.
                    tokio::select! {
                        ended = &mut ended => return Ended { asked: true, ..ended },
                        () = stop(spec) => {}
                    }
                }
                Told::Other(name) => signals::forward(docker, &spec.name, name).await,
            }
        }
    }
}

/// Copies its output until it has ended, whatever becomes of the engine. That the output is over says so: Podman 4.3 spends half a core on a
/// call that waits for the end. A look now and then is for an engine that forgets to say it; of a local one only once the main process is gone.
async fn end_of(spec: &RunnerSpec) -> Ended {
    let inside = wire::container::confined(&spec.folder);
    let lives = |inside: &Confined| sys::proc::lives(inside.pid, inside.born);
    let mut follower = follow::Follower::new(spec);
    let mut following = std::pin::pin!(follower.run(&spec.engine));
    let mut unread = 0;
    loop {
        tokio::select! {
            () = &mut following => break,
            // Asking the kernel costs nothing; each question to Podman costs it milliseconds.
            () = tokio::time::sleep(LOOK) => if !inside.as_ref().is_some_and(lives) && let Some(ended) = look(spec, &mut unread).await {
                let _ = tokio::time::timeout(LAST_OUTPUT, &mut following).await;
                return ended;
            }
        }
    }
    loop {
        if let Some(ended) = look(spec, &mut unread).await {
            return ended;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How it ended, if it has. One whose monitor was killed never gets a state that can be read: after so many answers it is taken for killed.
async fn look(spec: &RunnerSpec, unread: &mut u32) -> Option<Ended> {
    let docker = engine::connect_patiently(&spec.engine).await;
    match docker.inspect_container(&spec.name, None::<InspectContainerOptions>).await {
        Ok(seen) => {
            let state = seen.state.unwrap_or_default();
            let status = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(KILLED);
            let lives = state.running == Some(true) || state.paused == Some(true);
            (!lives).then_some(Ended { status, out_of_memory: state.oom_killed == Some(true), asked: false })
        }
        // Somebody removed it.
        Err(error) if engine::status(&error) == Some(404) => {
            Some(Ended { status: KILLED, out_of_memory: false, asked: true })
        }
        Err(Error::JsonDataError { .. }) => {
            *unread += 1;
            (*unread > MOST_UNREAD).then_some(Ended { status: KILLED, out_of_memory: false, asked: false })
        }
        Err(_) => None,
    }
}

/// Stops it by its own signal, and after its own time by SIGKILL. Asked again where the engine goes away meanwhile.
async fn stop(spec: &RunnerSpec) {
    let seconds = spec.stop_ms.div_ceil(1000);
    loop {
        let docker = engine::connect_patiently(&spec.engine).await;
        let docker = docker.with_timeout(Duration::from_secs(seconds) + ENGINES_PART);
        let options =
            StopContainerOptionsBuilder::default().t(i32::try_from(seconds).unwrap_or(i32::MAX)).build();
        match docker.stop_container(&spec.name, Some(options)).await {
            Err(error) if engine::is_lost(&error) => tokio::time::sleep(PAUSE).await,
            Err(error) if !matches!(engine::status(&error), Some(304 | 404)) => {
                tracing::warn!(container = spec.name, error = engine::words(&error), "cannot be stopped");
                return;
            }
            _ => return,
        }
    }
}
