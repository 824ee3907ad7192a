//! Sites and their routes.

use super::{Context, app_of, items, known, missing, unknown_app};
use crate::disk::Unreachable;
use crate::file::{ManifestFile, RouteFile, SiteFile, StagesFile, TimeoutFile};
use crate::place::Place;
use crate::tree::Span;
use crate::values;
use model::AppName;
use model::policy::PolicySpec;
use model::site::{Balance, StaticSpec, TlsSpec};
use model::spec::{
    AppSpec, DEFAULT_BODY_LIMIT, HandlerSpec, Listen, ProxySpec, RouteSpec, ServerSpec, SiteSpec, Timeouts,
};
use std::collections::BTreeMap;
use std::path::Path;

/// What to do about a folder that the edge cannot reach.
const MOVE: &str = "move the stack, to /srv for example";

/// Checks every site.
pub fn sites(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    apps: &BTreeMap<AppName, AppSpec>,
) -> Vec<SiteSpec> {
    let mut owners = BTreeMap::new();
    let app_place = place.key("app");
    let sites = file.site.iter().enumerate().map(|(index, site)| {
        let place = place.key("site").item(index);
        let hosts = hosts(context, place, site, &mut owners);
        let mut routes: Vec<(RouteSpec, Span)> = Vec::new();
        for (index, file) in site.route.iter().enumerate() {
            let place = place.key("route").item(index);
            let path = pattern(context, place, file);
            if let Some(path) = &path {
                shadowed(context, place, path, &routes);
            }
            let handler = handler(context, place, file, app_place, apps);
            let timeouts = timeouts(context, place.key("timeout"), file.timeout.as_ref());
            let body_limit = context.size(place.key("body"), file.body.as_ref(), DEFAULT_BODY_LIMIT);
            let parts = path.zip(handler);
            routes.extend(parts.map(|(path, handler)| {
                let policy = PolicySpec::default();
                (RouteSpec { path, handler, timeouts, body_limit, policy }, place.key("path").span())
            }));
        }
        if !place.key("route").given() {
            context
                .report
                .warning("site::empty", "this site has no routes")
                .at(place.span(), "every request gets 404")
                .help("add `[[site.route]]` with `app`, `proxy` or `static`");
        }
        SiteSpec {
            hosts,
            tls: TlsSpec::default(),
            https_redirect: true,
            routes: routes.into_iter().map(|(route, _)| route).collect(),
        }
    });
    sites.collect()
}

fn hosts(
    context: &mut Context<'_>,
    place: Place<'_>,
    site: &SiteFile,
    owners: &mut BTreeMap<String, Span>,
) -> Vec<String> {
    missing(
        context,
        place,
        "hosts",
        "a site",
        "write `hosts = [\"hello.localhost\"]`, or `[\"*\"]` for any name",
    );
    let place = place.key("hosts");
    let mut hosts = Vec::new();
    for (place, text) in items(place, site.hosts.as_ref()) {
        let host = match values::host(text) {
            Ok(host) => host,
            Err(wrong) => {
                context.wrong("host::bad", format!("{text:?} is not a host name"), place, wrong);
                continue;
            }
        };
        if let Some(first) = owners.get(&host) {
            context
                .report
                .error("host::twice", format!("host `{host}` is listed twice"))
                .at(place.span(), "again here")
                .at(first.clone(), "first here")
                .help("a host belongs to one site: put all its routes there");
            continue;
        }
        if values::is_placeholder(&host) {
            context
                .report
                .warning("host::placeholder", format!("`{host}` looks like a placeholder"))
                .at(place.span(), "a name that documents use in examples")
                .help("write your own domain, or a name under `.localhost` while developing");
        }
        owners.insert(host.clone(), place.span());
        hosts.push(host);
    }
    if hosts.is_empty() && site.hosts.is_some() && items(place, site.hosts.as_ref()).next().is_none() {
        context.report.error("host::none", "a site needs a host name").at(place.span(), "empty");
    }
    hosts
}

fn pattern(context: &mut Context<'_>, place: Place<'_>, route: &RouteFile) -> Option<String> {
    let place = place.key("path");
    let Some(path) = route.path.as_deref() else {
        return (!place.given()).then(|| "/*".to_owned());
    };
    if let Err(wrong) = values::pattern(path) {
        context.wrong("path::bad", format!("{path:?} is not a path of a route"), place, wrong);
        return None;
    }
    Some(path.to_owned())
}

/// A route behind one that matches everything it matches.
fn shadowed(context: &mut Context<'_>, place: Place<'_>, path: &str, before: &[(RouteSpec, Span)]) {
    if let Some((broad, span)) = before.iter().find(|(route, _)| values::covers(&route.path, path)) {
        context
            .report
            .error(
                "route::never",
                format!("this route can never match: `{}` before it answers `{path}`", broad.path),
            )
            .at(place.key("path").span(), "never reached")
            .at(span.clone(), "answers first")
            .help("put the narrower route first, or remove one");
    }
}

fn handler(
    context: &mut Context<'_>,
    place: Place<'_>,
    route: &RouteFile,
    app_place: Place<'_>,
    apps: &BTreeMap<AppName, AppSpec>,
) -> Option<HandlerSpec> {
    let given: Vec<&str> =
        ["app", "proxy", "static"].into_iter().filter(|key| place.key(key).given()).collect();
    match given[..] {
        [] => {
            let found = context.report.error("route::empty", "nothing answers this route");
            found.at(place.span(), "`app`, `proxy` or `static` is missing");
            return None;
        }
        [_] => {}
        [first, .., last] => {
            context
                .report
                .error("route::ambiguous", "only one of `app`, `proxy` and `static` can answer a route")
                .at(place.key(last).name_span(), "remove this")
                .at(place.key(first).name_span(), "or this");
            return None;
        }
    }
    if let Some(name) = &route.app {
        return to_app(context, place.key("app"), name, app_place, apps);
    }
    if let Some(text) = &route.proxy {
        return match values::upstream(text, &context.root()) {
            Ok(address) => Some(HandlerSpec::Proxy(ProxySpec {
                servers: vec![ServerSpec { address, weight: 1 }],
                balance: Balance::default(),
                http2: false,
                health: None,
            })),
            Err(wrong) => {
                let what = if values::holds_password(text) { "this".into() } else { format!("{text:?}") };
                context.wrong("address::bad", format!("{what} is no server"), place.key("proxy"), wrong);
                None
            }
        };
    }
    let place = place.key("static");
    let folder = context.path(place, route.files.as_deref()?)?;
    let edge = context.disk.edge_user();
    if let Some(why) = context.disk.unreachable(&folder, edge.as_ref()) {
        let who = edge.map_or_else(String::new, |who| who.name);
        unreachable_folder(context, place, "the folder of static files", &folder, &who, &why, MOVE);
    }
    Some(HandlerSpec::Static(StaticSpec { root: folder, ..StaticSpec::default() }))
}

fn to_app(
    context: &mut Context<'_>,
    place: Place<'_>,
    name: &str,
    app_place: Place<'_>,
    apps: &BTreeMap<AppName, AppSpec>,
) -> Option<HandlerSpec> {
    let known = known(app_place);
    if !known.contains(&name) {
        unknown_app(context, place, name, &known);
        return None;
    }
    let handler = HandlerSpec::App(name.parse().ok()?);
    if app_of(&handler).and_then(|name| apps.get(name)).is_some_and(|app| app.listen == Listen::Nothing) {
        context
            .report
            .error("route::worker", format!("app `{name}` does not listen"))
            .at(place.span(), "cannot answer requests")
            .at(app_place.key(name).key("listen").name_span(), "because of this");
    }
    Some(handler)
}

/// Says why a folder cannot be used, and by whom.
pub fn unreachable_folder(
    context: &mut Context<'_>,
    place: Place<'_>,
    what: &str,
    folder: &Path,
    who: &str,
    why: &Unreachable,
    elsewhere: &str,
) {
    let (code, message, label, help) = match why {
        Unreachable::Missing(path) => {
            ("folder::missing", format!("{what} does not exist"), format!("no `{}`", path.display()), None)
        }
        Unreachable::NotAFolder(path) => (
            "folder::missing",
            format!("{what} is not a folder"),
            format!("`{}` is a file", path.display()),
            None,
        ),
        Unreachable::Denied(path) => (
            "folder::unreachable",
            format!("{what} cannot be reached by {who}"),
            format!("`{}` may not be entered or read", path.display()),
            Some(way_in(folder, path, elsewhere)),
        ),
    };
    let found = context.report.error(code, message);
    found.at(place.span(), label).help_if(help);
}

/// How a user gets into a folder that is closed at `closed`. Nobody should open a home for that.
fn way_in(folder: &Path, closed: &Path, elsewhere: &str) -> String {
    let home = closed == Path::new("/root") || closed.parent() == Some(Path::new("/home"));
    match (home, closed == folder) {
        (true, _) => elsewhere.to_owned(),
        (false, true) => format!("{elsewhere}, or let others in: chmod o+rx {}", closed.display()),
        (false, false) => format!("{elsewhere}, or let others pass: chmod o+x {}", closed.display()),
    }
}

fn timeouts(context: &mut Context<'_>, place: Place<'_>, file: Option<&TimeoutFile>) -> Timeouts {
    let default = Timeouts::default();
    let stages = match file {
        None => return default,
        Some(TimeoutFile::Read(text)) => {
            return Timeouts { read: context.duration(place, Some(text), default.read, false), ..default };
        }
        Some(TimeoutFile::Stages(stages)) => stages,
    };
    let StagesFile { connect, send, read } = stages;
    Timeouts {
        connect: context.duration(place.key("connect"), connect.as_ref(), default.connect, false),
        send: context.duration(place.key("send"), send.as_ref(), default.send, false),
        read: context.duration(place.key("read"), read.as_ref(), default.read, false),
    }
}
