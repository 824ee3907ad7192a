//! The names that instances on private networks find, in files that take the place of the host's.

use crate::keeper::Keeper;
use model::observed::Phase;
use model::{AppId, InstanceId};
use network::names;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use wire::shim::Bind;

pub(super) const HOSTS: &str = "hosts";
pub(super) const RESOLVERS: &str = "resolv.conf";

/// Makes the files that take the place of the host's.
pub(super) fn files(folder: &Path, open: bool) -> std::io::Result<Vec<Bind>> {
    sys::folder::make(folder, 0o711, None)?;
    let hosts = names::hosts(std::iter::empty());
    let mut binds = Vec::new();
    for (file, text) in [(HOSTS, hosts), (RESOLVERS, names::resolvers(open))] {
        let source = folder.join(file);
        names::rewrite(&source, &text)?;
        binds.push(Bind { source, target: Path::new("/etc").join(file), read_only: true });
    }
    Ok(binds)
}

impl Keeper {
    /// Rewrites the names of instances where others came or went.
    pub(super) fn write_names(&mut self) {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let texts: Vec<(InstanceId, String)> = self
            .networks
            .spots
            .keys()
            .filter_map(|id| Some((id.clone(), self.names_of(id, host.trim())?)))
            .filter(|(id, text)| self.networks.written.get(id) != Some(text))
            .collect();
        for (id, text) in texts {
            match names::rewrite(&self.home.names(&id).join(HOSTS), &text) {
                Ok(()) => drop(self.networks.written.insert(id, text)),
                Err(error) => tracing::warn!(instance = %id, %error, "its names cannot be written"),
            }
        }
    }

    /// What an instance finds in `/etc/hosts`: itself, then every app of its networks under its name and its aliases there.
    fn names_of(&self, id: &InstanceId, host: &str) -> Option<String> {
        let mine = self.networks.spots.get(id)?;
        let own = mine.first().map(|(_, join)| (IpAddr::V4(join.address), vec![host]));
        let mut entries: Vec<(IpAddr, Vec<&str>)> = own.into_iter().collect();
        for (key, join) in mine {
            let mut others: Vec<(&InstanceId, Ipv4Addr)> = self
                .networks
                .spots
                .iter()
                .flat_map(|(other, spots)| {
                    let there = spots.iter().filter(|(_, it)| it.bridge.link == join.bridge.link);
                    there.map(move |(_, it)| (other, it.address))
                })
                .collect();
            others.retain(|(other, _)| other.app.stack == id.app.stack && self.is_named(other));
            others.sort_by(|one, two| {
                (&one.0.app, one.0.slot, one.0.run).cmp(&(&two.0.app, two.0.slot, two.0.run))
            });
            entries.extend(
                others.into_iter().map(|(other, address)| (address.into(), self.names_on(&other.app, key))),
            );
        }
        Some(names::hosts(entries.into_iter()))
    }

    /// Whether an app's name leads to this instance: it lives, and is ready if any of the app is.
    fn is_named(&self, id: &InstanceId) -> bool {
        let Some(instance) = self.observed.instances.get(id) else { return false };
        match instance.phase {
            Phase::Ready { .. } => true,
            Phase::Starting { .. } | Phase::Unhealthy { .. } | Phase::Draining { .. } => {
                !self.observed.of(&id.app).any(|other| other.phase.is_ready())
            }
            Phase::Stopping { .. } | Phase::Ended { .. } => false,
        }
    }

    fn names_on<'a>(&'a self, app: &'a AppId, network: &str) -> Vec<&'a str> {
        let spec = self.stacks.get(&app.stack).and_then(|stack| stack.head(&app.app));
        let joins =
            spec.into_iter().flat_map(|(_, spec)| &spec.networks).filter(|join| join.network == network);
        let aliases = joins.flat_map(|join| &join.aliases).map(String::as_str);
        let mut names = vec![app.app.as_str()];
        names.extend(aliases.filter(|alias| *alias != app.app.as_str()));
        names
    }
}
