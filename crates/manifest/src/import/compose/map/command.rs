//! `command`, `entrypoint`, `working_dir`: what runs in a container.

use super::Cx;
use super::out::{Table, items, list, scalar};
use crate::tree::{Kind, Node};

/// Puts `entrypoint`, `run` and `dir`.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    for (key, own) in [("entrypoint", "entrypoint"), ("command", "run")] {
        app.put_if(own, service.get(key).and_then(|node| words(cx, node)));
    }
    app.put_if("dir", service.get("working_dir").and_then(scalar));
}

/// A command as our manifest has it: a line that is split as a shell splits it, or a list. Both mean the same in a compose file; a line in
/// which there is anything but words becomes a list, so that nobody takes it for a shell's.
pub fn words(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    match &node.kind {
        Kind::Array(_) => Some(list(items(Some(node)).iter().filter_map(scalar).collect(), node)),
        Kind::Text(line) if line.trim().is_empty() => Some(list(Vec::new(), node)),
        Kind::Text(line) if line.contains(['|', '&', ';', '<', '>', '\n']) => {
            match shell_words::split(line) {
                Ok(words) => {
                    Some(list(words.into_iter().map(|word| super::out::text(word, node)).collect(), node))
                }
                Err(_) => {
                    cx.error("a quote in this command is never closed", &node.span, "opened and not closed");
                    None
                }
            }
        }
        _ => scalar(node),
    }
}
