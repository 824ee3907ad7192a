//! Which addresses networks and instances get. Pure, but for [`routes`].

use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Where free ranges are looked for, of RFC 1918: the quieter part of each block first.
const POOLS: [(Ipv4Addr, u8); 3] = [
    (Ipv4Addr::new(10, 64, 0, 0), 10),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Length of the prefix of a range that is picked.
const PICKED: u8 = 24;

/// A way of the host's to a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The range.
    pub to: Ipv4Net,
    /// The interface.
    pub device: String,
}

/// Every route of the host's main table.
pub fn routes() -> Vec<Route> {
    let entries = procfs::net::route().unwrap_or_default();
    let route = |entry: procfs::net::RouteEntry| {
        let to = Ipv4Net::with_netmask(entry.destination, entry.mask).ok()?;
        Some(Route { to, device: entry.iface })
    };
    entries.into_iter().filter_map(route).collect()
}

/// Interfaces that lead to the world.
pub fn uplinks(routes: &[Route]) -> Vec<String> {
    let all: BTreeSet<&String> =
        routes.iter().filter(|route| route.to.prefix_len() == 0).map(|route| &route.device).collect();
    all.into_iter().cloned().collect()
}

/// A route by which addresses of `subnet` lead elsewhere than to the interface `own`. The ways to the whole world do not count.
pub fn clash<'a>(subnet: Ipv4Net, own: &str, routes: &'a [Route]) -> Option<&'a Route> {
    routes.iter().find(|route| route.device != own && route.to.prefix_len() > 1 && overlap(route.to, subnet))
}

/// Whether two ranges share an address.
pub fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// A range that is free; `seed` says where to begin, so that two who look at the same time begin elsewhere.
pub fn pick(seed: u64, is_free: impl Fn(Ipv4Net) -> bool) -> Option<Ipv4Net> {
    let ranges = POOLS.iter().flat_map(|(base, prefix)| {
        let count = 1u32 << (PICKED - prefix);
        let first = u32::try_from(seed % u64::from(count)).unwrap_or(0);
        (0..count).filter_map(move |step| {
            let number = (first + step) % count;
            Ipv4Net::new(Ipv4Addr::from(u32::from(*base) + (number << (32 - PICKED))), PICKED).ok()
        })
    });
    ranges.into_iter().find(|range| is_free(*range))
}

/// The host's own address where none was given: the first.
pub fn gateway(subnet: Ipv4Net) -> Option<Ipv4Addr> {
    subnet.hosts().next()
}

/// An address of `range` that nobody has, after `last`: one that has just become free is given again last of all, for neighbours and
/// pools may still remember whose it was.
pub fn address(
    range: Ipv4Net,
    last: Option<Ipv4Addr>,
    is_free: impl Fn(Ipv4Addr) -> bool,
) -> Option<Ipv4Addr> {
    let hosts = || range.hosts();
    let after = last.filter(|last| range.contains(last));
    let later = hosts().skip_while(|ip| after.is_some_and(|after| *ip <= after));
    later.chain(hosts()).find(|ip| is_free(*ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_that_the_host_uses_is_not_picked() {
        let routes = [
            Route { to: net("0.0.0.0/0"), device: "eth0".into() },
            Route { to: net("10.64.0.0/11"), device: "tun0".into() },
            Route { to: net("10.96.0.0/24"), device: "ms-a".into() },
        ];
        let free = |range| clash(range, "ms-b", &routes).is_none();
        assert_eq!(pick(0, free), Some(net("10.96.1.0/24")));
        assert_eq!(pick(u64::MAX, free).map(|range| range.prefix_len()), Some(24));
        assert!(clash(net("10.96.0.0/24"), "ms-a", &routes).is_none(), "its own bridge is in nobody's way");
        assert_eq!(clash(net("10.0.0.0/8"), "ms-a", &routes).unwrap().device, "tun0");
        assert_eq!(pick(7, |range| range.network().octets()[0] == 192), Some(net("192.168.7.0/24")));
        assert_eq!(pick(7, |_| false), None);
        assert_eq!(uplinks(&routes), ["eth0"]);
    }

    #[test]
    fn no_address_is_given_twice_and_a_freed_one_last() {
        let range = net("10.1.2.0/29");
        let ip = |last: u8| Ipv4Addr::new(10, 1, 2, last);
        assert_eq!(address(range, None, |it| it != ip(1)), Some(ip(2)));
        assert_eq!(address(range, Some(ip(3)), |it| it != ip(1)), Some(ip(4)));
        assert_eq!(
            address(range, Some(ip(6)), |it| it != ip(1)),
            Some(ip(2)),
            "the last but the broadcast address"
        );
        assert_eq!(address(range, Some(ip(4)), |_| false), None);
        assert_eq!(gateway(range), Some(ip(1)));
    }
}
