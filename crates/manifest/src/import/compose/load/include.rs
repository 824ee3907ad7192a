//! `include`: another project's files, read with folder and variables of their own; what they declare becomes part of this one (Compose
//! Specification, "include"). What stands in both is an error: nobody could tell which is meant.

use super::{Loader, Scope, paths};
use crate::tree::{Kind, Node};
use std::path::PathBuf;

/// What may come from an included file.
const PARTS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

/// Includes within includes, at most.
const MAX_DEPTH: usize = 8;

/// Replaces `include` of a document.
pub fn resolve(loader: &mut Loader<'_>, root: &mut Node, scope: &Scope) {
    let Some(include) = root.take("include") else { return };
    let entries = match include.kind {
        Kind::Array(items) => items,
        _ => vec![include],
    };
    for entry in entries {
        let (files, folder, variables) = match &entry.kind {
            Kind::Table(_) => (
                words(entry.get("path")),
                words(entry.get("project_directory")),
                words(entry.get("env_file")),
            ),
            _ => (words(Some(&entry)), Vec::new(), Vec::new()),
        };
        let files: Vec<PathBuf> = files.iter().map(|file| scope.folder.join(file)).collect();
        let Some(first) = files.first() else {
            loader
                .report
                .error("compose::include", "`include` names no file")
                .at(entry.span.clone(), "here")
                .help("write `include: [path/to/compose.yaml]`");
            continue;
        };
        if scope.including.contains(first) || scope.including.len() >= MAX_DEPTH {
            loader
                .report
                .error("compose::include", "files include each other in a circle, or too deep")
                .at(entry.span.clone(), first.display().to_string());
            continue;
        }
        let beside = first.parent().unwrap_or(&scope.folder).to_owned();
        let folder = folder.first().map_or(beside, |folder| scope.folder.join(folder));
        let variables: Vec<PathBuf> = match variables.is_empty() {
            // `.env` of its own folder, where it is another one.
            true => Some(folder.join(".env"))
                .filter(|file| folder != scope.folder && loader.disk.is_real() && file.exists())
                .into_iter()
                .collect(),
            false => variables.iter().map(|file| scope.folder.join(file)).collect(),
        };
        let inner = loader.within(scope, folder, &variables, first);
        let Some(mut other) = loader.files(&files, &inner, Some(&entry)) else { continue };
        if inner.folder != scope.folder {
            paths::document(&mut other, &inner.folder);
        }
        take_over(loader, root, other);
    }
}

/// Puts what an included project declares beside what is there.
fn take_over(loader: &mut Loader<'_>, root: &mut Node, mut other: Node) {
    let Kind::Table(own) = &mut root.kind else { return };
    for part in PARTS {
        let Some(node) = other.take(part) else { continue };
        let at = match own.iter().position(|(name, _)| name == part) {
            Some(at) => at,
            None => {
                own.push((part.to_owned(), node));
                continue;
            }
        };
        let Some((_, Node { kind: Kind::Table(there), .. })) = own.get_mut(at) else { continue };
        let Kind::Table(entries) = node.kind else { continue };
        for (name, node) in entries {
            match there.iter().find(|(own, _)| *own == name) {
                Some((_, before)) if before.to_json() == node.to_json() => {}
                Some((_, before)) => {
                    let place = |node: &Node| node.key.clone().unwrap_or(node.span.clone());
                    loader
                        .report
                        .error(
                            "compose::include",
                            format!("`{part}.{name}` is in this file and in an included one"),
                        )
                        .at(place(before), "here")
                        .at(place(&node), "and included")
                        .help(
                            "put what differs into a file of its own: --file compose.yaml --file that.yaml",
                        );
                }
                None => there.push((name, node)),
            }
        }
    }
}

fn words(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    match &node.kind {
        Kind::Array(items) => items.iter().filter_map(Node::scalar).map(|word| word.into_owned()).collect(),
        _ => node.scalar().map(|word| word.into_owned()).into_iter().collect(),
    }
}
