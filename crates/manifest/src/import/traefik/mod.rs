//! Traefik's configuration (versions 2 and 3) → sites, routes and keys of apps, with Traefik's own meaning.
//!
//! ```text
//! flags, TRAEFIK_*, traefik.yml ─▶ settings ─▶ fixed: entry points, resolvers, dashboard
//! labels, dynamic files ─────────▶ settings ─▶ routers, services, middlewares ─▶ sites: a site for each host
//! ```
//! Settings are flat: `http.routers.web.rule` and where it stands. What nobody asked for in the end is listed with its line: nothing is
//! dropped in silence. For each host that is named anywhere a site has all routers that can match it, by priority, each with what is left
//! of its rule; those without a host are in every site, and in the one of `*`.

mod files;
mod fixed;
mod forwards;
mod hosts;
mod middlewares;
mod node;
mod resolvers;
mod routers;
mod services;
mod settings;
mod sites;
mod words;

use crate::diagnostic::Report;
use crate::disk::Disk;
use crate::import::compose::Project;
use crate::import::yaml::Text;
use crate::tree::{Node, Span};
use middlewares::Middlewares;
use services::{Services, Target};
use settings::{Setting, Settings};
use sites::{Pair, Sites};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[cfg(test)]
mod tests;

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
    /// The network over which an app is to be reached, where that is said: it becomes the first of its networks. By the service's name.
    pub network: BTreeMap<String, String>,
}

/// Reads Traefik's own files that belong to the project, and puts them behind those of the project and of the report, so that spans can point into
/// them.
pub fn read(project: &mut Project, disk: &mut Disk, report: &mut Report) -> Vec<Text> {
    let own = words::traefiks(project);
    let labelled = words::services(project).iter().any(|(_, node)| words::labels(node).next().is_some());
    if own.is_empty() && !labelled {
        return Vec::new();
    }
    files::read(project, &own, disk, report)
}

/// Translates labels that begin with `traefik.`, and everything of the services that are Traefik. `files` is what [`read`] gave; `variables` are
/// those that the project's files are interpolated with. Every label of this kind is honoured or reported here; other labels are left alone.
pub fn import(
    project: &Project,
    files: &[Text],
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Routing {
    let own = words::traefiks(project);
    let labelled = words::services(project).iter().any(|(_, node)| words::labels(node).next().is_some());
    if own.is_empty() && !labelled {
        return Routing::default();
    }
    let (fixed_settings, mut dynamic) = split(project, &own, files, variables, report);
    let published = words::published(project, &own);
    let mut fixed = fixed::read(&fixed_settings, &published, !own.is_empty(), variables, report);
    let mut routing = Routing { replaced: own.iter().cloned().collect(), ..Routing::default() };
    labels(project, &fixed, &mut dynamic, &mut routing, report);
    let apps: BTreeSet<String> = words::services(project)
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| !routing.replaced.contains(name))
        .collect();
    let services = Services::new(&dynamic, &apps);
    let mut routers = routers::read(&dynamic, &fixed, &project.name, &services, report);
    match fixed.https {
        Some(false) => routers::without_https(&mut fixed, &mut routers, report),
        _ => routers::follow_redirections(&fixed, &mut routers, report),
    }
    let is_there = |own: &routers::Router| match &own.target {
        Target::Apps(shares) => shares.iter().all(|share| apps.contains(&share.app)),
        _ => true,
    };
    routers.retain(is_there);
    let middlewares = Middlewares::new(&dynamic, &apps);
    let attached =
        routers.iter().flat_map(|own| own.middlewares.iter().map(|(name, _)| name.clone())).collect();
    let named = routers.iter().filter_map(|own| own.resolver.clone()).collect();
    let resolver = resolvers::read(&fixed_settings, &named, variables, report);
    fixed_settings.report_unused("setting", report);
    let (pairs, default) = pairs(project, &own, &dynamic, report);
    let any = default.clone().or_else(|| pairs.first().cloned());
    let sites = Sites {
        fixed: &fixed,
        routers: &routers,
        middlewares: &middlewares,
        pair: default,
        any,
        resolver: resolver.as_ref(),
    };
    let mut nodes = sites.nodes(report);
    middlewares.report_unattached(&attached, report);
    if let Some((address, span)) = &fixed.dashboard {
        nodes.push(dashboard(*address, span));
    }
    let forwards = forwards::nodes(&dynamic, &fixed, &services, report);
    routing.apps = services.app_keys(report);
    let apps_of_ours = |name: &String| apps.contains(name);
    routing.apps.retain(|name, _| apps_of_ours(name));
    dynamic.report_unused("label", report);
    let span = nodes.first().map_or(0..0, |node| node.span.clone());
    routing.root.extend(sites.listen().map(|node| ("listen".to_owned(), node)));
    let ordered = nodes.iter().any(|site| site.get("tls").and_then(Node::scalar).as_deref() == Some("acme"));
    routing.root.extend(resolver.filter(|_| ordered).map(|own| ("acme".to_owned(), own.node)));
    let pairs = pairs.iter().map(sites::files).collect();
    for (key, list) in [("certificate", pairs), ("site", nodes), ("forward", forwards)] {
        if !list.is_empty() {
            routing.root.push((key.to_owned(), node::list(list, &span)));
        }
    }
    taken_over(project, &own, report);
    routing
}

/// Fixed settings, and those that may change: files hold both.
fn split(
    project: &Project,
    own: &[String],
    files: &[Text],
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> (Settings, Settings) {
    let (mut flags, mut environment) = (Settings::default(), Settings::default());
    for name in own {
        flags.add_flags(&words::command(project, name));
        words::variables(project, name, &mut environment);
    }
    let (mut file, mut dynamic) = (Settings::default(), Settings::default());
    for text in files {
        let Some(tree) = files::parse(text, report) else { continue };
        for (key, node) in words::entries(Some(&tree)) {
            let to = if matches!(&**key, "http" | "tcp" | "udp" | "tls") { &mut dynamic } else { &mut file };
            to.add_tree(key, node, None);
        }
    }
    file.interpolate(variables, report);
    dynamic.interpolate(variables, report);
    let fixed = flags.over(environment, "the command line", report).over(file, "the command line", report);
    (fixed, dynamic)
}

/// Adds the labels of all services that may be reached.
fn labels(
    project: &Project,
    fixed: &fixed::Fixed,
    settings: &mut Settings,
    routing: &mut Routing,
    report: &mut Report,
) {
    for (name, node) in words::services(project) {
        let get = |key: &str| {
            words::labels(node).find(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, node)| node)
        };
        let Some((_, first)) = words::labels(node).next() else { continue };
        let enable = get("enable").and_then(Node::scalar).map(|text| text.eq_ignore_ascii_case("true"));
        if !enable.unwrap_or(fixed.exposed_by_default) {
            let message = format!("service `{name}` gets no route: it is not enabled");
            let found = report.info("traefik::disabled", message);
            found.at(first.span.clone(), "not used").help("add the label traefik.enable=true");
            continue;
        }
        let network = get("docker.network")
            .map(|node| (node.scalar().unwrap_or_default().into_owned(), node.span.clone()));
        if let Some((wanted, span)) = network.or_else(|| fixed.network.clone()) {
            match reached_over(project, node, &wanted) {
                Some(key) => drop(routing.network.insert(name.clone(), key)),
                None => {
                    let found = report.warning(
                        "traefik::network",
                        format!("service `{name}` is not on network `{wanted}`"),
                    );
                    found.at(span, "it is reached over the first of its networks");
                }
            }
        }
        for (key, node) in words::labels(node) {
            let lower = key.to_ascii_lowercase();
            match lower.as_str() {
                "enable" | "docker.network" => {}
                "docker.lbswarm" | "swarm.lbswarm" | "tags" | "docker.allownonrunning" => {
                    report
                        .info("traefik::label", format!("`traefik.{key}` is not taken over"))
                        .at(node.span.clone(), "of a swarm");
                }
                _ => settings.add(
                    key,
                    vec![node.scalar().unwrap_or_default().into_owned()],
                    node.span.clone(),
                    Some(name),
                ),
            }
        }
    }
}

/// The key of a network among those of a service.
fn reached_over(project: &Project, service: &Node, wanted: &str) -> Option<String> {
    let of_project = |key: &str| {
        let named = project
            .root
            .get("networks")
            .and_then(|all| all.get(key)?.get("name")?.scalar())
            .map(|own| own.into_owned());
        key == wanted || named.as_deref() == Some(wanted) || format!("{}_{key}", project.name) == wanted
    };
    match words::entries(service.get("networks")) {
        [] => of_project("default").then(|| "default".to_owned()),
        own => own.iter().map(|(key, _)| key.clone()).find(|key| of_project(key)),
    }
}

/// The certificates of `tls.certificates`, which are served for the names in them, and that of the default store.
fn pairs(
    project: &Project,
    own: &[String],
    settings: &Settings,
    report: &mut Report,
) -> (Vec<Pair>, Option<Pair>) {
    let mounts: Vec<_> = own.iter().flat_map(|name| files::mounts(project, name)).collect();
    let path = |setting: &Setting| {
        let inside = Path::new(setting.text());
        files::outside(inside, &mounts).unwrap_or_else(|| inside.to_owned()).display().to_string()
    };
    let pair = |at: &str| {
        let get = |key: &str| settings.get(&format!("{at}.{key}"));
        get("stores");
        let (cert, key) = (get("certfile")?, get("keyfile")?);
        Some((path(cert), path(key), cert.span.clone()))
    };
    let listed = settings.names("tls.certificates").into_keys();
    let pairs = listed.filter_map(|number| pair(&format!("tls.certificates.{number}"))).collect();
    let default = pair("tls.stores.default.defaultcertificate");
    for (key, setting) in settings.take("tls.options") {
        let found = report.warning("traefik::tls", format!("`tls.options.{key}` is not taken over"));
        found.at(
            setting.span.clone(),
            "TLS 1.2 and 1.3 with safe ciphers are spoken, and no client certificate is asked for",
        );
    }
    (pairs, default)
}

/// The dashboard where no router leads to it.
fn dashboard(address: std::net::SocketAddr, span: &Span) -> Node {
    let route = node::table(vec![("dashboard", node::flag(true, span))], span);
    let entries = vec![
        ("hosts", node::texts(["*"], span)),
        ("listen", node::texts([address.to_string()], span)),
        ("tls", node::flag(false, span)),
        ("route", node::list(vec![route], span)),
    ];
    node::table(entries, span)
}

/// That Mainstay stands where Traefik stood.
fn taken_over(project: &Project, own: &[String], report: &mut Report) {
    for name in own {
        let image = project.root.get("services").and_then(|all| all.get(name)?.get("image"));
        let Some(image) = image else { continue };
        let found = report.info("traefik::replaced", format!("Mainstay takes the place of service `{name}`"));
        found.at(image.span.clone(), "no such container runs");
    }
}
