//! What only a container has: `container = { … }`.

use super::Cx;
use super::build::{hosts, labels};
use super::confine::engine_options;
use super::out::{Table, bytes, entries, flag, integer, items, list, scalar, size, text, texts, truth};
use crate::tree::{Kind, Node};

/// Puts `container`.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    let mut table = Table::at(service);
    table.put_if("hostname", hostname(service));
    own_labels(service, &mut table);
    hosts(service.get("extra_hosts"), "extra_hosts", &mut table);
    for key in ["init", "tty", "stdin_open", "privileged"] {
        let on = service.get(key).filter(|node| truth(node) == Some(true));
        table.put_if(key, on.map(|node| flag(true, node)));
    }
    devices(service, &mut table);
    for (key, own) in
        [("group_add", "group_add"), ("dns", "dns"), ("dns_search", "dns_search"), ("dns_opt", "dns_options")]
    {
        if let Some(node) = service.get(key) {
            table.put_list(own, texts(Some(node)), node);
        }
    }
    labels(service.get("sysctls"), "sysctls", &mut table);
    ulimits(cx, service, &mut table);
    let shm = service.get("shm_size");
    table.put_if("shm_size", shm.and_then(|node| Some(size(bytes(&node.scalar()?)?, node))));
    table.put_if("security_opt", engine_options(service));
    namespaces(cx, service, &mut table);
    app.put_table("container", table);
}

fn hostname(service: &Node) -> Option<Node> {
    let (host, domain) = (service.get("hostname"), service.get("domainname"));
    match (host.and_then(scalar), domain.and_then(scalar)) {
        (Some(host), Some(domain)) => {
            let name =
                format!("{}.{}", host.scalar().unwrap_or_default(), domain.scalar().unwrap_or_default());
            Some(text(name, &host))
        }
        (host, domain) => host.or(domain),
    }
}

/// Labels but those that were read: Traefik's are routes, ours say what a port speaks.
fn own_labels(service: &Node, table: &mut Table) {
    let Some(node) = service.get("labels") else { return };
    let mut own = Table::at(node);
    for pair in super::out::pairs(Some(node)) {
        if !pair.name.starts_with("traefik.") && !pair.name.starts_with("mainstay.port.") {
            own.put(&pair.name, pair.value.unwrap_or_else(|| text("", node)));
        }
    }
    table.put_table("labels", own);
}

fn devices(service: &Node, table: &mut Table) {
    let Some(node) = service.get("devices") else { return };
    let one = |item: &Node| {
        let Kind::Table(_) = item.kind else { return scalar(item) };
        let part = |key: &str| item.get(key).and_then(|node| node.scalar()).map(|text| text.into_owned());
        let source = part("source")?;
        let target = part("target").unwrap_or_else(|| source.clone());
        let permissions = part("permissions").map(|text| format!(":{text}")).unwrap_or_default();
        Some(text(format!("{source}:{target}{permissions}"), item))
    };
    table.put_list("devices", items(Some(node)).iter().filter_map(one).collect(), node);
}

fn ulimits(cx: &mut Cx<'_>, service: &Node, table: &mut Table) {
    let Some(node) = service.get("ulimits") else { return };
    let mut limits = Table::at(node);
    for (name, value) in entries(Some(node)) {
        let number = |node: Option<&Node>| node.and_then(|node| node.scalar()?.parse::<i64>().ok());
        let both = match value.kind {
            Kind::Table(_) => number(value.get("soft")).zip(number(value.get("hard"))),
            _ => number(Some(value)).map(|both| (both, both)),
        };
        match both {
            Some((soft, hard)) if soft == hard => limits.put(name, integer(soft, value)),
            Some((soft, hard)) => {
                limits.put(name, list(vec![integer(soft, value), integer(hard, value)], value));
            }
            None => {
                cx.error(format!("the limit `{name}` has to be a whole number"), &value.span, "is none");
            }
        }
    }
    table.put_table("ulimits", limits);
}

/// Namespaces that are not its own.
fn namespaces(cx: &mut Cx<'_>, service: &Node, table: &mut Table) {
    let known = [
        ("network_mode", "network_mode", ["host", "none"]),
        ("pid", "pid", ["host", "host"]),
        ("ipc", "ipc", ["host", "shareable"]),
    ];
    for (key, own, words) in known {
        let Some(node) = service.get(key) else { continue };
        let Some(word) = node.scalar().map(|text| text.into_owned()) else { continue };
        let usual: &[&str] = if key == "network_mode" { &["bridge", "default"] } else { &["private", ""] };
        if words.contains(&&*word) {
            table.put(own, text(word, node));
        } else if !usual.contains(&&*word) {
            let message = format!("`{key}: {word}` is not honoured: it has a namespace of its own");
            cx.warn(message, &node.span, "shared with nobody").help(match key {
                "network_mode" => "put both on one network and use the other's name instead of `localhost`",
                _ => "`host` can be had",
            });
        }
    }
}
