//! What a service is kept from: `read_only`, `cap_add`, `cap_drop`, `security_opt`, `user`.

use super::Cx;
use super::out::{Table, flag, items, list, scalar, text, texts, truth};
use crate::tree::{Kind, Node};

/// Puts what is about confinement.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    app.put_if("user", service.get("user").and_then(scalar));
    let read_only = service.get("read_only").filter(|node| truth(node) == Some(true));
    app.put_if("read_only", read_only.map(|node| flag(true, node)));
    for key in ["cap_add", "cap_drop"] {
        let Some(node) = service.get(key) else { continue };
        let names = texts(Some(node)).into_iter().map(|own| {
            let upper = own.scalar().unwrap_or_default().to_ascii_uppercase();
            text(upper.strip_prefix("CAP_").unwrap_or(&upper), &own)
        });
        app.put_list(key, names.collect(), node);
    }
    privileges(cx, service, app);
}

/// `no-new-privileges` has a key of its own, for native apps too; the rest goes to the engine as it is.
fn privileges(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    for item in items(service.get("security_opt")) {
        let written = item.scalar().unwrap_or_default().into_owned();
        match written.split_once([':', '=']).unwrap_or((&written, "true")) {
            ("no-new-privileges", "true") => app.put("new_privileges", flag(false, item)),
            ("no-new-privileges", "false") => app.put("new_privileges", flag(true, item)),
            ("no-new-privileges", _) => {
                cx.error("`no-new-privileges` is `true` or `false`", &item.span, "neither");
            }
            _ => {}
        }
    }
}

/// Options of `security_opt` that are the engine's.
pub fn engine_options(service: &Node) -> Option<Node> {
    let node = service.get("security_opt")?;
    let options: Vec<Node> = texts(Some(node))
        .into_iter()
        .filter(|own| own.scalar().is_some_and(|option| !option.starts_with("no-new-privileges")))
        .collect();
    (!options.is_empty()).then(|| list(options, node))
}

/// Permissions as octal digits. A number is one in YAML: `0440` and `0o440` are octal, `288` is the same in decimal; a text is octal.
pub fn mode(node: &Node) -> Option<Node> {
    let digits = node.scalar()?.into_owned();
    let octal = |digits: &str| u32::from_str_radix(digits, 8).ok();
    let value = match &node.kind {
        Kind::Text(_) => octal(digits.trim_start_matches("0o")),
        _ => match digits
            .strip_prefix("0o")
            .or_else(|| digits.strip_prefix('0').filter(|rest| !rest.is_empty()))
        {
            Some(rest) => octal(rest),
            None => digits.parse().ok(),
        },
    };
    value.map(|value| text(format!("{value:04o}"), node))
}
