//! `depends_on`, `links`: whom a service waits for.

use super::Cx;
use super::out::{Table, entries, items, text, truth};
use crate::tree::{Kind, Node};

/// Puts `needs`. `gone` are services that Mainstay itself stands for, and those that are not started.
pub fn put(cx: &mut Cx<'_>, service: &Node, gone: &[String], app: &mut Table) {
    let node = service.get("depends_on").or(service.get("links"));
    let mut needs = Table::at(node.unwrap_or(service));
    if let Some(Kind::Array(names)) = service.get("depends_on").map(|node| &node.kind) {
        for node in names {
            let name = node.scalar().unwrap_or_default().into_owned();
            need(cx, &name, node, "started", true, gone, &mut needs);
        }
    }
    for (name, node) in entries(service.get("depends_on")) {
        let condition = node.get("condition").and_then(|node| node.scalar());
        let how = match condition.as_deref() {
            Some("service_healthy") => "healthy",
            Some("service_completed_successfully") => "completed",
            _ => "started",
        };
        let required = node.get("required").and_then(truth).unwrap_or(true);
        need(cx, name, node, how, required, gone, &mut needs);
    }
    for node in items(service.get("links")) {
        let written = node.scalar().unwrap_or_default().into_owned();
        let name = written.split(':').next().unwrap_or_default();
        if !needs.has(name) {
            need(cx, name, node, "started", true, gone, &mut needs);
        }
    }
    app.put_table("needs", needs);
}

fn need(
    cx: &mut Cx<'_>,
    name: &str,
    node: &Node,
    how: &str,
    required: bool,
    gone: &[String],
    needs: &mut Table,
) {
    if gone.iter().any(|own| own == name) {
        return;
    }
    if cx.service(name).is_some() {
        return needs.put(name, text(how, node));
    }
    let at = node.key.clone().unwrap_or(node.span.clone());
    if !required {
        cx.info(format!("`{name}` is not there, and need not be"), &at, "not waited for");
        return;
    }
    let near = crate::diagnostic::nearest(name, cx.services().iter().map(|(name, _)| name.as_str()));
    let help = near.map(|near| format!("did you mean `{near}`?"));
    cx.error(format!("there is no service `{name}`"), &at, "undefined service").help_if(help);
}

/// Services whose end somebody waits for.
pub fn awaited_to_end(cx: &Cx<'_>) -> Vec<String> {
    let needs = cx.services().iter().flat_map(|(_, service)| entries(service.get("depends_on")));
    let ends = needs.filter(|(_, node)| {
        let condition = node.get("condition").and_then(|node| node.scalar());
        condition.as_deref() == Some("service_completed_successfully")
    });
    ends.map(|(name, _)| name.clone()).collect()
}

/// Names by which others link to a service: `links: ["db:database"]`.
pub fn aliases(cx: &Cx<'_>, name: &str) -> Vec<Node> {
    let links = cx.services().iter().flat_map(|(_, service)| items(service.get("links")));
    let own = links.filter_map(|node| {
        let written = node.scalar()?;
        let (target, alias) = written.split_once(':')?;
        (target == name && alias != name).then(|| text(alias, node))
    });
    own.collect()
}
