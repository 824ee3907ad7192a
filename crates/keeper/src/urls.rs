//! Where people reach the sites of a stack.

use crate::stack::Revision;
use model::site::TlsSpec;
use model::spec::SiteSpec;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Where its sites are reached, those with HTTPS first. One for any name is told by its address, if it has one of its own or no name is there.
pub(crate) fn urls(revision: &Revision) -> Vec<String> {
    let all = revision.spec.sites.iter().filter_map(|site| Some((site, door_of(revision, site)?)));
    let all: Vec<(&SiteSpec, Door)> = all.collect();
    let is_named = all.iter().any(|(site, _)| site.hosts.iter().any(|host| !host.contains('*')));
    let mut urls = Vec::new();
    for secure in [true, false] {
        for (site, door) in all.iter().filter(|(_, door)| door.secure == secure) {
            let hosts = site.hosts.iter().filter(|host| !host.contains('*'));
            let before = urls.len();
            urls.extend(hosts.map(|host| door.url(host)));
            if urls.len() == before && (!is_named || !site.listen.is_empty()) {
                urls.push(door.url(&door.host()));
            }
        }
    }
    let mut seen = BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}

/// Where a site is best asked for.
struct Door {
    address: SocketAddr,
    secure: bool,
}

fn door_of(revision: &Revision, site: &SiteSpec) -> Option<Door> {
    let (wants, https) = (site.tls != TlsSpec::Off, revision.https());
    let door = |address: &SocketAddr, secure| Door { address: *address, secure };
    match site.listen.first() {
        Some(own) => Some(door(own, wants && https.contains(own))),
        None => match https.first().filter(|_| wants) {
            Some(address) => Some(door(address, true)),
            None => revision.http().first().map(|address| door(address, false)),
        },
    }
}

impl Door {
    fn url(&self, host: &str) -> String {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        match self.address.port() {
            port if port == usual => format!("{scheme}://{host}/"),
            port => format!("{scheme}://{host}:{port}/"),
        }
    }

    /// All addresses are this machine's, too.
    fn host(&self) -> String {
        match self.address.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        }
    }
}
