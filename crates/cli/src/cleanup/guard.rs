//! What is never removed, even where a pattern matches it: what the manifest names, what it says to keep, and what belongs to
//! Mainstay or to version control.

use super::Pattern;
use manifest::{Loaded, StackSpec};
use model::site::TlsSpec;
use model::spec::{AppSpec, HandlerSpec, Probe, RouteSpec};
use std::path::{Path, PathBuf};

/// Folders that are nobody else's.
const CLOSED: [&str; 2] = [".mainstay", ".git"];

/// What is never removed.
#[derive(Debug)]
pub struct Guard {
    keep: Vec<Pattern>,
    /// Relative paths that the manifest names: neither they nor a folder that holds them.
    named: Vec<PathBuf>,
    /// Relative folders of which nothing is removed either.
    closed: Vec<PathBuf>,
}

impl Guard {
    /// Of a manifest, and the home of its keeper.
    pub fn of(loaded: &Loaded, home: &Path) -> Self {
        let spec = &loaded.spec;
        let mut named = loaded.files.clone();
        named.push(spec.root.join(".env"));
        let apps = || spec.apps.values().chain(spec.tasks.values().map(|task| &task.app));
        apps().for_each(|app| of_app(app, &mut named));
        named.extend(spec.certificates.iter().flat_map(|own| [own.cert.clone(), own.key.clone()]));
        let authorities = spec.acme.iter().flat_map(|acme| &acme.authorities);
        named.extend(authorities.filter_map(|own| own.root.clone()));
        named.extend(spec.acme.iter().filter_map(|acme| Some(acme.dns.as_ref()?.command.first()?.into())));
        for site in &spec.sites {
            named.extend(site.client_certs.iter().map(|own| own.roots.clone()));
            if let TlsSpec::Files { cert, key } = &site.tls {
                named.extend([cert.clone(), key.clone()]);
            }
            site.routes.iter().for_each(|route| of_route(route, &mut named));
        }
        let writable = apps().flat_map(|app| app.writable.clone());
        let mut closed: Vec<PathBuf> = writable.chain(spec.logs.dir.clone()).collect();
        closed.push(home.to_owned());
        closed.extend(CLOSED.map(|name| spec.root.join(name)));
        Self {
            keep: spec.cleanup.keep.iter().filter_map(|text| Pattern::new(text)).collect(),
            named: below(spec, named),
            closed: below(spec, closed),
        }
    }

    /// Why this, given relative to the stack's folder, is not removed; nothing when it may be.
    pub fn why(&self, path: &Path) -> Option<String> {
        if self.keeps(path) {
            return Some("`keep` names it".into());
        }
        if let Some(own) = self.closed.iter().find(|own| path.starts_with(own) || own.starts_with(path)) {
            return Some(format!("{} belongs to the stack", own.display()));
        }
        let named = self.named.iter().find(|named| named.starts_with(path))?;
        Some(match named == path {
            true => "the manifest names it".into(),
            false => format!("the manifest names {}", named.display()),
        })
    }

    /// Whether `keep` names this or a folder that holds it.
    pub fn keeps(&self, path: &Path) -> bool {
        let all = path.ancestors().filter(|part| !part.as_os_str().is_empty());
        all.into_iter().any(|part| self.keep.iter().any(|pattern| pattern.glob.is_match(part)))
    }
}

/// Its folder, the inputs of its build, and what its commands name.
fn of_app(app: &AppSpec, named: &mut Vec<PathBuf>) {
    named.push(app.dir.clone());
    let build = app.build.iter().flat_map(|build| &build.inputs);
    named.extend(build.cloned());
    let steps = app.build.iter().flat_map(|build| build.steps.iter().flatten());
    let health: &[String] = if let Probe::Command(argv) = &app.health.probe { argv } else { &[] };
    for word in app.argv.iter().chain(steps).chain(health) {
        let name = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        let path: PathBuf = app.dir.join(name).components().collect();
        if !name.is_empty() && path.exists() {
            named.push(path);
        }
    }
}

/// Folders and pages that it serves.
fn of_route(route: &RouteSpec, named: &mut Vec<PathBuf>) {
    if let HandlerSpec::Static(files) = &route.handler {
        named.push(files.root.clone());
        named.extend(files.spa.iter().chain(&files.not_found).map(|name| files.root.join(name)));
    }
    let pages = route.policy.error_pages.iter().map(|page| page.page.clone());
    named.extend(pages.chain(route.policy.maintenance.iter().filter_map(|own| own.page.clone())));
}

/// Relative to the stack's folder, as they are written and where they really are. The folder itself is no reason to keep all of it.
fn below(spec: &StackSpec, paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let real: Vec<PathBuf> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let relative = paths.iter().chain(&real).filter_map(|path| path.strip_prefix(&spec.root).ok());
    let mut all: Vec<PathBuf> =
        relative.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
    all.sort();
    all.dedup();
    all
}
