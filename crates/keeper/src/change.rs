//! A manifest's way to a stack: load, compare, say what changes.

use crate::builds;
use crate::error::KeeperError;
use crate::home::Home;
use crate::images::Asked;
use crate::log_folder;
use crate::networks;
use crate::scale;
use crate::services;
use crate::stack::Revision;
use crate::tasks;
use manifest::Compose;
use model::AppName;
use model::spec::{AppSpec, SiteSpec, StackSpec};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use store::NewRevision;

/// A manifest that was loaded, with its services expanded.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) spec: Arc<StackSpec>,
    /// As in [`Revision::engines`].
    pub(crate) engines: BTreeMap<AppName, String>,
    /// What the store keeps.
    pub(crate) text: String,
}

impl Loaded {
    /// It as a revision.
    pub(crate) fn revision(self, number: u64, http: Vec<SocketAddr>, https: Vec<SocketAddr>) -> Revision {
        let Self { spec, engines, .. } = self;
        Revision { number, spec, http, https, engines, made: Default::default() }
    }
}

/// Loads a manifest with the keeper's environment. `dry`: nothing is written.
///
/// # Errors
/// All its diagnostics at once; or why a service cannot be had.
pub(crate) fn load(
    path: &Path,
    compose: &Compose,
    home: &Home,
    dry: bool,
    asked: Asked,
) -> Result<Loaded, KeeperError> {
    let loaded = manifest::load_with(path, compose, &environment).map_err(failure)?;
    let mut loaded = expand(loaded, home, dry)?;
    networks::usable(&loaded.spec).map_err(KeeperError::Service)?;
    builds::read_inputs(home, Arc::make_mut(&mut loaded.spec), asked)?;
    Ok(loaded)
}

/// Loads a committed revision again from its text: what somebody wrote into the file since then is not in force.
pub(crate) fn load_again(revision: &NewRevision, home: &Home) -> Result<Loaded, KeeperError> {
    let NewRevision { manifest: path, text, asked: compose, .. } = revision;
    let loaded = manifest::load_from_with(text, path, &asked(compose), &environment).map_err(failure)?;
    expand(loaded, home, false)
}

/// What was asked for, as the store keeps it.
pub(crate) fn asked(text: &str) -> Compose {
    serde_json::from_str(text).unwrap_or_default()
}

/// The same the other way.
pub(crate) fn to_asked(compose: &Compose) -> String {
    Some(compose)
        .filter(|compose| !compose.is_empty())
        .and_then(|compose| serde_json::to_string(compose).ok())
        .unwrap_or_default()
}

fn expand(loaded: manifest::Loaded, home: &Home, dry: bool) -> Result<Loaded, KeeperError> {
    let mut spec = loaded.spec;
    tasks::expand(&mut spec);
    let engines = services::expand(&mut spec, home, dry).map_err(KeeperError::Service)?;
    log_folder::spread(&mut spec);
    Ok(Loaded { spec: Arc::new(spec), engines, text: loaded.text })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn failure(diagnostics: manifest::Diagnostics) -> KeeperError {
    KeeperError::Manifest { diagnostics: diagnostics.render(false) }
}

/// What changes from `old` to `new`, a line each; empty: nothing.
pub(crate) fn describe(old: Option<&Revision>, new: &Revision) -> Vec<String> {
    let mut lines = describe_spec(old.map(|old| &*old.spec), &new.spec);
    let list = |addresses: &[SocketAddr]| {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
    };
    if old.is_some_and(|old| old.http() != new.http()) {
        lines.push(format!("listens on {}", list(new.http())));
    }
    if old.is_some_and(|old| old.https() != new.https()) {
        lines.push(format!("listens for HTTPS on {}", list(new.https())));
    }
    lines
}

fn describe_spec(old: Option<&StackSpec>, new: &StackSpec) -> Vec<String> {
    let Some(old) = old else {
        let apps = new.apps.keys().map(|name| format!("{} {name}: added", kind(new, name)));
        let sites = new.sites.iter().map(|site| format!("site {}: added", site.hosts.join(", ")));
        return apps.chain(sites).collect();
    };
    let mut lines = describe_apps(old, new);
    let (former, now) = (by_hosts(old), by_hosts(new));
    for site in &new.sites {
        match former.get(&*site.hosts) {
            None => lines.push(format!("site {}: added", site.hosts.join(", "))),
            Some(before) if *before != site => {
                lines.push(format!("site {}: routes changed", site.hosts.join(", ")))
            }
            Some(_) => {}
        }
    }
    let gone = old.sites.iter().filter(|before| !now.contains_key(&*before.hosts));
    lines.extend(gone.map(|site| format!("site {}: removed", site.hosts.join(", "))));
    if old.trusted != new.trusted {
        lines.push("trusted peers changed".into());
    }
    if old.proxy_protocol != new.proxy_protocol {
        lines.push("PROXY protocol changed".into());
    }
    if old.logs != new.logs {
        lines.push("place of the logs, or what they do not show, changed".into());
    }
    if old.acme != new.acme {
        lines.push("how certificates are had changed".into());
    }
    if old.certificates != new.certificates {
        lines.push("certificates of one's own changed".into());
    }
    if old.edge != new.edge {
        lines.push("limits of clients, or the access log, changed".into());
    }
    if lines.is_empty() && old.sites != new.sites {
        lines.push("order of sites changed".into());
    }
    lines
}

fn describe_apps(old: &StackSpec, new: &StackSpec) -> Vec<String> {
    let mut lines = Vec::new();
    let is_app = |name: &AppName| !old.tasks.contains_key(name) && !new.tasks.contains_key(name);
    for (name, app) in new.apps.iter().filter(|(name, _)| is_app(name)) {
        let kind = kind(new, name);
        match (old.apps.get(name), old.services.get(name), new.services.get(name)) {
            (None, ..) => lines.push(format!("{kind} {name}: added")),
            (Some(before), ..) if before == app => {}
            (Some(before), Some(was), Some(is)) => {
                let what = services::describe(was, is);
                lines.push(format!("{kind} {name}: {what} changed; {}", meaning(before, app)));
            }
            (Some(before), ..) => lines.push(format!("{kind} {name}: {}", describe_app(before, app))),
        }
    }
    let gone = old.apps.keys().filter(|name| !new.apps.contains_key(name) && is_app(name));
    lines.extend(gone.map(|name| format!("{} {name}: removed", kind(old, name))));
    lines.extend(tasks::describe(old, new));
    lines
}

/// What people call it.
pub(crate) fn kind(spec: &StackSpec, name: &AppName) -> &'static str {
    if spec.services.contains_key(name) {
        "service"
    } else if spec.tasks.contains_key(name) {
        "task"
    } else {
        "app"
    }
}

/// Sites by their host names; no two have the same.
fn by_hosts(spec: &StackSpec) -> HashMap<&[String], &SiteSpec> {
    spec.sites.iter().map(|site| (&*site.hosts, site)).collect()
}

/// Which parts of an app changed, and what that means for its instances.
fn describe_app(old: &AppSpec, new: &AppSpec) -> String {
    let parts = parts(old, new).join(", ");
    format!("{parts} changed{}; {}", changed_inputs(old, new), meaning(old, new))
}

/// Which parts of an app changed. Names of variables, never their values.
pub(crate) fn parts(old: &AppSpec, new: &AppSpec) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut part = |changed: bool, name: &str| {
        if changed {
            parts.push(name.to_owned());
        }
    };
    part(old.argv != new.argv, "run");
    part(old.dir != new.dir, "dir");
    part(old.listen != new.listen, "port");
    part(old.user != new.user, "user");
    part(old.health != new.health, "health");
    part(old.stop != new.stop, "stop");
    part(old.logs != new.logs, "logs");
    part(old.restart != new.restart, "restart");
    part((&old.needs, &old.needs_how) != (&new.needs, &new.needs_how), "needs");
    part(old.writable != new.writable, "writable");
    if old.env != new.env {
        let names =
            old.env.keys().chain(new.env.keys()).filter(|name| old.env.get(*name) != new.env.get(*name));
        let names: std::collections::BTreeSet<&String> = names.collect();
        parts.push(format!("env {}", names.into_iter().cloned().collect::<Vec<_>>().join(" ")));
    }
    if old.description != new.description {
        parts.push("description".to_owned());
    }
    if old.reload_signal != new.reload_signal {
        parts.push("reload".to_owned());
    }
    let (was, is) = (scale::says(old), scale::says(new));
    if was != is {
        parts.push(format!("instances {was} → {is}"));
    } else if (old.preset, &old.scale) != (new.preset, &new.scale) {
        parts.push("instances".to_owned());
    }
    if old.build != new.build {
        parts.push("build".to_owned());
    }
    parts
}

/// Which inputs of a build changed, if it is they alone.
fn changed_inputs(old: &AppSpec, new: &AppSpec) -> String {
    let (Some(old), Some(new)) = (&old.build, &new.build) else { return String::new() };
    if old.inputs != new.inputs {
        return String::new();
    }
    let digests = old.digests.iter().zip(&new.digests);
    let changed = new.inputs.iter().zip(digests).filter(|(_, (old, new))| old != new);
    let names: Vec<_> =
        changed.map(|(input, _)| input.file_name().unwrap_or(input.as_os_str()).to_string_lossy()).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

/// What a change means for the instances.
fn meaning(old: &AppSpec, new: &AppSpec) -> &'static str {
    let replaced = old.fingerprint(0) != new.fingerprint(0);
    if replaced { "its instances are replaced" } else { "its instances are kept" }
}
