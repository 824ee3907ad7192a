//! `image`, `pull_policy`, `platform`: where an image comes from when it is not built.

use super::Cx;
use super::out::{Table, scalar, text};
use crate::tree::Node;

/// Puts `image`; beside `build` it is the name that the built image gets.
pub fn put(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    let Some(image) = service.get("image") else { return };
    let Some(name) = scalar(image) else { return };
    if service.get("build").is_some() {
        return app.put("image", name);
    }
    let pull = service.get("pull_policy").and_then(|node| Some(text(policy(cx, node)?, node)));
    let platform = service.get("platform").and_then(scalar);
    if pull.is_none() && platform.is_none() {
        return app.put("image", name);
    }
    let mut table = Table::at(image);
    table.put("name", name);
    table.put_if("pull", pull);
    table.put_if("platform", platform);
    app.put("image", table.node());
}

/// When it is pulled; nothing where that is the default.
fn policy(cx: &mut Cx<'_>, node: &Node) -> Option<&'static str> {
    let word = node.scalar()?;
    match &*word {
        "missing" | "if_not_present" => None,
        "always" => Some("always"),
        "never" => Some("never"),
        "build" => {
            let message = "`pull_policy: build` without `build`: the image is looked for on this machine";
            cx.warn(message, &node.span, "there is nothing to build");
            Some("never")
        }
        "daily" | "weekly" => late(cx, node),
        _ if word.starts_with("every_") => late(cx, node),
        _ => {
            let label = "not one of these";
            let message =
                "`pull_policy` has to be one of `always`, `missing`, `never`, `build`, `daily`, `weekly`";
            cx.error(message, &node.span, label);
            None
        }
    }
}

fn late(cx: &mut Cx<'_>, node: &Node) -> Option<&'static str> {
    cx.warn("an image that is there is not pulled again after a time", &node.span, "as `missing`")
        .help("`pull_policy: always` asks for it at every load");
    None
}
