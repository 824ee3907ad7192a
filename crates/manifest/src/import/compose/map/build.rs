//! `build`: an image of one's own. And what two services with one Dockerfile that is not there mean (a slip in real files).

use super::Cx;
use super::out::{Table, bytes, items, pairs, scalar, size, text, texts, truth};
use crate::tree::{Kind, Node};
use std::path::Path;

/// Puts `build`.
pub fn put(cx: &mut Cx<'_>, name: &str, service: &Node, app: &mut Table) {
    let Some(build) = service.get("build").filter(|node| !matches!(node.kind, Kind::Null | Kind::Broken))
    else {
        return;
    };
    let mut table = Table::at(build);
    if let Some(context) = scalar(build) {
        table.put("context", context);
    } else {
        settings(cx, build, &mut table);
    }
    if !table.has("context") {
        table.put("context", text(".", build));
    }
    if let Some(path) = cx.input.options.dockerfiles.get(name) {
        table.put("dockerfile", text(path.clone(), build));
    }
    if !table.has("platform") {
        table.put_if("platform", service.get("platform").and_then(scalar));
    }
    app.put("build", table.node());
}

fn settings(cx: &mut Cx<'_>, build: &Node, table: &mut Table) {
    for key in ["context", "dockerfile", "dockerfile_inline", "target"] {
        table.put_if(key, build.get(key).and_then(scalar));
    }
    remote(cx, table);
    arguments(cx, build, table);
    labels(build.get("labels"), "labels", table);
    hosts(build.get("extra_hosts"), "extra_hosts", table);
    table
        .put_if("shm_size", build.get("shm_size").and_then(|node| Some(size(bytes(&node.scalar()?)?, node))));
    for key in ["no_cache", "pull"] {
        let on = build.get(key).filter(|node| truth(node) == Some(true));
        table.put_if(key, on.map(|node| super::out::flag(true, node)));
    }
    table.put_if("network", build.get("network").and_then(scalar));
    match items(build.get("platforms")) {
        [] => {}
        [one] => table.put_if("platform", scalar(one)),
        [first, ..] => {
            table.put_if("platform", scalar(first));
            let message = "the image is built for one platform, the first";
            cx.warn(message, &first.span, "for this one");
        }
    }
}

/// A context that is no folder of this machine.
fn remote(cx: &mut Cx<'_>, table: &mut Table) {
    let Some(context) = table.get("context") else { return };
    let written = context.scalar().unwrap_or_default().into_owned();
    let remote = ["http://", "https://", "git://", "ssh://", "git@", "github.com/"];
    if remote.iter().any(|start| written.starts_with(start)) {
        let at = context.span.clone();
        let found =
            cx.error("the context of a build has to be a folder of this machine", &at, "is elsewhere");
        found.help("fetch it first, with `git clone` for example, and name the folder");
    }
}

fn arguments(cx: &mut Cx<'_>, build: &Node, table: &mut Table) {
    let Some(node) = build.get("args") else { return };
    let mut args = Table::at(node);
    for pair in pairs(Some(node)) {
        let value = pair.value.or_else(|| super::environment::inherited(cx, &pair.name, &pair.span));
        args.put_if(&pair.name, value);
    }
    table.put_table("args", args);
}

/// Labels, or anything else of the form `KEY=value`, as a table.
pub fn labels(node: Option<&Node>, key: &str, table: &mut Table) {
    let Some(node) = node else { return };
    let mut out = Table::at(node);
    for pair in pairs(Some(node)) {
        out.put(&pair.name, pair.value.unwrap_or_else(|| text("", node)));
    }
    table.put_table(key, out);
}

/// Lines of `/etc/hosts`: `name:address`, `name=address`, or a table, one line for each address.
pub fn hosts(node: Option<&Node>, key: &str, table: &mut Table) {
    let Some(node) = node else { return };
    let mut lines = Vec::new();
    if let Kind::Table(entries) = &node.kind {
        for (name, value) in entries {
            lines.extend(texts(Some(value)).iter().map(|address| line(name, address)));
        }
    } else {
        for pair in super::out::pairs_by(Some(node), &['=', ':']) {
            lines.extend(pair.value.as_ref().map(|address| line(&pair.name, address)));
        }
    }
    table.put_list(key, lines, node);
}

fn line(name: &str, address: &Node) -> Node {
    let written = address.scalar().unwrap_or_default();
    text(format!("{name}:{}", written.trim_matches(['[', ']'])), address)
}

/// Two services that build from one Dockerfile that is not there were meant to have two.
pub fn shared(cx: &mut Cx<'_>) {
    if !cx.input.real {
        return;
    }
    let mut seen: Vec<(std::path::PathBuf, String, Node)> = Vec::new();
    for (name, service) in cx.services() {
        if cx.input.options.dockerfiles.contains_key(name) {
            continue;
        }
        let Some(build) = service.get("build") else { continue };
        if build.get("dockerfile_inline").is_some() || build.get("target").is_some() {
            continue;
        }
        let written = |node: Option<&Node>| node.and_then(|node| node.scalar()).map(|text| text.into_owned());
        let context =
            written(Some(build)).or_else(|| written(build.get("context"))).unwrap_or_else(|| ".".into());
        let dockerfile = written(build.get("dockerfile")).unwrap_or_else(|| "Dockerfile".into());
        let path = cx.folder.join(Path::new(&context)).join(dockerfile);
        if path.exists() {
            continue;
        }
        if let Some((_, other, at)) = seen.iter().find(|(own, ..)| *own == path) {
            let message =
                format!("`{other}` and `{name}` build from the same Dockerfile, and it is not there");
            let at = at.clone();
            let found = cx.error(message, &build.span, "the same context and Dockerfile");
            found.at(at.span, format!("as `{other}`")).help(format!(
                "say which each has, without a change to the file: `--dockerfile {other}=PATH --dockerfile {name}=PATH`, or `build.dockerfile` in a compose.override.yaml"
            ));
        } else {
            seen.push((path, name.clone(), build.clone()));
        }
    }
}
