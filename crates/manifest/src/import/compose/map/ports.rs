//! `ports`: the short form (`[[address:]published:]target[/protocol]`, each a number or a range) and the long one, as one list.

use super::Cx;
use super::out::items;
use crate::tree::{Kind, Node};
use std::net::IpAddr;

/// Ports of one range at most: more is a slip.
const MOST: usize = 1024;

/// A port of the host's that leads to one of a container's.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where the host listens; none: at all addresses of IPv4.
    pub address: Option<IpAddr>,
    /// Port of the host.
    pub port: u16,
    /// Port of the container.
    pub target: u16,
    /// It is UDP.
    pub udp: bool,
    /// What the file says that it speaks (`app_protocol`).
    pub speaks: Option<String>,
    /// Where it stands.
    pub node: Node,
}

/// All ports that a service publishes.
pub fn published(cx: &mut Cx<'_>, service: &Node) -> Vec<Published> {
    let mut all = Vec::new();
    for item in items(service.get("ports")) {
        match item.kind {
            Kind::Table(_) => long(cx, item, &mut all),
            _ => short(cx, item, &mut all),
        }
    }
    all
}

fn short(cx: &mut Cx<'_>, item: &Node, all: &mut Vec<Published>) {
    let Some(written) = item.scalar().map(|text| text.into_owned()) else { return };
    let (ports, protocol) = written.split_once('/').unwrap_or((&written, "tcp"));
    let (before, target) = ports.rsplit_once(':').unwrap_or(("", ports));
    // an IPv6 address has colons of its own
    let (address, host) = match before.rsplit_once(':') {
        Some((address, host)) => (address.trim_matches(['[', ']']), host),
        None if before.parse::<IpAddr>().is_ok() => (before, ""),
        None => ("", before),
    };
    let parsed = address.is_empty() || address.parse::<IpAddr>().is_ok();
    let (Some(target), Some(host), true) =
        (range(target), if host.is_empty() { Some(Vec::new()) } else { range(host) }, parsed)
    else {
        cx.error(
            format!("`{written}` is no port"),
            &item.span,
            "not `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`",
        )
        .help("for example `8080:80`, `127.0.0.1:5432:5432`, `53:53/udp`");
        return;
    };
    push(cx, item, (address.parse().ok(), host, target), (protocol, None), all);
}

fn long(cx: &mut Cx<'_>, item: &Node, all: &mut Vec<Published>) {
    let word = |key: &str| item.get(key).and_then(|node| node.scalar()).map(|text| text.into_owned());
    let target = word("target").and_then(|text| range(&text));
    let host =
        word("published").filter(|text| !text.is_empty()).map_or(Some(Vec::new()), |text| range(&text));
    let address = word("host_ip").filter(|text| !text.is_empty());
    let parsed = address.as_ref().map(|text| text.parse::<IpAddr>());
    let (Some(target), Some(host), Ok(address)) = (target, host, parsed.transpose()) else {
        cx.error(
            "this is no port",
            &item.span,
            "`target` has to be a port, `published` one or a range, `host_ip` an address",
        );
        return;
    };
    let protocol = word("protocol").unwrap_or_else(|| "tcp".into());
    push(cx, item, (address, host, target), (&protocol, word("app_protocol")), all);
}

/// `80` or `8000-8010`.
fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
    let ports: Vec<u16> = (first..=last).take(MOST).collect();
    (first > 0 && !ports.is_empty()).then_some(ports)
}

fn push(
    cx: &mut Cx<'_>,
    item: &Node,
    (address, host, target): (Option<IpAddr>, Vec<u16>, Vec<u16>),
    (protocol, speaks): (&str, Option<String>),
    all: &mut Vec<Published>,
) {
    let udp = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => false,
        "udp" => true,
        other => {
            cx.error(format!("`{other}` is not forwarded"), &item.span, "`tcp` or `udp`");
            return;
        }
    };
    let host = match host.len() {
        0 => {
            let message = "no port of the host is named: it is the same one, not one of the engine's choice";
            cx.info(message, &item.span, "the same on the host").help("write `HOST:CONTAINER` to choose it");
            target.clone()
        }
        count if count != target.len() && target.len() == 1 => {
            let message = "of a range of the host's for one port the first is taken";
            cx.info(message, &item.span, "the first");
            host.into_iter().take(1).collect()
        }
        count if count != target.len() => {
            cx.error("these two ranges differ in length", &item.span, "each port leads to one");
            return;
        }
        _ => host,
    };
    let node = item;
    all.extend(host.into_iter().zip(target).map(|(port, target)| Published {
        address,
        port,
        target,
        udp,
        speaks: speaks.clone(),
        node: node.clone(),
    }));
}
