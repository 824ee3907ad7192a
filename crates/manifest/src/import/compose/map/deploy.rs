//! `deploy`, `scale` and the older keys that mean the same: how many, and what each may use.

use super::Cx;
use super::out::{Table, bytes, integer, number, size};
use crate::tree::Node;

/// Puts `instances` and `resources`.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    instances(cx, service, app);
    let limits = below(service, &["deploy", "resources", "limits"]);
    let reserved = below(service, &["deploy", "resources", "reservations"]);
    let of = |table: Option<&'_ Node>, key: &str| table.and_then(|table| table.get(key)).cloned();
    let mut resources = Table::at(service.get("deploy").unwrap_or(service));
    let cpus = of(limits, "cpus").or_else(|| service.get("cpus").cloned());
    let cpus = cpus.and_then(|node| cores(cx, &node)).or_else(|| quota(service));
    resources.put_if("cpus", cpus);
    let memory = of(limits, "memory").or_else(|| service.get("mem_limit").cloned());
    resources.put_if("memory", memory.and_then(|node| memory_of(cx, &node)));
    let pids = of(limits, "pids").or_else(|| service.get("pids_limit").cloned());
    resources.put_if("pids", pids.and_then(|node| whole(cx, &node)));
    let mut reserve = Table::at(reserved.unwrap_or(service));
    reserve.put_if("cpus", of(reserved, "cpus").and_then(|node| cores(cx, &node)));
    let memory = of(reserved, "memory").or_else(|| service.get("mem_reservation").cloned());
    reserve.put_if("memory", memory.and_then(|node| memory_of(cx, &node)));
    resources.put_table("reserve", reserve);
    app.put_table("resources", resources);
    if let Some(order) = below(service, &["deploy", "update_config", "order"])
        && order.scalar().as_deref() == Some("stop-first")
    {
        let message = "`order: stop-first` is not honoured: a successor is ready before its predecessor goes";
        cx.warn(message, &order.span, "both run for a moment");
    }
}

fn below<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

/// Whether a service asks for no instance at all.
pub fn is_none(service: &Node) -> bool {
    count(service).is_some_and(|node| node.scalar().as_deref() == Some("0"))
}

fn count(service: &Node) -> Option<&Node> {
    let replicas = below(service, &["deploy", "replicas"]);
    service.get("scale").or(replicas)
}

fn instances(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    if let Some(mode) = below(service, &["deploy", "mode"]) {
        let word = mode.scalar().unwrap_or_default().into_owned();
        if !["replicated", "global", "replicated-job", "global-job"].contains(&&*word) {
            cx.error(format!("`{word}` is no mode of a service"), &mode.span, "`replicated` or `global`");
        }
        if word.starts_with("global") {
            return;
        }
    }
    let Some(node) = count(service) else { return };
    match node.scalar().and_then(|text| text.parse::<i64>().ok()) {
        Some(1) => {}
        Some(count) => app.put("instances", integer(count, node)),
        None => {
            cx.error("the number of instances has to be a whole number", &node.span, "is none");
        }
    }
}

fn cores(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    let value = node.scalar()?.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
    if value.is_none() {
        cx.error("a number of cores is one such as `1.5`", &node.span, "is no number");
    }
    // 0 is the engines' way to say: no bound
    value.filter(|value| *value > 0.0).map(|value| number(value, node))
}

/// Microseconds of a core within a period of 100 milliseconds, if nothing else is said.
fn quota(service: &Node) -> Option<Node> {
    let micros = |key: &str| service.get(key)?.scalar()?.trim_end_matches("us").parse::<f64>().ok();
    let quota = micros("cpu_quota").filter(|quota| *quota > 0.0)?;
    let period = micros("cpu_period").filter(|period| *period > 0.0).unwrap_or(100_000.0);
    Some(number((quota / period * 1000.0).round() / 1000.0, service.get("cpu_quota")?))
}

fn memory_of(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    let value = bytes(&node.scalar()?);
    if value.is_none() {
        cx.error("a size is a number with a unit, such as `512m`", &node.span, "is none");
    }
    value.filter(|value| *value > 0).map(|value| size(value, node))
}

fn whole(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    let value = node.scalar()?.parse::<i64>().ok();
    if value.is_none() {
        cx.error("this has to be a whole number", &node.span, "is none");
    }
    // 0 and -1: no bound
    value.filter(|value| *value > 0).map(|value| integer(value, node))
}
