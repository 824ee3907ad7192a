//! `networks` of a service, and the names it has there beside its own.

use super::Cx;
use super::needs;
use super::out::{Table, entries, items, list, scalar, text, texts};
use crate::tree::{Kind, Node};

/// Puts `networks`. A service without any is on `default`.
pub fn put(cx: &mut Cx<'_>, name: &str, service: &Node, app: &mut Table) {
    if service
        .get("network_mode")
        .is_some_and(|mode| mode.scalar().is_some_and(|mode| mode == "host" || mode == "none"))
    {
        if let Some(node) = service.get("networks") {
            let at = node.key.clone().unwrap_or(node.span.clone());
            cx.error("`network_mode` and `networks` exclude each other", &at, "remove one of them");
        }
        return;
    }
    let mut aliases: Vec<Node> = service.get("container_name").and_then(scalar).into_iter().collect();
    aliases.retain(|alias| alias.scalar().as_deref() != Some(name));
    aliases.extend(needs::aliases(cx, name));
    let mut joined: Vec<(String, Table, Node)> = Vec::new();
    let given = service.get("networks");
    if let Some(Kind::Array(names)) = given.map(|node| &node.kind) {
        for node in names {
            join(cx, &node.scalar().unwrap_or_default(), node, &aliases, &mut joined);
        }
    }
    for (network, node) in entries(given) {
        join(cx, network, node, &aliases, &mut joined);
    }
    if joined.is_empty() && given.is_none() && !aliases.is_empty() {
        join(cx, "default", &Node { key: None, ..service.clone() }, &aliases, &mut joined);
    }
    // It is reached over the first.
    if let Some(wanted) = cx.routing.network.get(name) {
        joined.sort_by_key(|(network, ..)| network != wanted);
    }
    let Some(at) = given.or_else(|| joined.first().map(|_| service)) else { return };
    if joined.iter().all(|(_, table, _)| !table.has("aliases") && !table.has("address")) {
        let names = joined.iter().map(|(name, _, node)| text(name.clone(), node)).collect();
        return app.put_list("networks", names, at);
    }
    let mut table = Table::at(at);
    for (name, own, _) in joined {
        table.put(&name, own.node());
    }
    app.put_table("networks", table);
}

fn join(cx: &mut Cx<'_>, name: &str, node: &Node, aliases: &[Node], joined: &mut Vec<(String, Table, Node)>) {
    let known = cx.tree.get("networks");
    if name != "default" && known.is_none_or(|known| known.get(name).is_none()) {
        let near = known.and_then(|known| crate::diagnostic::nearest(name, known.keys()));
        let help = near.map_or_else(
            || format!("add `{name}:` below `networks:` at the top"),
            |near| format!("did you mean `{near}`?"),
        );
        let at = node.key.clone().unwrap_or(node.span.clone());
        let message = format!("there is no network `{name}` at the top of the file");
        cx.error(message, &at, "undefined network").help(help);
        return;
    }
    let mut table = Table::at(node);
    let mut own: Vec<Node> = texts(node.get("aliases"));
    for alias in aliases {
        if !own.iter().any(|own| own.scalar() == alias.scalar()) {
            own.push(alias.clone());
        }
    }
    if !own.is_empty() {
        table.put("aliases", list(own, node.get("aliases").unwrap_or(node)));
    }
    let address = node.get("ipv4_address").or(node.get("ipv6_address"));
    table.put_if("address", address.and_then(scalar));
    joined.push((name.to_owned(), table, node.clone()));
}

/// Ports that a service says it listens on, without publishing them.
pub fn exposed(service: &Node) -> Vec<u16> {
    let ports = items(service.get("expose")).iter().filter_map(|node| {
        let written = node.scalar()?;
        let (port, protocol) = written.split_once('/').unwrap_or((&written, "tcp"));
        port.parse().ok().filter(|_| protocol == "tcp")
    });
    ports.collect()
}
