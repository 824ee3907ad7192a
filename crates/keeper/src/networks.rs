//! Private networks of native apps: which there are, who is on them at which address, and the names that each finds.
//!
//! ```text
//! stacks, living instances ─▶ what is wanted ─▶ network::Host (away from the loop)
//! a start ─▶ ranges and addresses chosen here ─▶ the launch makes the namespace ─▶ in the meta file, for the next keeper
//! every round ─▶ `hosts` of each instance, where it has changed
//! ```
//! Ranges that Mainstay picks are kept in the home, so that a network has the same one next time; addresses are not.

mod names;

use self::names::{HOSTS, RESOLVERS, files};
use crate::home::Home;
use crate::keeper::Keeper;
use model::InstanceId;
use model::network::NetworkSpec;
use model::spec::{AppSpec, StackSpec};
use network::names::four;
use network::{Bridge, Host, Join, Wanted, subnet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use supervisor::OwnNetwork;

/// What is kept of a network: its range, so that it has the same one next time; the rest for a keeper that cannot load its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    subnet: ipnet::Ipv4Net,
    gateway: Ipv4Addr,
    internal: bool,
}

/// An instance's place on a network: its key in the manifest, and there.
type Spot = (String, Join);

/// Networks of this home.
#[derive(Debug)]
pub(crate) struct Networks {
    host: Arc<Host>,
    /// Stands for the home in names of interfaces.
    id: String,
    file: PathBuf,
    /// By `<stack>/<network>`.
    kept: BTreeMap<String, Kept>,
    /// Looked at by this keeper: the range is not somebody else's.
    checked: BTreeSet<String>,
    spots: HashMap<InstanceId, Vec<Spot>>,
    /// Address that was given last, by network.
    last: HashMap<String, Ipv4Addr>,
    /// What stands in files of names.
    written: HashMap<InstanceId, String>,
    /// The host is to be looked at, whether or not something changed.
    due: bool,
}

impl Networks {
    pub(crate) fn new(home: &Home) -> Self {
        let id = format!("{:016x}", model::id::fnv1a(home.path().as_os_str().as_encoded_bytes()));
        let file = home.networks();
        let read = std::fs::read(&file).ok();
        let kept: BTreeMap<String, Kept> =
            read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self {
            host: Arc::new(Host::new(&id, home.networks_lock())),
            id,
            file,
            due: !kept.is_empty(),
            kept,
            checked: BTreeSet::new(),
            spots: HashMap::new(),
            last: HashMap::new(),
            written: HashMap::new(),
        }
    }

    /// The network of this key, of a stack whose manifest is known.
    fn bridge(&mut self, stack: &StackSpec, key: &str) -> Result<Bridge, String> {
        let spec = stack.networks.get(key).cloned().unwrap_or_default();
        possible(key, &spec)?;
        let name = format!("{}/{key}", stack.name);
        let link = self.link(&name);
        let given = spec.subnets.first();
        let kept = self.kept.get(&name);
        let range = match given {
            Some(given) => match given.subnet {
                ipnet::IpNet::V4(range) => range,
                ipnet::IpNet::V6(_) => return Err(no_six(key)),
            },
            None => {
                match kept.filter(|kept| self.checked.contains(&name) || self.is_free(kept.subnet, &link)) {
                    Some(kept) => kept.subnet,
                    None => self.pick(&name, &link)?,
                }
            }
        };
        self.checked.insert(name.clone());
        let gateway = given.and_then(|given| given.gateway).and_then(four).or_else(|| subnet::gateway(range));
        let gateway = gateway.ok_or_else(|| format!("network {key}: {range} has no room"))?;
        let now = Kept { subnet: range, gateway, internal: spec.internal };
        if self.kept.get(&name) != Some(&now) {
            self.kept.insert(name.clone(), now);
            let text = serde_json::to_vec_pretty(&self.kept).unwrap_or_default();
            sys::durable::write(&self.file, &text, 0o600)
                .map_err(|error| format!("cannot write {}: {error}", self.file.display()))?;
        }
        Ok(Bridge { link, name, subnet: range, gateway, internal: spec.internal })
    }

    fn link(&self, name: &str) -> String {
        network::short_name("ms-", &format!("{} {name}", self.id))
    }

    fn is_free(&self, range: ipnet::Ipv4Net, link: &str) -> bool {
        subnet::clash(range, link, &subnet::routes()).is_none()
    }

    fn pick(&self, name: &str, link: &str) -> Result<ipnet::Ipv4Net, String> {
        let routes = subnet::routes();
        let others = || self.kept.iter().filter(|(other, _)| *other != name).map(|(_, kept)| kept.subnet);
        let free = |range| {
            subnet::clash(range, link, &routes).is_none()
                && !others().any(|other| subnet::overlap(other, range))
        };
        let seed = model::id::fnv1a(format!("{} {name}", self.id).as_bytes());
        subnet::pick(seed, free).ok_or_else(|| {
            format!("network {name}: no private range is free on this host: give it a `subnet`")
        })
    }

    /// Places for an instance on the networks of its app, and what its launch needs; none: it is in the host's network.
    ///
    /// # Errors
    /// For people: what stands in the way.
    pub(crate) fn place(
        &mut self,
        stack: &StackSpec,
        spec: &AppSpec,
        id: &InstanceId,
        folder: &Path,
    ) -> Result<Option<OwnNetwork>, String> {
        if spec.networks.is_empty() || spec.container.is_some() {
            return Ok(None);
        }
        let mut spots = Vec::new();
        for join in &spec.networks {
            let bridge = self.bridge(stack, &join.network)?;
            let address = match join.address.and_then(four) {
                Some(address) => self.fixed(&bridge, address)?,
                None => self.address(stack, &join.network, &bridge)?,
            };
            spots.push((join.network.clone(), Join { bridge, address }));
        }
        let addresses = spots.iter().map(|(key, join)| (key.clone(), join.address.into())).collect();
        let joins: Vec<Join> = spots.iter().map(|(_, join)| join.clone()).collect();
        let open = joins.iter().any(|join| !join.bridge.internal);
        let binds =
            files(folder, open).map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
        let (host, name) = (Arc::clone(&self.host), id.to_string());
        let make = move || host.attach(&name, &joins).map_err(|error| error.to_string());
        self.spots.insert(id.clone(), spots);
        Ok(Some(OwnNetwork { addresses, make: Arc::new(make), binds }))
    }

    fn fixed(&self, bridge: &Bridge, address: Ipv4Addr) -> Result<Ipv4Addr, String> {
        if !bridge.subnet.contains(&address) || address == bridge.gateway {
            return Err(format!("{address} is no address of network {} ({})", bridge.name, bridge.subnet));
        }
        match self.holder(bridge, address) {
            Some(holder) => Err(format!("{address} of network {} is that of {holder}", bridge.name)),
            None => Ok(address),
        }
    }

    fn holder(&self, bridge: &Bridge, address: Ipv4Addr) -> Option<&InstanceId> {
        let holds = |(_, join): &Spot| join.bridge.link == bridge.link && join.address == address;
        self.spots.iter().find_map(|(id, spots)| spots.iter().any(holds).then_some(id))
    }

    fn address(&mut self, stack: &StackSpec, key: &str, bridge: &Bridge) -> Result<Ipv4Addr, String> {
        let given = stack.networks.get(key).and_then(|spec| spec.subnets.first());
        let range = given.and_then(|given| given.range).and_then(|range| match range {
            ipnet::IpNet::V4(range) => Some(range),
            ipnet::IpNet::V6(_) => None,
        });
        // An app that has not started yet keeps its address.
        let joins = stack.apps.values().flat_map(|app| &app.networks).filter(|join| join.network == key);
        let fixed: BTreeSet<IpAddr> = joins.filter_map(|join| join.address).collect();
        let free = |address: Ipv4Addr| {
            address != bridge.gateway
                && !fixed.contains(&IpAddr::V4(address))
                && self.holder(bridge, address).is_none()
        };
        let found =
            subnet::address(range.unwrap_or(bridge.subnet), self.last.get(&bridge.name).copied(), free);
        let found = found.ok_or_else(|| format!("network {}: all addresses are taken", bridge.name))?;
        self.last.insert(bridge.name.clone(), found);
        Ok(found)
    }

    /// An instance that a former keeper started has these addresses.
    pub(crate) fn adopted(&mut self, id: &InstanceId, addresses: &[(String, IpAddr)]) {
        let spots = addresses.iter().filter_map(|(key, address)| {
            let name = format!("{}/{key}", id.app.stack);
            let Kept { subnet, gateway, internal } = self.kept.get(&name)?.clone();
            self.checked.insert(name.clone());
            let bridge = Bridge { link: self.link(&name), name, subnet, gateway, internal };
            Some((key.clone(), Join { bridge, address: four(*address)? }))
        });
        let spots: Vec<Spot> = spots.collect();
        if !spots.is_empty() {
            self.spots.insert(id.clone(), spots);
        }
    }

    /// An instance is gone: its addresses are free.
    pub(crate) fn ended(&mut self, id: &InstanceId, folder: &Path) {
        if self.spots.remove(id).is_some() {
            self.written.remove(id);
            for file in [HOSTS, RESOLVERS] {
                let _ = std::fs::remove_file(folder.join(file));
            }
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// Its addresses, by network.
    pub(crate) fn addresses(&self, id: &InstanceId) -> impl Iterator<Item = (String, IpAddr)> {
        self.spots.get(id).into_iter().flatten().map(|(key, join)| (key.clone(), join.address.into()))
    }
}

fn no_six(key: &str) -> String {
    format!(
        "network {key}: native apps have IPv4 only: leave `ipv6` and IPv6 subnets out, or run its apps in containers"
    )
}

/// Whether a network is of the kind that native apps can be on.
fn possible(key: &str, spec: &NetworkSpec) -> Result<(), String> {
    if spec.external {
        return Err(format!(
            "network {key} is external: a native app is on networks that Mainstay makes; run the app in a container, or leave `external` out"
        ));
    }
    if let Some(driver) = spec.driver.as_deref().filter(|driver| *driver != "bridge") {
        return Err(format!("network {key}: native apps know the driver bridge only, not {driver}"));
    }
    if spec.ipv6 || spec.subnets.iter().any(|range| range.subnet.addr().is_ipv6()) {
        return Err(no_six(key));
    }
    Ok(())
}

/// Whether this host can give the native apps of a stack the networks that they name.
///
/// # Errors
/// For people: what is missing, and what to do.
pub fn usable(stack: &StackSpec) -> Result<(), String> {
    let native = stack.apps.iter().filter(|(_, app)| app.container.is_none() && !app.networks.is_empty());
    let mut any = false;
    for (name, app) in native {
        any = true;
        for join in &app.networks {
            let spec = stack.networks.get(&join.network).cloned().unwrap_or_default();
            possible(&join.network, &spec).map_err(|reason| format!("app {name}: {reason}"))?;
            if stack.apps.values().any(|other| other.container.is_some() && is_on(other, &join.network)) {
                return Err(format!(
                    "app {name}: network {} has containers on it, and a native app is on networks of native apps only: put them on different ones (the edge reaches both), or run {name} in a container",
                    join.network
                ));
            }
        }
    }
    if any { network::capable() } else { Ok(()) }
}

fn is_on(app: &AppSpec, network: &str) -> bool {
    app.networks.iter().any(|join| join.network == network)
}

impl Keeper {
    /// What there is to be on the host, and what instances call each other.
    pub(crate) fn keep_networks(&mut self) {
        let wanted = self.wanted_networks();
        let is_empty = wanted.bridges.is_empty();
        if self.networks.host.want(wanted)
            || (std::mem::take(&mut self.networks.due) && self.ending.is_none())
        {
            let host = Arc::clone(&self.networks.host);
            self.tasks.spawn_blocking(move || {
                if let Err(error) = host.settle() {
                    tracing::error!(%error, "private networks");
                }
            });
        }
        if !is_empty {
            self.write_names();
        }
    }

    /// Somebody else may have removed what is on the host.
    pub(crate) fn look_at_networks(&mut self) {
        self.networks.due = !self.networks.spots.is_empty();
    }

    /// `up` ends: nothing of its networks stays.
    pub(crate) async fn end_networks(&mut self) {
        if self.networks.host.want(Wanted::default()) || !self.networks.kept.is_empty() {
            let host = Arc::clone(&self.networks.host);
            let settled = tokio::task::spawn_blocking(move || host.settle()).await;
            if let Ok(Err(error)) = settled {
                tracing::warn!(%error, "private networks are left to the next keeper");
            }
        }
    }

    fn wanted_networks(&mut self) -> Wanted {
        let mut bridges = BTreeMap::new();
        let mut doors = BTreeSet::new();
        for stack in self.stacks.values().filter(|stack| !stack.removing) {
            for revision in stack.revisions() {
                let addresses = revision.addresses().filter(|address| !address.ip().is_loopback());
                doors.extend(addresses.map(|address| address.port()));
                let native = revision.spec.apps.values().filter(|app| app.container.is_none());
                for join in native.flat_map(|app| &app.networks) {
                    // What cannot be had is said when an instance starts.
                    if let Ok(bridge) = self.networks.bridge(&revision.spec, &join.network) {
                        bridges.insert(bridge.link.clone(), bridge);
                    }
                }
            }
        }
        // Instances of what is gone are still there; what the manifest says now comes first.
        for (_, join) in self.networks.spots.values().flatten() {
            bridges.entry(join.bridge.link.clone()).or_insert_with(|| join.bridge.clone());
        }
        if bridges.is_empty() {
            doors.clear();
        }
        Wanted { bridges, doors }
    }
}
