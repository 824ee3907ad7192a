//! One document laid over another (Compose Specification, "Merge and override"): tables deep, lists appended, anything else replaced. Of lists whose
//! items have a key ([`Identity`]) the later item takes the earlier one's place. `!reset` and `!override` say otherwise.

use crate::diagnostic::Report;
use crate::tree::{Kind, Node, Overlay};
use std::collections::HashMap;

/// Values that a later file replaces as a whole.
const REPLACED: [&[&str]; 4] = [
    &["services", "*", "command"],
    &["services", "*", "entrypoint"],
    &["services", "*", "healthcheck", "test"],
    &["services", "*", "ulimits", "*"],
];

/// Lays `over` over `base`.
pub fn overlay(base: &mut Node, over: Node, report: &mut Report) {
    merge(base, over, &mut Vec::new(), report);
}

/// Lays a service over the one it extends.
pub fn service(base: &mut Node, over: Node, report: &mut Report) {
    merge(base, over, &mut vec!["services".to_owned(), String::new()], report);
}

/// What `!reset` marks is gone, also where nothing was before; no mark is left.
pub fn settle(node: &mut Node) {
    match &mut node.kind {
        Kind::Table(entries) => {
            entries.retain(|(_, node)| node.overlay != Overlay::Remove);
            entries.iter_mut().for_each(|(_, node)| settle(node));
        }
        Kind::Array(items) => {
            items.retain(|node| node.overlay != Overlay::Remove);
            items.iter_mut().for_each(settle);
        }
        _ => {}
    }
    node.overlay = Overlay::Merge;
}

fn merge(base: &mut Node, over: Node, path: &mut Vec<String>, report: &mut Report) {
    match over.overlay {
        // Kept with its mark: a file between may bring it again.
        Overlay::Remove | Overlay::Replace => return *base = over,
        Overlay::Merge => {}
    }
    let replaced = is(path, &REPLACED) || other_driver(base, &over, path);
    let Node { kind, span, key, origin, raw, .. } = over;
    match (&mut base.kind, kind) {
        // A value that is not there changes nothing.
        (_, Kind::Null) => {}
        (Kind::Table(own), Kind::Table(entries)) if !replaced => {
            (base.span, base.key) = (span, key.or(base.key.take()));
            table(own, entries, path, report);
        }
        (Kind::Array(own), Kind::Array(items)) if !replaced => {
            (base.span, base.key) = (span, key.or(base.key.take()));
            list(own, items, path);
        }
        (
            Kind::Table(_) | Kind::Array(_),
            kind @ (Kind::Text(_) | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(..)),
        ) if !replaced && !is(path, &[&["services", "*", "build"]]) => {
            let found = format!("this is {}, and {} in the file before", kind.name(), base.kind.name());
            report
                .error("compose::merge", format!("`{}` is of another kind than before", path.join(".")))
                .at(span, found)
                .at(base.span.clone(), "before")
                .help("write it in the same form, or `!override` before the value");
        }
        (_, kind) => {
            let key = key.or(base.key.take());
            *base = Node { kind, key, origin, raw, ..Node::new(Kind::Null, span) };
        }
    }
}

fn table(
    own: &mut Vec<(String, Node)>,
    entries: Vec<(String, Node)>,
    path: &mut Vec<String>,
    report: &mut Report,
) {
    let mut places: HashMap<String, usize> =
        own.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    for (name, node) in entries {
        match places.get(&name).and_then(|&at| own.get_mut(at)) {
            Some((_, before)) => {
                path.push(name);
                merge(before, node, path, report);
                path.pop();
            }
            None => {
                places.insert(name.clone(), own.len());
                own.push((name, node));
            }
        }
    }
}

/// How the items of a list are told apart; none: every one is another.
type Identity = fn(&Node) -> Option<String>;

fn identity(path: &[String]) -> Option<Identity> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["services", _, "ports"] => Some(port),
        ["services", _, "volumes" | "devices"] => Some(target),
        ["services", _, "secrets" | "configs"] => Some(mount),
        ["services", _, "env_file"] => Some(|node| node.get("path")?.scalar().map(|path| path.into_owned())),
        ["networks", _, "ipam", "config"] => {
            Some(|node| node.get("subnet")?.scalar().map(|net| net.into_owned()))
        }
        [
            "services",
            _,
            "cap_add" | "cap_drop" | "expose" | "links" | "profiles" | "security_opt" | "tmpfs" | "group_add",
        ]
        | [
            "services",
            _,
            "dns" | "dns_search" | "dns_opt" | "external_links" | "label_file" | "extra_hosts",
        ]
        | ["services", _, "networks", _, "aliases"] => {
            Some(|node| node.scalar().map(|text| text.into_owned()))
        }
        _ => None,
    }
}

fn list(own: &mut Vec<Node>, items: Vec<Node>, path: &[String]) {
    let Some(identity) = identity(path) else { return own.extend(items) };
    let mut places: HashMap<String, usize> =
        own.iter().enumerate().filter_map(|(at, node)| Some((identity(node)?, at))).collect();
    for item in items {
        let name = identity(&item);
        match name.as_ref().and_then(|name| places.get(name)).and_then(|&at| own.get_mut(at)) {
            Some(before) => *before = item,
            None => {
                places.extend(name.map(|name| (name, own.len())));
                own.push(item);
            }
        }
    }
}

/// `address:published:target/protocol` of a port in either form.
fn port(node: &Node) -> Option<String> {
    if let Some(text) = node.scalar() {
        return Some(text.strip_suffix("/tcp").unwrap_or(&text).to_owned());
    }
    let part = |key: &str| node.get(key).and_then(Node::scalar).unwrap_or_default();
    let mut text: Vec<String> = ["host_ip", "published", "target"].map(|key| part(key).into_owned()).to_vec();
    text.retain(|part| !part.is_empty());
    let protocol = part("protocol");
    let suffix = if matches!(&*protocol, "" | "tcp") { String::new() } else { format!("/{protocol}") };
    Some(text.join(":") + &suffix)
}

/// Where a volume or a device is inside.
fn target(node: &Node) -> Option<String> {
    let target = match node.scalar() {
        Some(text) => {
            let mut parts = text.split(':');
            let first = parts.next().unwrap_or_default();
            parts.next().unwrap_or(first).to_owned()
        }
        None => node.get("target")?.scalar()?.into_owned(),
    };
    Some(target.trim_end_matches('/').to_owned())
}

/// Where a secret or a configuration is inside.
fn mount(node: &Node) -> Option<String> {
    let own = node.get("target").or(node.get("source")).unwrap_or(node);
    own.scalar().map(|text| text.trim_start_matches("/run/secrets/").trim_start_matches('/').to_owned())
}

/// Options of another logging driver are not for this one.
fn other_driver(base: &Node, over: &Node, path: &[String]) -> bool {
    let driver = |node: &Node| node.get("driver").and_then(Node::scalar).map(|name| name.into_owned());
    let is_logging = is(path, &[&["services", "*", "logging"]]);
    is_logging && driver(base).zip(driver(over)).is_some_and(|(before, after)| before != after)
}

fn is(path: &[String], patterns: &[&[&str]]) -> bool {
    let fits = |pattern: &&[&str]| {
        pattern.len() == path.len() && pattern.iter().zip(path).all(|(part, own)| *part == "*" || part == own)
    };
    patterns.iter().any(fits)
}
