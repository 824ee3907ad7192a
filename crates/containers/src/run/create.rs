//! From a [`RunnerSpec`] to what the engine is asked for.

use crate::engine::Kind;
use crate::run::prepare;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, NetworkConnectRequest, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use model::confine::TmpfsSpec;
use model::container::{MountSource, MountSpec};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use wire::container::{ENV_PREFIX, RunnerFile, RunnerMount, RunnerNetwork, RunnerSpec};

/// Largest file of output that the engine keeps; the shim keeps it too, and for long.
const OUTPUT: &str = "16m";

/// Makes the container, on all its networks, and does not start it.
pub(crate) async fn create(
    spec: &RunnerSpec,
    docker: &Docker,
    kind: Kind,
    port: Option<u16>,
) -> Result<(), Error> {
    let env = values(spec).map_err(prepare::refused)?;
    let platform = CreateContainerOptionsBuilder::default().name(&spec.name).build();
    docker.create_container(Some(platform), body(spec, env, kind, port)).await?;
    // Engines before 1.44 take one network at a time.
    for network in spec.networks.iter().skip(1) {
        let (container, endpoint_config) = (spec.name.clone(), Some(endpoint(network)));
        docker.connect_network(&network.name, NetworkConnectRequest { container, endpoint_config }).await?;
    }
    Ok(())
}

/// The container's variables, from the runner's own.
fn values(spec: &RunnerSpec) -> Result<Vec<String>, String> {
    let value = |name: &String| {
        let value = std::env::var(format!("{ENV_PREFIX}{name}"));
        value.map(|value| format!("{name}={value}")).map_err(|error| format!("the variable {name}: {error}"))
    };
    spec.env.iter().map(value).collect()
}

fn body(spec: &RunnerSpec, env: Vec<String>, kind: Kind, port: Option<u16>) -> ContainerCreateBody {
    let own = &spec.container;
    let first = spec.networks.first();
    let endpoints = first.map(|network| HashMap::from([(network.name.clone(), endpoint(network))]));
    let anonymous = spec.mounts.iter().filter(|mount| mount.mount.source == MountSource::Anonymous);
    let anonymous: Vec<String> = anonymous.map(|mount| mount.mount.target.display().to_string()).collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        // An empty list would mean the image's own.
        entrypoint: own
            .entrypoint
            .clone()
            .map(|words| if words.is_empty() { vec![String::new()] } else { words }),
        cmd: own.command.clone(),
        env: Some(env),
        working_dir: own.working_dir.clone(),
        user: own.user.clone(),
        hostname: own.hostname.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        tty: Some(own.tty),
        open_stdin: Some(own.stdin_open),
        stop_signal: Some(sys::signal::name(spec.stop_signal)),
        stop_timeout: i64::try_from(spec.stop_ms.div_ceil(1000)).ok(),
        // Its health is found out by the keeper, not by the engine besides.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        exposed_ports: port.map(|port| vec![format!("{port}/tcp")]),
        volumes: (!anonymous.is_empty()).then_some(anonymous),
        host_config: Some(host(spec, kind, port)),
        networking_config: Some(NetworkingConfig { endpoints_config: endpoints }),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &RunnerSpec, kind: Kind, port: Option<u16>) -> HostConfig {
    let own = &spec.container;
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = spec.resources.memory.map(bytes);
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let mut security = own.security_opt.clone();
    if spec.confine.new_privileges == Some(false) {
        security.push("no-new-privileges".into());
    }
    let network = spec.networks.first().map(|network| network.name.clone());
    let output = HashMap::from([("max-size".to_owned(), OUTPUT.to_owned())]);
    HostConfig {
        memory,
        // Without it as much again could go to swap, and nothing would be ended.
        memory_swap: memory,
        memory_reservation: spec.resources.reserve_memory.map(bytes),
        nano_cpus: spec.resources.cpus.map(|thousandths| i64::from(thousandths) * 1_000_000),
        pids_limit: spec.resources.pids.map(i64::from),
        readonly_rootfs: Some(spec.confine.read_only),
        tmpfs: Some(spec.confine.tmpfs.iter().map(tmpfs).collect()),
        cap_add: some(&spec.confine.cap_add),
        cap_drop: some(&spec.confine.cap_drop),
        security_opt: some(&security),
        privileged: Some(own.privileged),
        ulimits: (!own.ulimits.is_empty()).then(|| ulimits(&own.ulimits, crate::engine::own_limits())),
        shm_size: own.shm_size.map(bytes),
        binds: Some(spec.mounts.iter().filter_map(bind).chain(spec.files.iter().map(file)).collect()),
        devices: (!own.devices.is_empty()).then(|| own.devices.iter().map(|text| device(text)).collect()),
        group_add: some(&own.group_add),
        sysctls: (!own.sysctls.is_empty()).then(|| own.sysctls.clone().into_iter().collect()),
        dns: some(&own.dns),
        dns_search: some(&own.dns_search),
        dns_options: some(&own.dns_options),
        extra_hosts: some(&own.extra_hosts.iter().map(|(name, to)| format!("{name}:{to}")).collect()),
        init: Some(own.init),
        network_mode: own.network_mode.clone().or(network).or_else(|| Some("none".into())),
        pid_mode: own.pid_mode.clone(),
        ipc_mode: own.ipc_mode.clone(),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: Some(output) }),
        port_bindings: port.filter(|_| kind.rootless && own.network_mode.is_none()).map(published),
        ..HostConfig::default()
    }
}

/// Of a rootless engine: a free port of the loopback interface leads to it.
fn published(port: u16) -> PortMap {
    let anywhere = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
    HashMap::from([(format!("{port}/tcp"), Some(vec![anywhere]))])
}

fn endpoint(network: &RunnerNetwork) -> EndpointSettings {
    let address =
        |wanted: fn(&IpAddr) -> bool| network.address.filter(wanted).map(|address| address.to_string());
    let fixed = EndpointIpamConfig {
        ipv4_address: address(IpAddr::is_ipv4),
        ipv6_address: address(IpAddr::is_ipv6),
        ..EndpointIpamConfig::default()
    };
    EndpointSettings {
        aliases: Some(network.aliases.clone()),
        ipam_config: network.address.map(|_| fixed),
        ..EndpointSettings::default()
    }
}

fn tmpfs(spec: &TmpfsSpec) -> (String, String) {
    let flag = |on: bool, word: &str| on.then(|| word.to_owned());
    let options = [
        Some("rw".to_owned()),
        flag(spec.noexec, "noexec"),
        flag(spec.nosuid, "nosuid"),
        flag(spec.nodev, "nodev"),
        // Engines say noexec where nothing is said.
        flag(!spec.noexec, "exec"),
        spec.size.map(|bytes| format!("size={bytes}")),
        Some(format!("mode={:o}", spec.mode.unwrap_or(0o1777))),
    ];
    (spec.target.display().to_string(), options.into_iter().flatten().collect::<Vec<_>>().join(","))
}

/// The limits that a container asks for, and the most of the others on a host where the engine would ask for too much: Podman takes its defaults
/// for all or for none.
fn ulimits(own: &BTreeMap<String, (i64, i64)>, most: Option<[(&str, u64); 2]>) -> Vec<ResourcesUlimits> {
    let ulimit = |name: &str, soft, hard| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft),
        hard: Some(hard),
    };
    let others = most.into_iter().flatten().filter(|(name, _)| !own.contains_key(*name));
    let others =
        others.filter_map(|(name, most)| i64::try_from(most).ok().map(|most| ulimit(name, most, most)));
    own.iter().map(|(name, (soft, hard))| ulimit(name, *soft, *hard)).chain(others).collect()
}

/// `source:target[:options]`; none of a volume without a name.
fn bind(mount: &RunnerMount) -> Option<String> {
    let MountSpec { source, target, read_only, options } = &mount.mount;
    let source = match (source, &mount.volume) {
        (MountSource::Volume(_), Some((name, _))) => name.clone(),
        (MountSource::Bind(path), _) => path.display().to_string(),
        (MountSource::Volume(_), None) | (MountSource::Anonymous, _) => return None,
    };
    let mut words = options.clone();
    if *read_only {
        words.push("ro".into());
    }
    let words = if words.is_empty() { String::new() } else { format!(":{}", words.join(",")) };
    Some(format!("{source}:{}{words}", target.display()))
}

fn file(file: &RunnerFile) -> String {
    format!("{}:{}:ro", file.source.display(), file.target.display())
}

/// `host[:inside[:rwm]]`.
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    let host = parts.next();
    let inside = parts.next().or_else(|| host.clone());
    let rights = parts.next().or_else(|| Some("rwm".into()));
    DeviceMapping { path_on_host: host, path_in_container: inside, cgroup_permissions: rights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_and_memory_folders_in_the_words_of_engines() {
        let mount = |source: MountSource, read_only, volume: Option<&str>| RunnerMount {
            mount: MountSpec { source, target: "/data".into(), read_only, options: vec!["z".into()] },
            volume: volume.map(|name| (name.to_owned(), Default::default())),
        };
        let named = mount(MountSource::Volume("db".into()), false, Some("shop_db"));
        assert_eq!(bind(&named).unwrap(), "shop_db:/data:z");
        assert_eq!(
            bind(&mount(MountSource::Bind("/srv/x".into()), true, None)).unwrap(),
            "/srv/x:/data:z,ro"
        );
        assert_eq!(bind(&mount(MountSource::Anonymous, false, None)), None);
        let spec = TmpfsSpec {
            target: "/tmp".into(),
            size: Some(100 << 20),
            mode: None,
            noexec: true,
            nosuid: true,
            nodev: false,
        };
        let (target, options) = tmpfs(&spec);
        assert_eq!((&*target, &*options), ("/tmp", "rw,noexec,nosuid,size=104857600,mode=1777"));
        let mapped = device("/dev/fuse");
        assert_eq!(mapped.path_in_container.as_deref(), Some("/dev/fuse"));
        assert_eq!(mapped.cgroup_permissions.as_deref(), Some("rwm"));
    }

    /// Podman gave a container with `nofile` alone more processes than root may give, and it did not start.
    #[test]
    fn a_container_with_one_limit_of_its_own_is_given_the_others_too() {
        let own = BTreeMap::from([("nofile".to_owned(), (512, 1000))]);
        let told = |most| {
            let all = ulimits(&own, most).into_iter();
            all.map(|it| (it.name.unwrap(), it.soft.unwrap(), it.hard.unwrap())).collect::<Vec<_>>()
        };
        let (files, processes) = (("nofile".to_owned(), 512, 1000), ("nproc".to_owned(), 3000, 3000));
        assert_eq!(told(Some([("nofile", 4096), ("nproc", 3000)])), [files.clone(), processes]);
        assert_eq!(told(None), [files]);
    }
}
