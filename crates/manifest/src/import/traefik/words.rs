//! What of a project is about Traefik: its services, their words, labels and ports.

use super::fixed::Published;
use super::settings::Settings;
use crate::import::compose::Project;
use crate::tree::{Kind, Node, Span};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where the host listens; without an address at all of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// One of the host's.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

/// Entries of a table.
pub fn entries(node: Option<&Node>) -> &[(String, Node)] {
    match node.map(|node| &node.kind) {
        Some(Kind::Table(entries)) => entries,
        _ => &[],
    }
}

/// All services.
pub fn services(project: &Project) -> &[(String, Node)] {
    entries(project.root.get("services"))
}

/// Names of those that are Traefik itself.
pub fn traefiks(project: &Project) -> Vec<String> {
    let is_traefik = |node: &Node| {
        let image = node.get("image").and_then(Node::scalar).unwrap_or_default().into_owned();
        let name = image.rsplit('/').next().unwrap_or_default();
        name.split([':', '@']).next() == Some("traefik")
    };
    services(project).iter().filter(|(_, node)| is_traefik(node)).map(|(name, _)| name.clone()).collect()
}

/// The words of a service's `command`, each where it stands.
pub fn command(project: &Project, service: &str) -> Vec<(String, Span)> {
    let command = project.root.get("services").and_then(|all| all.get(service)?.get("command"));
    match command.map(|node| (&node.kind, &node.span)) {
        Some((Kind::Array(items), _)) => {
            items.iter().filter_map(|item| Some((item.scalar()?.into_owned(), item.span.clone()))).collect()
        }
        Some((Kind::Text(text), span)) => {
            let words = shell_words::split(text).unwrap_or_default();
            words.into_iter().map(|word| (word, span.clone())).collect()
        }
        _ => Vec::new(),
    }
}

/// `TRAEFIK_A_B=c` of a service's environment.
pub fn variables(project: &Project, service: &str, settings: &mut Settings) {
    let own = project.root.get("services").and_then(|all| all.get(service)?.get("environment"));
    // Variables of people's own that only begin like that.
    const OTHERS: [&str; 3] = ["TRAEFIK_DOMAIN", "TRAEFIK_DASHBOARD_ENABLED", "TRAEFIK_HTTPS_ENABLED"];
    for (name, node) in entries(own) {
        let Some(key) = name.strip_prefix("TRAEFIK_").filter(|_| !OTHERS.contains(&name.as_str())) else {
            continue;
        };
        let value = node.scalar().unwrap_or_default().into_owned();
        settings.add(&key.to_ascii_lowercase().replace('_', "."), vec![value], node.span.clone(), None);
    }
}

/// Labels of a service that are Traefik's.
pub fn labels(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let both = [node.get("labels"), node.get("deploy").and_then(|deploy| deploy.get("labels"))];
    let all = both.into_iter().flat_map(|labels| entries(labels).iter());
    all.filter_map(|(name, node)| {
        let rest = name.get(..8).filter(|start| start.eq_ignore_ascii_case("traefik.")).and(name.get(8..))?;
        Some((rest, node))
    })
}

/// Where the ports of a service are on the host; none: it has the host's own network.
pub fn published(project: &Project, services: &[String]) -> Published {
    let mut ports = BTreeMap::new();
    for service in services {
        let Some(node) = project.root.get("services").and_then(|all| all.get(service)) else { continue };
        if node.get("network_mode").and_then(Node::scalar).as_deref() == Some("host") {
            return None;
        }
        let Some(Kind::Array(items)) = node.get("ports").map(|ports| &ports.kind) else { continue };
        ports.extend(items.iter().filter_map(port));
    }
    (!services.is_empty()).then_some(ports)
}

/// `80`, `8080:80`, `127.0.0.1:8080:80/udp`, or a table.
fn port(node: &Node) -> Option<((u16, bool), Listen)> {
    if let Kind::Table(_) = node.kind {
        let get = |key: &str| node.get(key).and_then(Node::scalar);
        let target: u16 = get("target")?.parse().ok()?;
        let there = get("published").and_then(|own| own.parse().ok()).unwrap_or(target);
        let address = get("host_ip").and_then(|own| own.parse().ok());
        return Some(((target, get("protocol").as_deref() == Some("udp")), Listen { address, port: there }));
    }
    let text = node.scalar()?;
    let (text, udp) = match text.split_once('/') {
        Some((text, kind)) => (text, kind == "udp"),
        None => (&*text, false),
    };
    let (rest, inside) = text.rsplit_once(':').unwrap_or((text, text));
    let inside: u16 = inside.parse().ok()?;
    let (ip, there) = rest.rsplit_once(':').unwrap_or(("", rest));
    let address = ip.trim_matches(['[', ']']).parse().ok();
    Some(((inside, udp), Listen { address, port: there.parse().ok()? }))
}
