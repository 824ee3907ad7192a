//! Addresses of servers that Mainstay does not run. Host names are looked up away from the loop, again and again; what was
//! found last stays in use while a look-up fails.

use model::policy::ForwardAuthSpec;
use model::site::Balance;
use model::spec::{HandlerSpec, ProxySpec, ServerSpec, StackSpec, UpstreamAddress};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// What each host name and port resolved to, IPv4 first.
pub(crate) type Found = BTreeMap<UpstreamAddress, Vec<SocketAddr>>;

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
    ProxySpec { servers, balance: Balance::default(), http2: false, health: None }
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
