//! Addresses of servers that Mainstay does not run. Host names are looked up away from the loop, again and again; what was
//! found last stays in use while a look-up fails.

use model::spec::{HandlerSpec, ProxySpec, StackSpec, UpstreamAddress};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// What each host name and port resolved to, IPv4 first.
pub(crate) type Found = BTreeMap<UpstreamAddress, Vec<SocketAddr>>;

/// Everything foreign that a stack's routes name.
pub(crate) fn proxies(stack: &StackSpec) -> impl Iterator<Item = &ProxySpec> {
    stack.sites.iter().flat_map(|site| &site.routes).filter_map(|route| match &route.handler {
        HandlerSpec::Proxy(proxy) => Some(proxy),
        _ => None,
    })
}

/// Every foreign server that a stack's routes name.
pub(crate) fn foreign(stack: &StackSpec) -> impl Iterator<Item = &UpstreamAddress> {
    proxies(stack).flat_map(|proxy| &proxy.servers).map(|server| &server.address)
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
