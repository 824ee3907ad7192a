//! Files that are a part of a compose file rather than one, as documents about Compose show them: they are laid over the others as what they
//! plainly mean, with a warning that says so. Where they could belong to several services they are left out, which is said too.
//!
//! - a service at the top (also files from before there was `services`): put below `services`;
//! - keys of a service at the top (`labels`, `environment`, `read_only`, …): put into the only service, labels of Traefik into the service they name;
//! - instructions of a Dockerfile between the keys: of these only `USER` is taken, as `user`;
//! - a bare list of labels: as `labels`.

use super::canonical;
use crate::diagnostic::Report;
use crate::import::yaml::{self, Text};
use crate::tree::{Kind, Node};
use std::collections::BTreeMap;

/// What a compose file has at the top, beside `x-…`.
const TOP: [&str; 9] =
    ["name", "version", "services", "networks", "volumes", "secrets", "configs", "include", "models"];

/// Keys by which a service is known, where they stand alone at the top.
const OF_SERVICE: [&str; 31] = [
    "annotations",
    "build",
    "cap_add",
    "cap_drop",
    "command",
    "container_name",
    "depends_on",
    "deploy",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extra_hosts",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "labels",
    "logging",
    "mem_limit",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "sysctls",
    "tmpfs",
    "ulimits",
    "user",
    "working_dir",
];

/// Words that lines of a Dockerfile begin with.
const INSTRUCTIONS: [&str; 16] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The document as a part of a compose file. `before` are the files before it. Nothing where that was reported.
pub fn whole(mut node: Node, before: Option<&Node>, report: &mut Report) -> Option<Node> {
    if matches!(&node.kind, Kind::Array(items) if items.iter().all(is_label)) {
        let (span, list) = (node.span.clone(), Node { key: Some(first_line(&node)), ..node });
        node = Node::new(Kind::Table(vec![("labels".to_owned(), list)]), span);
    }
    let Kind::Table(entries) = node.kind else {
        report
            .error(
                "compose::file",
                format!("a compose file is a table of `services`, and this is {}", node.kind.name()),
            )
            .at(node.span, "here");
        return None;
    };
    let mut kept: Vec<(String, Node)> = Vec::new();
    let mut services: Vec<(String, Node)> = Vec::new();
    let mut parts: Vec<(String, Node)> = Vec::new();
    for (name, node) in entries {
        let is_list = matches!(node.kind, Kind::Array(_));
        if OF_SERVICE.contains(&name.as_str())
            || is_list && ["volumes", "networks", "secrets", "configs"].contains(&name.as_str())
        {
            parts.push((name, node));
        } else if !TOP.contains(&name.as_str())
            && !name.starts_with("x-")
            && (node.get("image").is_some() || node.get("build").is_some())
        {
            report
                .warning("compose::fragment", format!("`{name}` stands at the top: it is taken as a service"))
                .at(place(&node), "taken as `services`")
                .help(format!("write `services:` above it, and indent `{name}` below"));
            services.push((name, node));
        } else {
            kept.push((name, node));
        }
    }
    let mut root = Node { kind: Kind::Table(kept), ..Node::new(Kind::Null, node.span) };
    services.into_iter().for_each(|(name, node)| put(&mut root, &name, node));
    for (key, part) in parts {
        bare(&mut root, before, &key, part, report);
    }
    Some(root)
}

/// Finds the service for a key of one that stands at the top.
fn bare(root: &mut Node, before: Option<&Node>, key: &str, part: Node, report: &mut Report) {
    let at = place(&part);
    let mut known: Vec<String> = names(before);
    known.extend(names(Some(root)).into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>());
    let owner = match known.as_slice() {
        [only] => Some(only.clone()),
        _ if key == "labels" => return labels(root, before, &known, part, report),
        _ => None,
    };
    match owner {
        Some(name) => {
            report
                .warning(
                    "compose::fragment",
                    format!("`{key}` stands outside of a service: taken as the service `{name}`'s"),
                )
                .at(at.clone(), "a key of a service")
                .help(format!("put it below `services:`, `{name}:`"));
            let keyed = Node { key: Some(at.clone()), ..part };
            put(root, &name, Node::new(Kind::Table(vec![(key.to_owned(), keyed)]), at));
        }
        None => nobody(report, key, part, &known),
    }
}

fn nobody(report: &mut Report, key: &str, part: Node, known: &[String]) {
    let choice = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    report
        .warning(
            "compose::fragment",
            format!("`{key}` stands outside of a service, and nothing says of which: it is left out"),
        )
        .at(place(&part), "of which service?")
        .help(format!("put it below `services:` and the name of the service{choice}"));
}

/// Labels of Traefik go to the service that has others of the same router, service or middleware, or that is called like it.
fn labels(root: &mut Node, before: Option<&Node>, known: &[String], part: Node, report: &mut Report) {
    let at = place(&part);
    let mut holder = Node::new(Kind::Table(vec![("labels".to_owned(), part.clone())]), at.clone());
    let mut services = Node::new(Kind::Table(vec![(String::new(), holder)]), at.clone());
    holder = Node::new(Kind::Table(vec![("services".to_owned(), services)]), at.clone());
    canonical::document(&mut holder);
    services = holder.take("services").unwrap_or_else(|| Node::new(Kind::Null, at.clone()));
    let entries = match services.get("").and_then(|node| node.get("labels")).map(|node| node.kind.clone()) {
        Some(Kind::Table(entries)) => entries,
        _ => Vec::new(),
    };
    let mut found: BTreeMap<String, Vec<(String, Node)>> = BTreeMap::new();
    let mut loose = Vec::new();
    for (label, value) in entries {
        match owner(&label, before, known) {
            Some(name) => found.entry(name).or_default().push((label, value)),
            None => loose.push((label, value)),
        }
    }
    if found.len() == 1 {
        found.values_mut().for_each(|labels| labels.append(&mut loose));
    }
    if found.is_empty() {
        return nobody(report, "labels", part, known);
    }
    for (name, labels) in found {
        report
            .warning(
                "compose::fragment",
                format!("labels outside of a service: taken as the service `{name}`'s, which they name"),
            )
            .at(at.clone(), "keys of a service")
            .help(format!("put them below `services:`, `{name}:`, `labels:`"));
        let labels = Node::new(Kind::Table(labels), at.clone()).keyed(Some(at.clone()));
        put(root, &name, Node::new(Kind::Table(vec![("labels".to_owned(), labels)]), at.clone()));
    }
    if let Some((label, node)) = loose.first() {
        report
            .warning("compose::fragment", format!("no service for the label `{label}`: it is left out"))
            .at(place(node), "of which service?");
    }
}

/// The service that a label of Traefik is about.
fn owner(label: &str, before: Option<&Node>, known: &[String]) -> Option<String> {
    let mut parts = label.splitn(5, '.');
    let (traefik, protocol, kind, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if traefik != "traefik" {
        return None;
    }
    let prefix = format!("{traefik}.{protocol}.{kind}.{name}.");
    let has = |service: &&String| {
        let labels = before.and_then(|node| node.get("services")?.get(service)?.get("labels"));
        labels.is_some_and(|labels| labels.keys().any(|label| label.starts_with(&prefix)))
    };
    let bare =
        ["-http", "-https", "-secure", "-tls"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    known.iter().find(has).or(known.iter().find(|service| *service == name || *service == bare)).cloned()
}

/// Adds to a service of the document.
fn put(root: &mut Node, service: &str, node: Node) {
    let at = node.span.clone();
    let Kind::Table(top) = &mut root.kind else { return };
    let index = top.iter().position(|(name, _)| name == "services").unwrap_or_else(|| {
        top.push((
            "services".to_owned(),
            Node::new(Kind::Table(Vec::new()), at.clone()).keyed(Some(at.clone())),
        ));
        top.len() - 1
    });
    let Some((_, Node { kind: Kind::Table(services), .. })) = top.get_mut(index) else { return };
    match (services.iter_mut().find(|(name, _)| name == service), node.kind) {
        (Some((_, Node { kind: Kind::Table(own), .. })), Kind::Table(entries)) => {
            let new: Vec<_> =
                entries.into_iter().filter(|(key, _)| !own.iter().any(|(other, _)| other == key)).collect();
            own.extend(new);
        }
        (None, kind) => {
            let key = node.key.or(Some(at.clone()));
            services.push((service.to_owned(), Node::new(kind, at).keyed(key)));
        }
        _ => {}
    }
}

/// A text that is no YAML because lines of a Dockerfile stand in it: it without them, and the user that they name.
pub fn without_instructions(file: &Text, report: &mut Report) -> (Option<Text>, Option<Node>) {
    let is_instruction = |line: &str| {
        line.split_once(' ').is_some_and(|(word, _)| INSTRUCTIONS.contains(&word)) && !line.contains(": ")
    };
    if !file.text.lines().any(is_instruction) || yaml::is_yaml(&file.text) {
        return (None, None);
    }
    let (mut text, mut user) = (String::with_capacity(file.text.len()), None);
    for line in file.text.split_inclusive('\n') {
        let bare = line.trim_end();
        if !is_instruction(bare) {
            text.push_str(line);
            continue;
        }
        let start = file.start + text.len();
        let span = start..start + bare.len();
        let name = bare.strip_prefix("USER ").map(str::trim);
        let label = if name.is_some() { "taken as `user`" } else { "left out" };
        report
            .warning("compose::fragment", "an instruction of a Dockerfile stands in a compose file")
            .at(span.clone(), label)
            .help("put it into the Dockerfile of the image");
        user =
            name.map(|name| Node::new(Kind::Text(name.to_owned()), span.clone()).keyed(Some(span))).or(user);
        text.push('#');
        text.push_str(line.get(1..).unwrap_or_default());
    }
    (Some(Text { path: file.path.clone(), text, start: file.start }), user)
}

fn names(root: Option<&Node>) -> Vec<String> {
    let services = root.and_then(|node| node.get("services"));
    services.map(|node| node.keys().map(str::to_owned).collect()).unwrap_or_default()
}

fn is_label(node: &Node) -> bool {
    matches!(&node.kind, Kind::Text(text) if text.contains('='))
}

fn place(node: &Node) -> crate::tree::Span {
    node.key.clone().unwrap_or(node.span.clone())
}

fn first_line(node: &Node) -> crate::tree::Span {
    node.item(0).map_or(node.span.clone(), |item| item.span.clone())
}
