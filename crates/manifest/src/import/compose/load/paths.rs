//! Paths of a file that lies in another folder than the project: made absolute, because all that is left of the file is its content.

use crate::tree::{Kind, Node, Origin};
use std::path::Path;

/// Makes the paths of a whole document absolute, which are relative to `folder`.
pub fn document(root: &mut Node, folder: &Path) {
    each(root.get_mut("services"), &mut |node| service(node, folder));
    for part in ["secrets", "configs"] {
        each(root.get_mut(part), &mut |node| file(node.get_mut("file"), folder));
    }
}

/// Makes the paths of a service absolute.
pub fn service(node: &mut Node, folder: &Path) {
    if let Some(build) = node.get_mut("build") {
        file(build.get_mut("context"), folder);
        each(build.get_mut("additional_contexts"), &mut |node| file(Some(node), folder));
    }
    each(node.get_mut("env_file"), &mut |node| file(node.get_mut("path"), folder));
    each(node.get_mut("label_file"), &mut |node| file(Some(node), folder));
    each(node.get_mut("volumes"), &mut |node| volume(node, folder));
    if let Some(develop) = node.get_mut("develop") {
        each(develop.get_mut("watch"), &mut |node| file(node.get_mut("path"), folder));
    }
}

fn each(node: Option<&mut Node>, change: &mut dyn FnMut(&mut Node)) {
    match node.map(|node| &mut node.kind) {
        Some(Kind::Array(items)) => items.iter_mut().for_each(change),
        Some(Kind::Table(entries)) => entries.iter_mut().for_each(|(_, node)| change(node)),
        _ => {}
    }
}

fn volume(node: &mut Node, folder: &Path) {
    if let Kind::Text(text) = &node.kind {
        if text.starts_with('.') {
            let (source, rest) = text.split_once(':').unwrap_or((text, ""));
            let source = folder.join(source.trim_start_matches("./"));
            set(node, format!("{}:{rest}", source.display()).trim_end_matches(':').to_owned());
        }
    } else if node.get("type").and_then(Node::scalar).is_some_and(|kind| kind == "bind") {
        file(node.get_mut("source"), folder);
    }
}

fn file(node: Option<&mut Node>, folder: &Path) {
    let Some(node) = node else { return };
    let Kind::Text(text) = &node.kind else { return };
    let remote = text.contains("://") || text.starts_with("git@") || text.starts_with("service:");
    if remote || text.starts_with(['/', '~']) {
        return;
    }
    let path = folder.join(text.trim_start_matches("./"));
    set(node, path.display().to_string());
}

fn set(node: &mut Node, text: String) {
    (node.kind, node.raw) = (Kind::Text(text), None);
    node.origin = node.origin.max(Origin::Written);
}
