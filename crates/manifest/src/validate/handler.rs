//! What answers a route: an app, other servers, a folder, a redirect, the metrics.

use super::site::Scope;
use super::{Context, app, files, forward, known, missing, traffic, unknown_app};
use crate::diagnostic::nearest;
use crate::file::{
    BalanceFile, ProxyFile, ProxyTable, RedirectFile, RedirectTable, RouteFile, ServerFile, ServerTable,
    ShareFile,
};
use crate::place::Place;
use crate::values;
use model::site::Balance;
use model::spec::{
    HandlerSpec, Listen, Probe, ProxySpec, RedirectSpec, ServerSpec, ShareSpec, UpstreamAddress,
};
use model::traffic::{HoldSpec, TrafficSpec};

/// Keys of which one answers.
const HANDLERS: [&str; 7] = ["app", "apps", "proxy", "static", "redirect", "metrics", "dashboard"];

/// Where a redirect can lead, in terms of the request.
const PLACEHOLDERS: [&str; 4] = ["scheme", "host", "path", "query"];

/// What answers.
pub fn handler(
    context: &mut Context<'_>,
    place: Place<'_>,
    route: &RouteFile,
    scope: &Scope<'_>,
) -> Option<HandlerSpec> {
    let given: Vec<&str> = HANDLERS.into_iter().filter(|key| place.key(key).given()).collect();
    match given[..] {
        [] => {
            let found = context.report.error("route::empty", "nothing answers this route");
            found.at(
                place.span(),
                "`app`, `apps`, `proxy`, `static`, `redirect`, `metrics` or `dashboard` is missing",
            );
            return None;
        }
        [_] => {}
        [first, .., last] => {
            context
                .report
                .error("route::ambiguous", format!("`{first}` and `{last}` cannot both answer a route"))
                .at(place.key(last).name_span(), "remove this")
                .at(place.key(first).name_span(), "or this");
            return None;
        }
    }
    if let Some(name) = &route.app {
        let name = to_app(context, place.key("app"), name, scope)?;
        return Some(match route.port.and_then(|port| u16::try_from(port).ok()) {
            None => HandlerSpec::App(name),
            Some(_) if !forward::has_address(context, place, scope, &name) => return None,
            Some(port) => HandlerSpec::Port(name, port),
        });
    }
    if let Some(file) = &route.proxy {
        return proxy(context, place.key("proxy"), file).map(HandlerSpec::Proxy);
    }
    if let Some(file) = &route.redirect {
        return redirect(context, place.key("redirect"), file).map(HandlerSpec::Redirect);
    }
    if let Some(file) = &route.files {
        return files::folder(context, place.key("static"), file).map(HandlerSpec::Static);
    }
    if let Some(files) = &route.apps {
        return shares(context, place.key("apps"), files, scope).map(HandlerSpec::Apps);
    }
    match (route.metrics, route.dashboard) {
        (Some(true), _) => return Some(HandlerSpec::Metrics),
        (_, Some(true)) => return Some(HandlerSpec::Dashboard),
        (None, None) => return None,
        _ => {}
    }
    let key = if route.metrics.is_some() { "metrics" } else { "dashboard" };
    let found = context.report.error("route::empty", "nothing answers this route");
    found.at(place.key(key).span(), format!("`{key} = false` answers nothing"));
    None
}

/// Several apps, each with its share.
fn shares(
    context: &mut Context<'_>,
    list: Place<'_>,
    files: &[ShareFile],
    scope: &Scope<'_>,
) -> Option<Vec<ShareSpec>> {
    if files.is_empty() {
        let found = context.report.error("route::empty", "nothing answers this route");
        found.at(list.span(), "empty");
    }
    let mut shares: Vec<ShareSpec> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let place = list.item(index);
        missing(context, place, "app", "a share", "write `{ app = \"web\", weight = 2 }`");
        let app = to_app(context, place.key("app"), file.app.as_deref()?, scope)?;
        let port = file.port.and_then(|port| u16::try_from(port).ok());
        if port.is_some() && !forward::has_address(context, place, scope, &app) {
            return None;
        }
        if shares.iter().any(|other| other.app == app && other.port == port) {
            let found = context.report.error("route::twice", format!("app `{app}` is listed twice"));
            found.at(place.key("app").span(), "again here").help("give it a `weight` instead");
        }
        let weight = file.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1);
        shares.push(ShareSpec { app, port, weight });
    }
    Some(shares)
}

/// An app that takes requests.
pub fn to_app(
    context: &mut Context<'_>,
    place: Place<'_>,
    name: &str,
    scope: &Scope<'_>,
) -> Option<model::AppName> {
    let known = known(scope.app_place);
    let service = scope.service_place.key(name);
    if !known.contains(&name) && service.given() {
        let found = context.report.error("route::service", format!("`{name}` is a service, no app"));
        found.at(place.span(), "browsers are not led to a database").at(service.name_span(), "the service");
        found.help(format!("name the app that asks it, with `needs = [\"{name}\"]`"));
        return None;
    }
    if !known.contains(&name) {
        unknown_app(context, place, name, &known);
        return None;
    }
    let name: model::AppName = name.parse().ok()?;
    if scope.apps.get(&name).is_some_and(|app| app.listen == Listen::Nothing) {
        context
            .report
            .error("route::worker", format!("app `{name}` does not listen"))
            .at(place.span(), "cannot answer requests")
            .at(scope.app_place.key(name.as_str()).key("listen").name_span(), "because of this");
    }
    Some(name)
}

/// How requests are spread.
pub fn balance(file: Option<BalanceFile>) -> Balance {
    match file {
        None | Some(BalanceFile::LeastRequests) => Balance::LeastRequests,
        Some(BalanceFile::RoundRobin) => Balance::RoundRobin,
    }
}

fn proxy(context: &mut Context<'_>, place: Place<'_>, file: &ProxyFile) -> Option<ProxySpec> {
    let (list, table) = match file {
        ProxyFile::One(text) => (
            place,
            ProxyTable { servers: Some(vec![ServerFile::Address(text.clone())]), ..ProxyTable::default() },
        ),
        ProxyFile::Many(servers) => {
            (place, ProxyTable { servers: Some(servers.clone()), ..ProxyTable::default() })
        }
        ProxyFile::Table(table) => {
            missing(
                context,
                place,
                "servers",
                "a table of `proxy`",
                "write `servers = [\"localhost:3000\"]`",
            );
            (place.key("servers"), ProxyTable::clone(table))
        }
    };
    let files = table.servers?;
    if files.is_empty() {
        let found = context.report.error("proxy::empty", "there is no server to ask");
        found.at(list.span(), "empty");
    }
    let weighted =
        files.iter().any(|file| matches!(file, ServerFile::Table(ServerTable { weight: Some(_), .. })));
    let mut servers: Vec<ServerSpec> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let place = list.item(index);
        let Some(server) = server(context, place, file) else { continue };
        if servers.iter().any(|other| other.address == server.address) {
            let found = context.report.error("proxy::twice", "this server is listed twice");
            found.at(place.span(), "again here").help("give it a `weight` instead");
        }
        servers.push(server);
    }
    let http2 = table.http2.unwrap_or(false);
    let health = table.health.as_ref().map(|file| {
        let place = place.key("health");
        let mut spec = app::health(context, place, Some(file), Listen::AnyPort, http2);
        if !place.key("retries").given() {
            // Nobody has to be started in its place: whoever fails once waits for its next success.
            spec.retries = 1;
        }
        let wrong = match spec.probe {
            Probe::Command(_) => Some("no command tells how a server elsewhere is"),
            Probe::Alive => Some("no process tells how a server elsewhere is"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let found = context.report.error("health::foreign", wrong);
            found.at(place.span(), "Mainstay does not run it").help("use `path`, or `tcp = true`");
        }
        spec
    });
    if weighted && table.balance == Some(BalanceFile::LeastRequests) {
        let found = context.report.error("balance::weight", "weights count only in turn");
        found
            .at(place.key("balance").span(), "weights have no meaning here")
            .help("write `balance = \"round-robin\"`");
    }
    let balance = if weighted { Balance::RoundRobin } else { balance(table.balance) };
    let keys = traffic::Keys {
        concurrency: table.concurrency,
        sticky: table.sticky.as_ref(),
        slow_start: table.slow_start.as_ref(),
        circuit: table.circuit.as_ref(),
        retries: table.retries,
    };
    let traffic = TrafficSpec { hold: HoldSpec::OFF, ..traffic::traffic(context, place, &keys) };
    Some(ProxySpec { servers, balance, http2, health, traffic })
}

fn server(context: &mut Context<'_>, place: Place<'_>, file: &ServerFile) -> Option<ServerSpec> {
    let (place, text, weight) = match file {
        ServerFile::Address(text) => (place, text, None),
        ServerFile::Table(ServerTable { server, weight }) => {
            missing(context, place, "server", "a table of a server", "write `server = \"localhost:3000\"`");
            (place.key("server"), server.as_ref()?, *weight)
        }
    };
    let weight = weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1);
    upstream(context, place, text).map(|address| ServerSpec { address, weight })
}

/// Address of a server that Mainstay does not run.
pub fn upstream(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Option<UpstreamAddress> {
    match values::upstream(text, &context.root()) {
        Ok(address) => Some(address),
        Err(wrong) => {
            let what = if values::holds_password(text) { "this".into() } else { format!("{text:?}") };
            context.wrong("address::bad", format!("{what} is no server"), place, wrong);
            None
        }
    }
}

fn redirect(context: &mut Context<'_>, place: Place<'_>, file: &RedirectFile) -> Option<RedirectSpec> {
    let (target, place, table) = match file {
        RedirectFile::To(to) => (place, place, RedirectTable { to: Some(to.clone()), status: None }),
        RedirectFile::Table(table) => {
            missing(
                context,
                place,
                "to",
                "a table of `redirect`",
                "write `to = \"https://www.example.com{path}{query}\"`",
            );
            (place.key("to"), place, table.clone())
        }
    };
    let status = table.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(301);
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        let found = context.report.error("redirect::status", format!("{status} leads nowhere"));
        found.at(place.key("status").span(), "301, 302, 303, 307 or 308");
    }
    let to = table.to?;
    let absolute =
        to.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "http" | "https" | "{scheme}"));
    if !absolute && !to.starts_with(['/', '{']) {
        let found =
            context.report.error("redirect::target", format!("{to:?} is not where a client can be sent"));
        found.at(target.span(), "neither a URL nor a path").help(format!("write `https://{to}` or `/{to}`"));
    } else if to.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        let found =
            context.report.error("redirect::target", format!("{to:?} is not where a client can be sent"));
        found.at(target.span(), "spaces and other letters are written as `%20` and so on");
    }
    for name in to.split('{').skip(1) {
        let name = name.split_once('}').map_or(name, |(name, _)| name);
        if !PLACEHOLDERS.contains(&name) {
            let near = nearest(name, PLACEHOLDERS).map(|near| format!("did you mean `{{{near}}}`?"));
            let found =
                context.report.error("redirect::placeholder", format!("`{{{name}}}` stands for nothing"));
            found.at(target.span(), "unknown");
            found.help(
                near.unwrap_or_else(|| "there are `{scheme}`, `{host}`, `{path}` and `{query}`".into()),
            );
        }
    }
    Some(RedirectSpec { to, status })
}
