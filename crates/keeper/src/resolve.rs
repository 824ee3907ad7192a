//! Addresses of servers that Mainstay does not run. Host names are looked up away from the loop, again and again; what was
//! found last stays in use while a look-up fails.

use crate::keeper::Keeper;
use crate::publish;
use crate::stack::Stack;
use model::policy::ForwardAuthSpec;
use model::site::Balance;
use model::spec::{HandlerSpec, ProxySpec, ServerSpec, StackSpec, UpstreamAddress};
use model::traffic::{HoldSpec, TrafficSpec};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// What each host name and port resolved to, IPv4 first.
pub(crate) type Found = BTreeMap<UpstreamAddress, Vec<SocketAddr>>;

impl Keeper {
    /// Looks foreign servers up again, away from the loop; those of a change under way too, which waits for it.
    pub(crate) fn look_up(&self) {
        let names = self.foreign();
        if names.is_empty() {
            return;
        }
        let events = self.found_events.clone();
        self.tasks.spawn_blocking(move || {
            let found = names.into_iter().map(|name| {
                let addresses = look_up(&name);
                (name, addresses)
            });
            let _ = events.blocking_send(found.collect());
        });
    }

    /// Addresses of all servers that Mainstay does not run.
    fn foreign(&self) -> BTreeSet<UpstreamAddress> {
        let revisions = self.stacks.values().flat_map(Stack::revisions);
        let proxies = revisions.flat_map(|revision| publish::foreign(revision).values());
        proxies.flat_map(|proxy| &proxy.servers).map(|server| server.address.clone()).collect()
    }

    /// Folds a look-up in: where nothing was found, what was found before stays.
    pub(crate) fn looked_up(&mut self, found: Found) {
        for (name, addresses) in found {
            let known = self.found.entry(name).or_default();
            if !addresses.is_empty() {
                *known = addresses;
            }
        }
        let named = self.foreign();
        self.found.retain(|name, _| named.contains(name));
    }
}

/// Everything foreign that a stack's routes name: servers that answer, and those that are asked first whether one may ask.
pub(crate) fn proxies(stack: &StackSpec) -> impl Iterator<Item = Cow<'_, ProxySpec>> {
    let routes = || stack.sites.iter().flat_map(|site| &site.routes);
    let answering = routes().filter_map(|route| match &route.handler {
        HandlerSpec::Proxy(proxy) => Some(Cow::Borrowed(proxy)),
        _ => None,
    });
    let asked = routes().filter_map(|route| auth_server(route.policy.forward_auth.as_ref()?).map(Cow::Owned));
    answering.chain(asked)
}

/// The foreign server of a forward authentication: its upstream begins with `=` then; else it is an app.
pub(crate) fn auth_server(auth: &ForwardAuthSpec) -> Option<ProxySpec> {
    let address = UpstreamAddress::from_text(auth.upstream.strip_prefix('=')?)?;
    Some(plain([address].into_iter()))
}

/// Servers of which nothing is said but their addresses.
pub(crate) fn plain(addresses: impl Iterator<Item = UpstreamAddress>) -> ProxySpec {
    let servers = addresses.map(|address| ServerSpec { address, weight: 1 }).collect();
    let traffic = TrafficSpec { hold: HoldSpec::OFF, ..TrafficSpec::default() };
    ProxySpec { servers, balance: Balance::default(), http2: false, health: None, traffic }
}

/// Looks up one address. Blocks unless the host is a literal address.
pub(crate) fn look_up(address: &UpstreamAddress) -> Vec<SocketAddr> {
    let UpstreamAddress::Tcp(host, port) = address else { return Vec::new() };
    if let Ok(literal) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return vec![SocketAddr::new(literal, *port)];
    }
    let mut found: Vec<SocketAddr> = match (host.as_str(), *port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            tracing::warn!(host, %error, "cannot look up this upstream");
            Vec::new()
        }
    };
    found.sort_by_key(SocketAddr::is_ipv6);
    found.dedup();
    found
}
