//! `dashboard = true` shows what runs here: to nobody unasked but on this machine.

use super::Context;
use crate::place::Place;
use model::spec::{HandlerSpec, RouteSpec, SiteSpec};
use std::net::SocketAddr;

/// Refuses one that everybody could read. `common`: where the stack listens for its sites.
pub fn check(context: &mut Context<'_>, place: Place<'_>, sites: &[SiteSpec], common: &[SocketAddr]) {
    for (index, site) in sites.iter().enumerate() {
        let addresses = if site.listen.is_empty() { common } else { &site.listen };
        if addresses.iter().all(|address| address.ip().is_loopback()) {
            continue;
        }
        for (number, _) in site.routes.iter().enumerate().filter(|(_, route)| is_open(route)) {
            let place = place.item(index).key("route").item(number);
            let found = context.report.error("dashboard::public", "everybody could see what runs here");
            found.at(place.key("dashboard").name_span(), "open to all");
            found.help("add `allow = [\"127.0.0.0/8\", \"::1\"]` or `basic_auth`, or have the site on this machine alone: `listen = \"127.0.0.1:8080\"`");
        }
    }
}

fn is_open(route: &RouteSpec) -> bool {
    let policy = &route.policy;
    let all = |net: &ipnet::IpNet| net.prefix_len() == 0;
    let allows_all = policy.access.allow.is_empty() || policy.access.allow.iter().any(all);
    route.handler == HandlerSpec::Dashboard
        && allows_all
        && !policy.access.deny.iter().any(all)
        && policy.basic_auth.is_none()
        && policy.forward_auth.is_none()
}
