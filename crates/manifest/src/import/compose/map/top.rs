//! `networks` and `volumes` at the top of a file.

use super::Cx;
use super::build::labels;
use super::out::{Table, entries, flag, items, list, scalar, truth};
use crate::tree::{Kind, Node};

/// Puts `[network.NAME]`.
pub fn networks(cx: &mut Cx<'_>, root: &mut Table) {
    let Some(node) = cx.tree.get("networks") else { return };
    let mut all = Table::at(node);
    for (name, node) in entries(Some(node)) {
        let mut table = common(node);
        for (key, own) in [("internal", "internal"), ("enable_ipv6", "ipv6")] {
            let on = node.get(key).filter(|node| truth(node) == Some(true));
            table.put_if(own, on.map(|node| flag(true, node)));
        }
        subnets(node, &mut table);
        if let Some(off) = node.get("enable_ipv4").filter(|node| truth(node) == Some(false)) {
            cx.warn("a network has IPv4 in any case", &off.span, "not honoured");
        }
        let driver = node.get("ipam").and_then(|ipam| ipam.get("driver"));
        if let Some(driver) = driver.filter(|node| node.scalar().is_some_and(|name| name != "default")) {
            cx.warn("the engine gives the addresses of a network", &driver.span, "not honoured");
        }
        all.put(name, table.node());
    }
    root.put_table("network", all);
}

/// Puts `[volume.NAME]`.
pub fn volumes(cx: &mut Cx<'_>, root: &mut Table) {
    let Some(node) = cx.tree.get("volumes") else { return };
    let mut all = Table::at(node);
    for (name, node) in entries(Some(node)) {
        all.put(name, common(node).node());
    }
    root.put_table("volume", all);
}

/// What networks and volumes have in common.
fn common(node: &Node) -> Table {
    let mut table = Table::at(node);
    table.put_if("name", node.get("name").and_then(scalar));
    if let Some(external) = node.get("external") {
        let named = matches!(external.kind, Kind::Table(_));
        table.put_if("name", external.get("name").and_then(scalar));
        if named || truth(external) == Some(true) {
            table.put("external", flag(true, external));
        }
    }
    table.put_if("driver", node.get("driver").and_then(scalar));
    labels(node.get("driver_opts"), "driver_opts", &mut table);
    labels(node.get("labels"), "labels", &mut table);
    table
}

fn subnets(node: &Node, table: &mut Table) {
    let Some(config) = node.get("ipam").and_then(|ipam| ipam.get("config")) else { return };
    let mut ranges = Vec::new();
    for item in items(Some(config)) {
        let mut range = Table::at(item);
        for (key, own) in [("subnet", "subnet"), ("gateway", "gateway"), ("ip_range", "range")] {
            range.put_if(own, item.get(key).and_then(scalar));
        }
        if range.has("subnet") {
            ranges.push(range.node());
        }
    }
    if !ranges.is_empty() {
        table.put("subnets", list(ranges, config));
    }
}
