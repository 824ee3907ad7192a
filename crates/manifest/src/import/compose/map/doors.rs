//! What of the stack is reached from outside: `ports:` as sites and forwards, Traefik's labels as Traefik has them.

use super::Cx;
use super::native::Native;
use super::out::{Table, flag, integer, list, text};
use super::service::Service;
use super::speaks::Speech;
use crate::tree::{Kind, Node};
use std::net::SocketAddr;

/// Puts `listen`, `site` and `forward`.
pub fn put(cx: &mut Cx<'_>, root: &mut Table, services: &[Service<'_>]) {
    let (mut sites, mut forwards) = (Vec::new(), Vec::new());
    for service in services {
        for port in &service.ports {
            say(cx, service, port);
            match port.speaks {
                Speech::Http => sites.push(site(service, port)),
                _ => forwards.push(forward(service, port)),
            }
        }
    }
    for (key, node) in std::mem::take(&mut cx.routing.root) {
        // What Traefik has comes first, in its own order.
        match (&*key, node.kind) {
            ("site", Kind::Array(items)) => drop(sites.splice(0..0, items)),
            ("forward", Kind::Array(items)) => drop(forwards.splice(0..0, items)),
            (_, kind) => root.put(&key, Node { kind, ..node }),
        }
    }
    if sites.is_empty() && forwards.is_empty() {
        nothing(cx);
    }
    if !root.has("listen") {
        // What is published is all there is: the edge does not listen where nobody said so.
        let mut listen = Table::at(cx.tree);
        listen.put("http", list(Vec::new(), cx.tree));
        root.put("listen", listen.node());
    }
    root.put_list("site", sites, cx.tree);
    root.put_list("forward", forwards, cx.tree);
}

fn nothing(cx: &mut Cx<'_>) {
    let Some((_, first)) = cx.services().first() else { return };
    let at = first.key.clone().unwrap_or(first.span.clone());
    cx.info("nothing of this stack is reached from outside", &at, "no service publishes a port")
        .help("`ports:` of a service publishes one; or write sites into the manifest that `mainstay import compose` makes");
}

/// A published port with what it speaks.
#[derive(Debug, Clone)]
pub struct Door {
    /// The port.
    pub port: super::ports::Published,
    /// What it speaks.
    pub speaks: Speech,
    /// Why it is thought so.
    pub why: String,
}

fn say(cx: &mut Cx<'_>, service: &Service<'_>, door: &Door) {
    let (name, target) = (service.name, door.port.target);
    let what = match door.speaks {
        Speech::Http => format!("port {} of `{name}` becomes a site: {}", door.port.port, door.why),
        Speech::Tcp => format!("port {} of `{name}` is forwarded as TCP: {}", door.port.port, door.why),
        Speech::Udp => format!("port {} of `{name}` is forwarded as UDP: {}", door.port.port, door.why),
    };
    let other = if door.speaks == Speech::Http { "tcp" } else { "http" };
    let found = cx.info(what, &door.port.node.span, "published");
    if door.speaks != Speech::Udp {
        found.help(format!("the label `mainstay.port.{target}={other}` says otherwise"));
    }
}

/// Where a port is published; without an address at all those of both families.
fn listen(door: &Door) -> Node {
    let port = door.port.port;
    let own = door.port.address.map(|address| SocketAddr::new(address, port).to_string());
    text(own.unwrap_or_else(|| format!(":{port}")), &door.port.node)
}

fn site(service: &Service<'_>, door: &Door) -> Node {
    let at = &door.port.node;
    let mut route = Table::at(at);
    if let Some(Native::Static(folder)) = &service.native {
        route.put("static", folder.clone());
    } else {
        route.put("app", text(service.name, at));
        if service.port != Some(door.port.target) {
            route.put("port", integer(i64::from(door.port.target), at));
        }
    }
    let mut site = Table::at(at);
    site.put("hosts", list(vec![text("*", at)], at));
    site.put("listen", list(vec![listen(door)], at));
    site.put("tls", flag(false, at));
    site.put("route", Node::new(Kind::Array(vec![route.node()]), at.span.clone()));
    site.node()
}

fn forward(service: &Service<'_>, door: &Door) -> Node {
    let at = &door.port.node;
    let mut forward = Table::at(at);
    forward.put("listen", listen(door));
    forward.put("app", text(service.name, at));
    forward.put("port", integer(i64::from(door.port.target), at));
    if door.speaks == Speech::Udp {
        forward.put("protocol", text("udp", at));
    }
    forward.node()
}
