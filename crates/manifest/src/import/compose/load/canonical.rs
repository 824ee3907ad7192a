//! One form for what compose files may write in two, so that files can be laid over each other: lists of `NAME=value` become tables, single words
//! become lists, names become tables of names. What is of neither form stays as it is: whoever reads it says so.

use crate::tree::{Kind, Node};
use std::collections::HashMap;

/// Tables that may be written as lists of `NAME=value`.
const MAPPINGS: [&str; 5] = ["environment", "labels", "annotations", "sysctls", "storage_opt"];

/// Lists that may be written as one word.
const LISTS: [&str; 5] = ["dns", "dns_search", "dns_opt", "tmpfs", "label_file"];

/// Brings a whole document into the one form.
pub fn document(root: &mut Node) {
    each(root, "services", service);
    for part in ["networks", "volumes", "secrets", "configs"] {
        each(root, part, |node| at(node, "labels", mapping));
    }
}

fn service(node: &mut Node) {
    MAPPINGS.iter().for_each(|key| at(node, key, mapping));
    LISTS.iter().for_each(|key| at(node, key, list));
    at(node, "build", build);
    at(node, "deploy", |deploy| at(deploy, "labels", mapping));
    at(node, "depends_on", |node| {
        names(node, &|at| {
            let condition = Node::new(Kind::Text("service_started".into()), at.span.clone());
            Kind::Table(vec![("condition".to_owned(), condition)])
        })
    });
    at(node, "networks", |node| names(node, &|_| Kind::Null));
    at(node, "extra_hosts", hosts);
    at(node, "env_file", |node| {
        list(node);
        items(node, |item| in_table(item, "path"));
    });
    at(node, "extends", |node| in_table(node, "service"));
}

fn build(node: &mut Node) {
    in_table(node, "context");
    ["args", "labels", "additional_contexts"].iter().for_each(|key| at(node, key, mapping));
    at(node, "extra_hosts", hosts);
}

fn each(root: &mut Node, part: &str, change: impl Fn(&mut Node)) {
    let Some(Kind::Table(entries)) = root.get_mut(part).map(|node| &mut node.kind) else { return };
    entries.iter_mut().for_each(|(_, node)| change(node));
}

fn at(node: &mut Node, key: &str, change: impl Fn(&mut Node)) {
    if let Some(node) = node.get_mut(key) {
        change(node);
    }
}

fn items(node: &mut Node, change: impl Fn(&mut Node)) {
    if let Kind::Array(items) = &mut node.kind {
        items.iter_mut().for_each(change);
    }
}

/// A word becomes a list of it.
fn list(node: &mut Node) {
    if matches!(node.kind, Kind::Text(_)) {
        let item = Node { overlay: Default::default(), ..node.clone().keyed(None) };
        node.kind = Kind::Array(vec![item]);
    }
}

/// A word becomes a table that has it under this key.
fn in_table(node: &mut Node, key: &str) {
    if matches!(node.kind, Kind::Text(_)) {
        let word = Node { overlay: Default::default(), ..node.clone() };
        node.kind = Kind::Table(vec![(key.to_owned(), word)]);
    }
}

/// A list of names becomes a table of them.
fn names(node: &mut Node, value: &dyn Fn(&Node) -> Kind) {
    let Kind::Array(items) = &node.kind else { return };
    let mut entries: Vec<(String, Node)> = Vec::new();
    for item in items {
        let Kind::Text(name) = &item.kind else { return };
        if !entries.iter().any(|(other, _)| other == name) {
            let span = item.span.clone();
            entries.push((name.clone(), Node::new(value(item), span.clone()).keyed(Some(span))));
        }
    }
    node.kind = Kind::Table(entries);
}

/// A list of `NAME=value` becomes a table; a name alone has no value. Of a name that stands there twice the last value counts.
fn mapping(node: &mut Node) {
    let Kind::Array(items) = &mut node.kind else { return };
    if !items.iter().all(|item| matches!(item.kind, Kind::Text(_))) {
        return;
    }
    let mut entries: Vec<(String, Node)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for item in std::mem::take(items) {
        let (name, value) = pair(item);
        match places.get(&name).and_then(|&at| entries.get_mut(at)) {
            Some(entry) => entry.1 = value,
            None => {
                places.insert(name.clone(), entries.len());
                entries.push((name, value));
            }
        }
    }
    node.kind = Kind::Table(entries);
}

/// `NAME=value` of a list.
pub fn pair(item: Node) -> (String, Node) {
    let Kind::Text(text) = &item.kind else { return (String::new(), item) };
    let key = Some(item.span.clone());
    match text.split_once('=') {
        Some((name, value)) => {
            let raw = item.raw.as_deref().and_then(|raw| raw.split_once('=')).map(|(_, raw)| raw.to_owned());
            let name = name.trim().to_owned();
            let value = Kind::Text(value.to_owned());
            (name, Node { kind: value, raw, key, ..item })
        }
        None => (text.trim().to_owned(), Node { kind: Kind::Null, raw: None, key, ..item }),
    }
}

/// `extra_hosts` may have several addresses for a name, so the list is its one form: `NAME=address`.
fn hosts(node: &mut Node) {
    let Kind::Table(entries) = &node.kind else { return };
    let mut items = Vec::new();
    for (name, value) in entries {
        let addresses: Vec<&Node> = match &value.kind {
            Kind::Array(addresses) => addresses.iter().collect(),
            _ => vec![value],
        };
        for address in addresses {
            let Some(text) = address.scalar() else { return };
            let raw = address.raw.as_ref().map(|raw| format!("{name}={raw}"));
            let kind = Kind::Text(format!("{name}={text}"));
            items.push(Node {
                kind,
                raw,
                origin: address.origin,
                ..Node::new(Kind::Null, address.span.clone())
            });
        }
    }
    node.kind = Kind::Array(items);
}
