//! Sites and their routes.

use super::policy::{self, Keys};
use super::{Context, acme, door, files, handler, hold, items, missing, tls};
use crate::file::{ManifestFile, RouteFile, SiteFile};
use crate::place::Place;
use crate::tree::Span;
use crate::{condition, values};
use model::AppName;
use model::condition::Condition;
use model::site::TlsSpec;
use model::spec::{AppSpec, HandlerSpec, RouteSpec, SiteSpec};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What the checks of a site and its routes look at beside their own keys.
pub struct Scope<'a> {
    /// Name of the stack; limits are counted by stack.
    pub stack: &'a str,
    /// Host names of the site.
    pub hosts: &'a [String],
    /// Apps that are valid, by name.
    pub apps: &'a BTreeMap<AppName, AppSpec>,
    /// Where all apps stand.
    pub app_place: Place<'a>,
    /// Where all services stand.
    pub service_place: Place<'a>,
    /// Mainstay listens for HTTPS.
    pub secure: bool,
    /// The path of the route; nothing for the keys of a site.
    pub path: Option<&'a str>,
    /// When the route answers beside that, as it is written.
    pub when: Option<&'a str>,
}

/// Whose a host is at an address; none: where the stack listens.
type Owners = BTreeMap<(Option<SocketAddr>, String), Span>;

fn doors(listen: &[SocketAddr]) -> impl Iterator<Item = Option<SocketAddr>> {
    let common = listen.is_empty().then_some(None);
    common.into_iter().chain(listen.iter().copied().map(Some))
}

/// Checks every site.
pub fn sites(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    stack: &str,
    apps: &BTreeMap<AppName, AppSpec>,
    authority: &mut acme::Scope,
) -> Vec<SiteSpec> {
    let mut owners = Owners::new();
    let secure = place.key("listen").key("https").given();
    let sites = file.site.iter().enumerate().map(|(index, site)| {
        let (app_place, service_place) = (place.key("app"), place.key("service"));
        let place = place.key("site").item(index);
        let listen = door::own(context, place.key("listen"), site.listen.as_ref());
        let hosts = hosts(context, place, site, &listen, &mut owners);
        let tls = tls::source(context, place, site, &hosts, secure, authority);
        let redirect = tls::redirect(context, place, site, &tls);
        let scope =
            Scope { stack, hosts: &hosts, apps, app_place, service_place, path: None, when: None, secure };
        let routes = routes(context, place, site, &scope, &tls);
        let while_running = site.while_running.unwrap_or(false);
        let client_certs = tls::client_certs(context, place, site, &tls);
        SiteSpec { tls, client_certs, https_redirect: redirect, while_running, routes, hosts, listen }
    });
    let sites: Vec<SiteSpec> = sites.collect();
    zones(context, place.key("site"), &sites);
    sites
}

/// Limits that share a count have to agree about how fast it falls.
fn zones(context: &mut Context<'_>, place: Place<'_>, sites: &[SiteSpec]) {
    let mut rates: BTreeMap<&str, ((u32, u64), Span)> = BTreeMap::new();
    for (index, site) in sites.iter().enumerate() {
        for (number, route) in site.routes.iter().enumerate() {
            let own = place.item(index);
            let own =
                Some(own.key("route").item(number)).filter(|route| route.key("limit").given()).unwrap_or(own);
            for rate in &route.policy.rates {
                let span = own.key("limit").span();
                let (first, other) =
                    rates.entry(&rate.zone).or_insert(((rate.count, rate.per_ms), span.clone()));
                if *first != (rate.count, rate.per_ms) && *other != span {
                    let zone = rate.zone.rsplit('/').next().unwrap_or_default();
                    let found = context.report.error("limit::zone", format!("zone `{zone}` has two rates"));
                    found.at(span, "another rate").at(other.clone(), "first here");
                    found.help("give both the same `rate`, or each a `zone` of its own");
                }
            }
        }
    }
}

fn routes(
    context: &mut Context<'_>,
    place: Place<'_>,
    site: &SiteFile,
    scope: &Scope<'_>,
    tls: &TlsSpec,
) -> Vec<RouteSpec> {
    if !place.key("route").given() {
        context
            .report
            .warning("site::empty", "this site has no routes")
            .at(place.span(), "every request gets 404")
            .help("add `[[site.route]]` with `app`, `proxy`, `static` or `redirect`");
    }
    let common = Keys::read(context, place, &site.policy, scope);
    let defaults = policy::default_headers(context, place, scope, tls, &common);
    let mut before: Vec<(String, Span)> = Vec::new();
    let mut routes = Vec::new();
    for (index, file) in site.route.iter().enumerate() {
        let place = place.key("route").item(index);
        let name = name(context, place.key("name"), file.name.as_deref());
        let path = pattern(context, place, file);
        let when = when(context, place.key("when"), file.when.as_deref());
        if let Some(path) = &path {
            shadowed(context, place, path, &before);
            if !place.key("when").given() {
                before.push((path.clone(), place.key("path").span()));
            }
        }
        let scope = Scope { path: path.as_deref(), when: file.when.as_deref(), ..*scope };
        let handler = handler::handler(context, place, file, &scope);
        let hold = hold::hold(context, place.key("hold"), file.hold.as_ref());
        if hold.is_some()
            && !matches!(
                handler,
                None | Some(
                    HandlerSpec::App(_)
                        | HandlerSpec::Port(..)
                        | HandlerSpec::Apps(_)
                        | HandlerSpec::Proxy(_)
                )
            )
        {
            let found = context.report.error("hold::nowhere", "nothing of this route waits for an instance");
            found.at(place.key("hold").name_span(), "only a route to an `app` or `proxy` has a `hold`");
        }
        let keys = Keys::read(context, place, &file.policy, &scope);
        let (Some(path), Some(mut handler)) = (path, handler) else { continue };
        let (timeouts, body_limit, policy) = keys.over(&common, &defaults, &handler);
        files::follow(&mut handler, file.files.as_ref(), &policy);
        let open =
            policy.access.allow.is_empty() && policy.basic_auth.is_none() && policy.forward_auth.is_none();
        if handler == HandlerSpec::Metrics && open {
            let found = context.report.warning("metrics::public", "everybody can read these metrics");
            found.at(place.key("metrics").name_span(), "open to all");
            found.help("add `allow = [\"10.0.0.0/8\"]` or `basic_auth`");
        }
        routes.push(RouteSpec { name, path, when, handler, timeouts, body_limit, policy, hold });
    }
    routes
}

fn hosts(
    context: &mut Context<'_>,
    place: Place<'_>,
    site: &SiteFile,
    listen: &[SocketAddr],
    owners: &mut Owners,
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
        if let Some(first) = doors(listen).find_map(|door| owners.get(&(door, host.clone()))) {
            context
                .report
                .error("host::twice", format!("host `{host}` is listed twice"))
                .at(place.span(), "again here")
                .at(first.clone(), "first here")
                .help("at one address a host belongs to one site: put all its routes there");
            continue;
        }
        if values::is_placeholder(&host) {
            context
                .report
                .warning("host::placeholder", format!("`{host}` looks like a placeholder"))
                .at(place.span(), "a name that documents use in examples")
                .help("write your own domain, or a name under `.localhost` while developing");
        }
        owners.extend(doors(listen).map(|door| ((door, host.clone()), place.span())));
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

/// When a route answers, beside its path.
/// What people call a route: a word or two.
fn name(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<String> {
    let text = text?;
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        let found = context.report.error("route::name", "a route's name is 1 to 100 letters on one line");
        found.at(place.span(), "not this");
        return None;
    }
    Some(text.to_owned())
}

fn when(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<Condition> {
    let text = text?;
    let fault = match condition::parse(text) {
        Ok(condition) => return Some(condition),
        Err(fault) => fault,
    };
    // Where the value is written as it is meant, the very words are pointed at.
    let span = place.span();
    let start = context.report.written(&span).find(text).map(|at| span.start + at);
    let here = start.map_or(span, |start| start + fault.at.start..start + fault.at.end);
    let message = format!("{text:?} is no condition: {}", fault.what);
    context.report.error("when::bad", message).at(here, fault.what).help_if(fault.help);
    None
}

/// A route behind one that matches everything it matches.
fn shadowed(context: &mut Context<'_>, place: Place<'_>, path: &str, before: &[(String, Span)]) {
    if let Some((broad, span)) = before.iter().find(|(broad, _)| values::covers(broad, path)) {
        context
            .report
            .error(
                "route::never",
                format!("this route can never match: `{broad}` before it answers `{path}`"),
            )
            .at(place.key("path").span(), "never reached")
            .at(span.clone(), "answers first")
            .help("put the narrower route first, or remove one");
    }
}
