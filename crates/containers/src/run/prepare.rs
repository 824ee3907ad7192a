//! What a container needs before it is made: networks and volumes of its stack where they are missing, its port, its files' owners.

use super::Refused;
use crate::engine;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, InspectNetworkOptions};
use futures_util::StreamExt;
use model::container::MountSource;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use wire::container::{LABEL_HOME, LABEL_STACK, RunnerNetwork, RunnerPort, RunnerSpec};

/// The engine's word for what is there already.
const CONFLICT: u16 = 409;
/// Longest `/etc/passwd` or `/etc/group` that is looked into, in bytes.
const LONGEST: usize = 1 << 20;

/// The port inside; none: it takes no requests.
pub(crate) async fn port(spec: &RunnerSpec, docker: &Docker) -> Result<Option<u16>, Refused> {
    match spec.port {
        RunnerPort::None => return Ok(None),
        RunnerPort::Number(port) => return Ok(Some(port)),
        RunnerPort::Exposed => {}
    }
    let image = docker.inspect_image(&spec.image).await.map_err(|error| engine::words(&error))?;
    let exposed = image.config.and_then(|config| config.exposed_ports).unwrap_or_default();
    let mut ports: Vec<u16> =
        exposed.iter().filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok()).collect();
    ports.sort_unstable();
    match ports[..] {
        [port] => Ok(Some(port)),
        [] => Ok(None),
        _ => Err(format!(
            "the image {} exposes several ports {ports:?}: write which one with `port`",
            spec.image
        )),
    }
}

/// Makes the networks that are missing; one that is somebody else's never.
pub(crate) async fn networks(spec: &RunnerSpec, docker: &Docker) -> Result<(), Error> {
    for network in &spec.networks {
        let found = docker.inspect_network(&network.name, None::<InspectNetworkOptions>).await;
        match found {
            Ok(found) => match owner(&found.labels.unwrap_or_default(), spec) {
                Some(owner) if !network.spec.external => {
                    return Err(not_ours("network", &network.name, &owner));
                }
                _ => continue,
            },
            Err(error) if engine::status(&error) != Some(404) => return Err(error),
            Err(_) if network.spec.external => {
                return Err(refused(format!(
                    "there is no network {}: it is `external`, so it has to be made before",
                    network.name
                )));
            }
            Err(_) => {}
        }
        match docker.create_network(request(spec, network)).await {
            // Another runner of the stack was first.
            Err(error) if engine::status(&error) == Some(CONFLICT) => {}
            Err(error) if already(&error) => {}
            made => drop(made?),
        }
    }
    Ok(())
}

/// Podman says it with a status of its own.
fn already(error: &Error) -> bool {
    engine::words(error).contains("already exists")
        || engine::words(error).contains("network name") && engine::words(error).contains("already used")
}

fn request(spec: &RunnerSpec, network: &RunnerNetwork) -> NetworkCreateRequest {
    let own = &network.spec;
    let ranges = own.subnets.iter().map(|range| IpamConfig {
        subnet: Some(range.subnet.to_string()),
        gateway: range.gateway.map(|gateway| gateway.to_string()),
        ip_range: range.range.map(|range| range.to_string()),
        ..IpamConfig::default()
    });
    let ranges: Vec<IpamConfig> = ranges.collect();
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: Some(own.driver.clone().unwrap_or_else(|| "bridge".into())),
        internal: Some(own.internal),
        enable_ipv6: Some(own.ipv6),
        ipam: (!ranges.is_empty()).then(|| Ipam { config: Some(ranges), ..Ipam::default() }),
        options: Some(own.driver_opts.clone().into_iter().collect()),
        labels: Some(labels(spec, &own.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// Labels of what belongs to a stack, not to one of its apps.
fn labels(spec: &RunnerSpec, own: &BTreeMap<String, String>) -> HashMap<String, String> {
    let ours = spec.labels.iter().filter(|(label, _)| [LABEL_HOME, LABEL_STACK].contains(&label.as_str()));
    own.iter().chain(ours).map(|(label, value)| (label.clone(), value.clone())).collect()
}

/// Which other stack of Mainstay's something belongs to, by its labels. What has none may be used: it is from before Mainstay. So may what a home
/// that is gone has left.
fn owner(labels: &HashMap<String, String>, spec: &RunnerSpec) -> Option<String> {
    let (home, stack) = (labels.get(LABEL_HOME)?, labels.get(LABEL_STACK)?);
    let is_own = [LABEL_HOME, LABEL_STACK].iter().all(|label| labels.get(*label) == spec.labels.get(*label));
    (!is_own && Path::new(home).exists()).then(|| format!("the stack {stack} of {home}"))
}

fn not_ours(kind: &str, name: &str, owner: &str) -> Error {
    refused(format!(
        "the {kind} {name} belongs to {owner}: give yours another `name`, or share it with `external = true`"
    ))
}

/// Makes the volumes that are missing, which stay when the stack goes, and folders of the host's, as Docker does.
pub(crate) async fn volumes(spec: &RunnerSpec, docker: &Docker) -> Result<(), Error> {
    for mount in &spec.mounts {
        if let MountSource::Bind(path) = &mount.mount.source
            && !path.exists()
        {
            let made = std::fs::create_dir_all(path);
            made.map_err(|error| refused(format!("the folder {} cannot be made: {error}", path.display())))?;
        }
    }
    for (name, volume) in spec.mounts.iter().filter_map(|mount| mount.volume.as_ref()) {
        let options = &volume.driver_opts;
        let binds = options.get("o").is_some_and(|words| words.split(',').any(|word| word.trim() == "bind"));
        if let Some(device) = options.get("device").filter(|device| binds && !Path::new(device).is_dir()) {
            return Err(refused(format!(
                "the folder {device} of the volume {name} does not exist: mkdir -p {device}"
            )));
        }
        match docker.inspect_volume(name).await {
            Ok(found) => match owner(&found.labels, spec) {
                Some(owner) if !volume.external => return Err(not_ours("volume", name, &owner)),
                _ => continue,
            },
            Err(error) if engine::status(&error) != Some(404) => return Err(error),
            Err(_) if volume.external => {
                return Err(refused(format!(
                    "there is no volume {name}: it is `external`, so it has to be made before"
                )));
            }
            Err(_) => {}
        }
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            driver: Some(volume.driver.clone().unwrap_or_else(|| "local".into())),
            driver_opts: Some(options.clone().into_iter().collect()),
            labels: Some(labels(spec, &volume.labels)),
            ..VolumeCreateRequest::default()
        };
        match docker.create_volume(request).await {
            Err(error) if already(&error) => {}
            made => drop(made?),
        }
    }
    Ok(())
}

/// An answer of our own in the engine's place.
pub(crate) fn refused(message: String) -> Error {
    Error::DockerResponseServerError { status_code: 400, message }
}

/// Gives its files to whoever the container runs as. Where this runner may not, they stay its own: without root, who is root inside is the
/// runner's user outside.
pub(crate) async fn own_files(spec: &RunnerSpec, docker: &Docker) -> Result<(), Error> {
    if !sys::user::is_root() || spec.files.iter().all(|file| file.uid.is_some() && file.gid.is_some()) {
        return Ok(());
    }
    let (user, group) = identity(spec, docker).await?;
    for file in &spec.files {
        let (uid, gid) = (file.uid.unwrap_or(user), file.gid.unwrap_or(group));
        if let Err(error) = std::os::unix::fs::chown(&file.source, Some(uid), Some(gid)) {
            return Err(refused(format!("{} cannot be given to user {uid}: {error}", file.target.display())));
        }
    }
    Ok(())
}

/// Whom the container runs as: numbers as they are, names as its own `/etc/passwd` and `/etc/group` have them.
async fn identity(spec: &RunnerSpec, docker: &Docker) -> Result<(u32, u32), Error> {
    let inspected =
        docker.inspect_container(&spec.name, None::<bollard::query_parameters::InspectContainerOptions>);
    let text = inspected.await?.config.and_then(|config| config.user).unwrap_or_default();
    let (user, group) = text.split_once(':').unwrap_or((&text, ""));
    if user.is_empty() {
        return Ok((0, 0));
    }
    let passwd = match (user.parse::<u32>(), group.parse::<u32>()) {
        (Ok(user), Ok(group)) => return Ok((user, group)),
        _ => lines(spec, docker, "/etc/passwd").await?,
    };
    let mut fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = fields.find(|fields| fields.first() == Some(&user) || fields.get(2) == Some(&user));
    let number = |at: usize| entry.as_ref().and_then(|fields| fields.get(at)?.parse().ok());
    let uid = user.parse().ok().or(number(2)).unwrap_or(0);
    let own = number(3).unwrap_or(0);
    if group.is_empty() {
        return Ok((uid, own));
    }
    let groups =
        if group.parse::<u32>().is_ok() { String::new() } else { lines(spec, docker, "/etc/group").await? };
    let mut named = groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    Ok((uid, group.parse().ok().or_else(|| named.next()).unwrap_or(own)))
}

/// A text file inside; empty where there is none.
async fn lines(spec: &RunnerSpec, docker: &Docker, path: &str) -> Result<String, Error> {
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut stream = std::pin::pin!(docker.download_from_container(&spec.name, Some(options)));
    let mut archive = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) if archive.len() < LONGEST => archive.extend_from_slice(&chunk),
            Ok(_) => break,
            Err(error) if engine::is_lost(&error) => return Err(error),
            Err(_) => return Ok(String::new()),
        }
    }
    // A tar archive of one file: a header of 512 bytes, the size in octal at 124, then the file.
    let size = archive.get(124..136).and_then(|digits| std::str::from_utf8(digits).ok());
    let size = size.and_then(|digits| usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).ok());
    let content = size.and_then(|size| archive.get(512..512usize.checked_add(size)?));
    Ok(content.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default())
}
