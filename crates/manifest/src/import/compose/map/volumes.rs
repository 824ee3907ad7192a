//! `volumes`, `volumes_from`, `tmpfs`: what of the host's, and which volumes, a container sees.

use super::Cx;
use super::confine::mode as permissions;
use super::out::{Table, bytes, items, scalar, size, text, truth};
use crate::tree::{Kind, Node};

/// Services that take each other's volumes are followed this far.
const MAX_DEPTH: usize = 16;

/// Puts `volumes`, and `tmpfs` of both keys.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    let mut found = Found::default();
    from_others(cx, service, &mut found, 0);
    for item in items(service.get("volumes")) {
        mount(cx, item, &mut found);
    }
    for item in items(service.get("tmpfs")) {
        found.memory.extend(scalar(item));
    }
    let at = service.get("volumes").unwrap_or(service);
    app.put_list("volumes", found.mounts, at);
    app.put_list("tmpfs", found.memory, service.get("tmpfs").unwrap_or(at));
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    mounts: Vec<Node>,
    memory: Vec<Node>,
}

fn from_others(cx: &mut Cx<'_>, service: &Node, found: &mut Found, depth: usize) {
    for item in items(service.get("volumes_from")).iter().filter(|_| depth < MAX_DEPTH) {
        let written = item.scalar().unwrap_or_default().into_owned();
        if let Some(container) = written.strip_prefix("container:") {
            let message = format!("the volumes of the container `{container}` are not known");
            cx.error(message, &item.span, "it is not of this stack").help("name the volumes themselves");
            continue;
        }
        let (name, mode) = written.split_once(':').unwrap_or((&written, "rw"));
        let Some(other) = cx.service(name) else {
            cx.error(format!("there is no service `{name}`"), &item.span, "unknown service");
            continue;
        };
        let first = found.mounts.len();
        from_others(cx, other, found, depth + 1);
        for item in items(other.get("volumes")) {
            mount(cx, item, found);
        }
        for own in found.mounts.iter_mut().skip(first).filter(|_| mode == "ro") {
            if let Kind::Text(text) = &mut own.kind
                && !text.ends_with(":ro")
            {
                text.push_str(if text.matches(':').count() > 1 { ",ro" } else { ":ro" });
            }
        }
    }
}

fn mount(cx: &mut Cx<'_>, item: &Node, found: &mut Found) {
    if let Kind::Table(_) = item.kind {
        return long(cx, item, found);
    }
    let Some(written) = item.scalar().map(|text| text.into_owned()) else { return };
    let (source, rest) = written.split_once(':').unwrap_or(("", &written));
    let target = rest.split(':').next().unwrap_or_default();
    if !target.starts_with('/') {
        let found =
            cx.error(format!("`{written}` does not say where in the container"), &item.span, "no path");
        found.help("write `name:/path` or `./folder:/path`");
        return;
    }
    if !is_path(source) && !source.is_empty() {
        declared(cx, source, item);
    }
    found.mounts.push(text(home(cx, &written), item));
}

/// `~` is the home of whoever starts the stack.
fn home(cx: &Cx<'_>, written: &str) -> String {
    match written.strip_prefix('~').filter(|rest| rest.starts_with(['/', ':'])) {
        Some(rest) => (cx.input.lookup)("HOME").unwrap_or_default() + rest,
        None => written.to_owned(),
    }
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
}

/// A volume that a service names has to be named at the top, too.
fn declared(cx: &mut Cx<'_>, name: &str, item: &Node) {
    let known = cx.tree.get("volumes");
    if known.is_some_and(|known| known.get(name).is_some()) {
        return;
    }
    let near = known.and_then(|known| crate::diagnostic::nearest(name, known.keys())).map(str::to_owned);
    let message = format!("there is no volume `{name}` at the top of the file");
    cx.error(message, &item.span, "undefined volume").help(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `{name}:` below `volumes:` at the top; a folder begins with `./`"),
    });
}

fn long(cx: &mut Cx<'_>, item: &Node, found: &mut Found) {
    let word = |key: &str| item.get(key).and_then(|node| node.scalar()).map(|text| text.into_owned());
    let kind = word("type").unwrap_or_else(|| "volume".into());
    let Some(target) = word("target") else {
        cx.error("`target` of this volume is missing", &item.span, "no path in the container");
        return;
    };
    let source = word("source").unwrap_or_default();
    match &*kind {
        "tmpfs" => return found.memory.push(memory(item, &target)),
        "bind" if source.is_empty() => {
            cx.error("`source` of this bind is missing", &item.span, "no path of the host");
            return;
        }
        "volume" if !source.is_empty() => declared(cx, &source, item),
        "bind" | "volume" => {}
        other => {
            cx.error(format!("a volume of type `{other}` cannot be mounted"), &item.span, "not possible")
                .help("`bind`, `volume` and `tmpfs` can be");
            return;
        }
    }
    let mut options: Vec<String> = Vec::new();
    if item.get("read_only").and_then(truth) == Some(true) {
        options.push("ro".into());
    }
    let below = |table: &str, key: &str| item.get(table).and_then(|table| table.get(key));
    options.extend(below("bind", "propagation").and_then(|node| node.scalar()).map(|text| text.into_owned()));
    options.extend(below("bind", "selinux").and_then(|node| node.scalar()).map(|text| text.into_owned()));
    if below("volume", "nocopy").and_then(truth) == Some(true) {
        options.push("nocopy".into());
    }
    // a relative path of the long form is a folder all the same
    let source = match kind == "bind" && !is_path(&source) {
        true => format!("./{source}"),
        false => home(cx, &source),
    };
    let mut parts: Vec<&str> = vec![&source, &target];
    parts.retain(|part| !part.is_empty());
    let options = options.join(",");
    if !options.is_empty() {
        parts.push(&options);
    }
    found.mounts.push(text(parts.join(":"), item));
}

fn memory(item: &Node, target: &str) -> Node {
    let settings = item.get("tmpfs");
    let bound = settings.and_then(|node| node.get("size"));
    let mode = settings.and_then(|node| node.get("mode"));
    let mut table = Table::at(item);
    table.put("target", text(target, item));
    table.put_if("size", bound.and_then(|node| Some(size(bytes(&node.scalar()?)?, node))));
    table.put_if("mode", mode.and_then(permissions));
    table.node()
}
