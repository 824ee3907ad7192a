//! Which services are started: those without `profiles`, those with a chosen one, and those that one of these needs.

use crate::diagnostic::{Report, nearest};
use crate::tree::{Kind, Node};
use std::collections::BTreeSet;

/// Takes the services out of the tree that are not started. `chosen` is what was asked for; `*` is every profile.
pub fn choose(root: &mut Node, chosen: &[String], report: &mut Report) {
    let Some(Kind::Table(services)) = root.get_mut("services").map(|node| &mut node.kind) else {
        return;
    };
    let mut declared: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<(String, Vec<String>, Node)> = Vec::new();
    let mut active: Vec<(String, Node)> = Vec::new();
    for (name, mut node) in std::mem::take(services) {
        let profiles = node.take("profiles").map(|node| names(&node)).unwrap_or_default();
        declared.extend(profiles.iter().cloned());
        let is_chosen = |profile: &String| profile == "*" || profiles.contains(profile);
        match profiles.is_empty() || chosen.iter().any(is_chosen) {
            true => active.push((name, node)),
            false => waiting.push((name, profiles, node)),
        }
    }
    // Whoever is needed by one that starts, starts.
    let mut at = 0;
    while let Some((name, node)) = active.get(at) {
        let (name, needed) = (name.clone(), required(node));
        for needed in needed {
            let Some(index) = waiting.iter().position(|(own, ..)| *own == needed) else { continue };
            let (own, profiles, node) = waiting.remove(index);
            report
                .warning("compose::profile", format!("`{own}` is started: `{name}` depends on it"))
                .at(node.key.clone().unwrap_or(node.span.clone()), "of a profile that was not chosen")
                .help(format!("--profile {} says so outright", profiles.join(" --profile ")));
            active.push((own, node));
        }
        at += 1;
    }
    *services = active;
    for (name, profiles, node) in &waiting {
        report
            .info("compose::profile", format!("`{name}` is not started: none of its profiles was chosen"))
            .at(
                node.key.clone().unwrap_or(node.span.clone()),
                format!("--profile {}", profiles.join(" or --profile ")),
            );
    }
    for profile in chosen.iter().filter(|profile| *profile != "*" && !declared.contains(*profile)) {
        let known = declared.iter().map(String::as_str);
        let help = match nearest(profile, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared.is_empty() => "leave it out, or give services `profiles: [NAME]`".to_owned(),
            None => format!("profiles of these files: {}", known.collect::<Vec<_>>().join(", ")),
        };
        report
            .warning("compose::profile", format!("no service has the profile `{profile}`: it chooses nothing, and whatever has no profile starts"))
            .help(help);
    }
}

/// Services that this one cannot do without.
fn required(node: &Node) -> Vec<String> {
    let Some(Kind::Table(needs)) = node.get("depends_on").map(|node| &node.kind) else { return Vec::new() };
    let optional =
        |node: &Node| matches!(node.get("required").map(|node| &node.kind), Some(Kind::Bool(false)));
    needs.iter().filter(|(_, node)| !optional(node)).map(|(name, _)| name.clone()).collect()
}

fn names(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Array(items) => items.iter().filter_map(Node::scalar).map(|name| name.into_owned()).collect(),
        _ => node.scalar().map(|name| name.into_owned()).into_iter().collect(),
    }
}
