//! `environment`, `env_file`: variables.

use super::Cx;
use super::out::{Table, items, pairs, scalar, text, truth};
use crate::tree::{Node, Origin, Span};

/// Puts `env` and `env_file`.
pub fn put(cx: &mut Cx<'_>, name: &str, service: &Node, app: &mut Table) {
    if let Some(node) = service.get("environment") {
        let mut env = Table::at(node);
        for pair in pairs(Some(node)) {
            let value = pair.value.or_else(|| inherited(cx, &pair.name, &pair.span));
            env.put_if(&pair.name, value);
        }
        app.put_table("env", env);
    }
    let mut files: Vec<Node> = Vec::new();
    let node = service.get("env_file");
    for item in items(node) {
        files.extend(env_file(cx, item));
    }
    if let Some(own) = cx.input.options.env_files.get(name) {
        files.push(text(own.display().to_string(), service));
    }
    app.put_list("env_file", files, node.unwrap_or(service));
}

/// A variable that is named without a value has that of the environment; where there is none it is not set.
pub fn inherited(cx: &mut Cx<'_>, name: &str, at: &Span) -> Option<Node> {
    let Some(value) = (cx.input.lookup)(name) else {
        cx.info(format!("`{name}` is not set here, so it is not set there"), at, "has no value");
        return None;
    };
    let secret = crate::values::sounds_secret(name);
    let origin = if secret { Origin::Secret } else { Origin::Substituted };
    let node = Node::new(crate::tree::Kind::Text(value), at.clone());
    Some(Node { origin, raw: Some(format!("${{{name}}}")), ..node })
}

fn env_file(cx: &mut Cx<'_>, item: &Node) -> Option<Node> {
    let path = item.get("path").unwrap_or(item);
    let node = scalar(path)?;
    let required = item.get("required").and_then(truth).unwrap_or(true);
    let written = node.scalar()?.into_owned();
    if !required && cx.input.real && !cx.folder.join(&written).exists() {
        cx.info(format!("`{written}` is not there, and need not be"), &path.span, "left out");
        return None;
    }
    Some(node)
}
