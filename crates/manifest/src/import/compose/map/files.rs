//! `secrets` and `configs`: what a service sees as files.

use super::Cx;
use super::confine::mode;
use super::out::{Table, items, scalar, text, truth};
use crate::tree::{Kind, Node, Origin};

/// One of the two kinds.
struct Sort {
    key: &'static str,
    one: &'static str,
    /// Where a file is found whose target is a name.
    folder: &'static str,
}

const SECRETS: Sort = Sort { key: "secrets", one: "secret", folder: "/run/secrets" };
const CONFIGS: Sort = Sort { key: "configs", one: "config", folder: "" };

/// Puts `files`.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    let mut files = Vec::new();
    for sort in [SECRETS, CONFIGS] {
        for item in items(service.get(sort.key)) {
            files.extend(file(cx, &sort, item));
        }
    }
    let at = service.get("secrets").or(service.get("configs")).unwrap_or(service);
    app.put_list("files", files, at);
}

fn file(cx: &mut Cx<'_>, sort: &Sort, item: &Node) -> Option<Node> {
    let source = item.get("source").unwrap_or(item);
    let name = source.scalar()?.into_owned();
    let known = cx.tree.get(sort.key);
    let Some(given) = known.and_then(|known| known.get(&name)) else {
        let near = known.and_then(|known| crate::diagnostic::nearest(&name, known.keys()));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let message = format!("there is no {} `{name}` at the top of the file", sort.one);
        cx.error(message, &source.span, "undefined").help_if(help);
        return None;
    };
    let mut table = Table::at(item);
    table.put("name", text(name.clone(), source));
    content(cx, sort, &name, given, &mut table)?;
    let target = item.get("target").and_then(scalar);
    let path = match target.as_ref().and_then(|node| node.scalar()) {
        Some(path) if path.starts_with('/') => path.into_owned(),
        Some(path) => format!("{}/{path}", sort.folder),
        None => format!("{}/{name}", sort.folder),
    };
    table.put("target", text(path, target.as_ref().unwrap_or(source)));
    for key in ["uid", "gid"] {
        let id = item.get(key).and_then(|node| Some((node.scalar()?.parse::<i64>().ok()?, node)));
        table.put_if(key, id.map(|(id, node)| super::out::integer(id, node)));
    }
    table.put_if("mode", item.get("mode").and_then(mode));
    Some(table.node())
}

/// Where its content comes from.
fn content(cx: &mut Cx<'_>, sort: &Sort, name: &str, given: &Node, table: &mut Table) -> Option<()> {
    let outside =
        given.get("external").filter(|node| matches!(node.kind, Kind::Table(_)) || truth(node) == Some(true));
    if let Some(outside) = outside {
        let message = format!("the {} `{name}` is kept elsewhere, and Mainstay has no such store", sort.one);
        cx.error(message, &outside.span, "is not in the file")
            .help("give it as a file (`file: ./name.txt`) or as a variable (`environment: NAME`)");
        return None;
    }
    let secret = sort.one == "secret";
    if let Some(path) = given.get("file") {
        let key = if secret { "secret" } else { "file" };
        let mut value = scalar(path)?;
        if secret {
            let mut from = Table::at(path);
            from.put("file", Node { key: None, ..value });
            value = from.node();
        }
        table.put(key, value);
    } else if let Some(variable) = given.get("environment") {
        let variable = scalar(variable)?;
        let from = variable.scalar()?.into_owned();
        let Some(value) = (cx.input.lookup)(&from) else {
            let message = format!("the variable `{from}` of the {} `{name}` is not set", sort.one);
            cx.error(message, &variable.span, "has no value").help("set it in the environment or in `.env`");
            return None;
        };
        let raw = Some(format!("${{{from}}}"));
        table.put(
            if secret { "secret" } else { "content" },
            Node { raw, origin: Origin::Secret, ..text(value, &variable) },
        );
    } else if let Some(own) = given.get("content") {
        table.put(if secret { "secret" } else { "content" }, scalar(own)?);
    } else {
        let at = given.key.clone().unwrap_or(given.span.clone());
        let message = format!("the {} `{name}` has neither `file` nor `environment`", sort.one);
        cx.error(message, &at, "no content");
        return None;
    }
    Some(())
}
