//! `extends`: a service laid over another one, of this file or of another (Compose Specification, "extends").

use super::{Loader, Scope, canonical, merge, paths};
use crate::tree::{Kind, Node};
use std::path::{Path, PathBuf};

/// A chain of services longer than this is refused.
const MAX_CHAIN: usize = 16;

/// One service of one file.
type Step = (PathBuf, String);

/// Replaces `extends` in every service of a document of `file`.
pub fn resolve(loader: &mut Loader<'_>, root: &mut Node, scope: &Scope, file: &Path) {
    let Some(Kind::Table(services)) = root.get("services").map(|node| &node.kind) else { return };
    let extending: Vec<String> = services
        .iter()
        .filter(|(_, node)| node.get("extends").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let all = root.clone();
    for name in extending {
        let mut chain = vec![(file.to_owned(), name.clone())];
        let whole = service(loader, &all, scope, &name, &mut chain);
        if let (Some(whole), Some(own)) =
            (whole, root.get_mut("services").and_then(|node| node.get_mut(&name)))
        {
            *own = whole;
        }
    }
}

/// A service of a document with all that it extends; nothing where that was reported.
fn service(
    loader: &mut Loader<'_>,
    root: &Node,
    scope: &Scope,
    name: &str,
    chain: &mut Vec<Step>,
) -> Option<Node> {
    let mut own = root.get("services")?.get(name)?.clone();
    if !loader.pays_for(&own) {
        let at = own.key.clone().unwrap_or(own.span.clone());
        loader
            .report
            .error("compose::extends", "services that extend each other: this would become too large")
            .at(at, "here");
        return None;
    }
    let Some(extends) = own.take("extends") else { return Some(own) };
    let base_name =
        extends.get("service").and_then(Node::scalar).map_or(name.to_owned(), |name| name.into_owned());
    let base = match extends.get("file").and_then(Node::scalar) {
        None => {
            let file = chain.last()?.0.clone();
            enter(loader, &extends, (file, base_name.clone()), chain)?;
            if root.get("services").and_then(|node| node.get(&base_name)).is_none() {
                return missing(loader, &extends, root, &base_name, "this file");
            }
            service(loader, root, scope, &base_name, chain)
        }
        Some(file) => {
            let written = file.into_owned();
            let path = scope.folder.join(&written);
            enter(loader, &extends, (path.clone(), base_name.clone()), chain)?;
            let (text, mut documents) = loader.read(&path, extends.get("file"))?;
            let folder = path.parent().unwrap_or(&scope.folder).to_owned();
            let inner = Scope { folder, ..scope.clone() };
            documents.iter_mut().for_each(|node| loader.interpolate(node, &inner, text));
            let mut documents = documents.into_iter();
            let mut other = documents.next()?;
            canonical::document(&mut other);
            for mut node in documents {
                canonical::document(&mut node);
                merge::overlay(&mut other, node, loader.report);
            }
            if other.get("services").and_then(|node| node.get(&base_name)).is_none() {
                return missing(loader, &extends, &other, &base_name, &written);
            }
            let mut base = service(loader, &other, &inner, &base_name, chain);
            if let Some(base) = base.as_mut().filter(|_| inner.folder != scope.folder) {
                paths::service(base, &inner.folder);
            }
            base
        }
    };
    let mut whole = base?;
    merge::service(&mut whole, own, loader.report);
    Some(whole)
}

/// Goes on to a service of a file, but not in a circle.
fn enter(loader: &mut Loader<'_>, extends: &Node, step: Step, chain: &mut Vec<Step>) -> Option<()> {
    let circle = chain.contains(&step);
    if circle || chain.len() >= MAX_CHAIN {
        let names: Vec<&str> = chain.iter().chain([&step]).map(|(_, name)| name.as_str()).collect();
        let what = if circle { "in a circle" } else { "too often" };
        let at = extends.key.clone().unwrap_or(extends.span.clone());
        let message = format!("services extend each other {what}: {}", names.join(" → "));
        loader.report.error("compose::extends", message).at(at, "here");
        return None;
    }
    chain.push(step);
    Some(())
}

fn missing(loader: &mut Loader<'_>, extends: &Node, root: &Node, name: &str, file: &str) -> Option<Node> {
    let known: Vec<&str> = root.get("services").map(|node| node.keys().collect()).unwrap_or_default();
    let near = crate::diagnostic::nearest(name, known.iter().copied());
    let help = near.map_or(format!("it has: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    let at = extends.get("service").unwrap_or(extends).span.clone();
    loader
        .report
        .error("compose::extends", format!("there is no service `{name}` in {file} to extend"))
        .at(at, "not there")
        .help(help);
    None
}
