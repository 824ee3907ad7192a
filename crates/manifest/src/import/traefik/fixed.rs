//! What of Traefik's configuration is fixed while it runs: entry points, providers, its dashboard.

use super::settings::Settings;
use super::words::Listen;
use crate::diagnostic::Report;
use crate::tree::Span;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// Everything fixed.
#[derive(Debug)]
pub struct Fixed {
    /// Entry points in the order of their names.
    pub doors: Vec<Door>,
    /// A service needs no `traefik.enable=true`.
    pub exposed_by_default: bool,
    /// The network over which services are reached, if it is said.
    pub network: Option<(String, Span)>,
    /// The rule of a router without one.
    pub default_rule: Option<String>,
    /// Where the dashboard stands without a router of its own.
    pub dashboard: Option<(SocketAddr, Span)>,
    /// Whether there is HTTPS at all, where a variable says.
    pub https: Option<bool>,
}

/// An entry point.
#[derive(Debug, Clone)]
pub struct Door {
    /// Its name, lower case.
    pub name: String,
    /// Where it is reached from outside; none: nowhere.
    pub listen: Option<Listen>,
    /// Datagrams.
    pub udp: bool,
    /// It speaks TLS by its own setting, its name or its port.
    pub tls: bool,
    /// The resolver of certificates that its routers have if they name none.
    pub resolver: Option<(String, Span)>,
    /// All its requests are led to this one.
    pub redirect: Option<String>,
    /// Every router of it has these first.
    pub middlewares: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// Ports of the host by port (and `udp`) of Traefik's container; none: it has the host's own.
pub type Published = Option<BTreeMap<(u16, bool), Listen>>;

/// Reads it. `is_there`: Traefik itself is among the services.
pub fn read(
    settings: &Settings,
    published: &Published,
    is_there: bool,
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Fixed {
    let https = https(variables);
    let mut doors = doors(settings, published, report);
    if !is_there && doors.is_empty() {
        // Traefik runs elsewhere: these are the names that everybody gives its entry points.
        for (name, port) in [("web", 80), ("websecure", 443)] {
            let listen = Some(Listen { address: None, port });
            let (tls, redirect) = (port == 443, None);
            doors.push(Door {
                name: name.into(),
                listen,
                udp: false,
                tls,
                resolver: None,
                redirect,
                middlewares: vec![],
                span: 0..0,
            });
        }
    }
    let exposed = ["docker", "swarm", "podman"].iter().find_map(|provider| {
        settings.read(&format!("providers.{provider}"));
        settings.get(&format!("providers.{provider}.exposedbydefault"))
    });
    let network = settings.get("providers.docker.network");
    let default_rule = settings.get("providers.docker.defaultrule").map(|own| own.text().to_owned());
    let dashboard = dashboard(settings, published, switch("TRAEFIK_DASHBOARD_ENABLED", variables), report);
    ignored(settings, report);
    Fixed {
        doors,
        exposed_by_default: exposed.is_none_or(|own| own.flag()),
        network: network.map(|own| (own.text().to_owned(), own.span.clone())),
        default_rule,
        dashboard,
        https,
    }
}

/// Whether there is HTTPS at all, where a variable says.
pub fn https(variables: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
    switch("TRAEFIK_HTTPS_ENABLED", variables)
}

fn switch(name: &str, variables: &dyn Fn(&str) -> Option<String>) -> Option<bool> {
    variables(name).map(|text| !matches!(&*text, "false" | "0" | ""))
}

fn doors(settings: &Settings, published: &Published, report: &mut Report) -> Vec<Door> {
    let mut doors = Vec::new();
    for (name, first) in settings.names("entrypoints") {
        let at = format!("entrypoints.{name}");
        let get = |key: &str| settings.get(&format!("{at}.{key}"));
        let span = get("address").map_or(first.span.clone(), |own| own.span.clone());
        let address = get("address").map_or("", |own| own.text());
        let (address, udp) = match address.rsplit_once('/') {
            Some((address, kind)) => (address, kind.eq_ignore_ascii_case("udp")),
            None => (address, false),
        };
        let (ip, port) = address.rsplit_once(':').unwrap_or(("", address));
        let Ok(port) = port.parse::<u16>() else {
            let found = report.warning("traefik::entry_point", format!("entry point `{name}` has no port"));
            found.at(span, "not used").help("write `:80` or `127.0.0.1:80`");
            continue;
        };
        let address = ip.trim_matches(['[', ']']).parse().ok();
        let listen = match published {
            None => Some(Listen { address, port }),
            Some(ports) => ports.get(&(port, udp)).copied(),
        };
        let redirect = get("http.redirections.entrypoint.to").map(|own| own.text().to_ascii_lowercase());
        let same = ["scheme", "permanent", "priority"];
        for key in same {
            get(&format!("http.redirections.entrypoint.{key}"));
        }
        let resolver =
            get("http.tls.certresolver").map(|own| (own.text().to_ascii_lowercase(), own.span.clone()));
        let tls = settings.take(&format!("{at}.http.tls")).count() > 0
            || get("http.tls").is_some_and(|own| own.flag());
        let tls = tls || port == 443 || name == "websecure";
        let middlewares =
            get("http.middlewares").map(|own| own.list().iter().map(|name| (*name).to_owned()).collect());
        for (key, setting) in settings
            .take(&format!("{at}.forwardedheaders"))
            .chain(settings.take(&format!("{at}.proxyprotocol")))
        {
            let found = report
                .warning("traefik::trusted", format!("`{key}` of entry point `{name}` is not taken over"));
            found.at(setting.span.clone(), "nobody's forwarded headers are believed");
            found.help("list the proxies that stand before Mainstay in `trusted` of a `mainstay.toml`");
        }
        for own in
            ["transport", "http2", "http3", "observability", "asdefault", "allowacmebypass", "reuseport"]
        {
            settings.take(&format!("{at}.{own}")).for_each(drop);
            get(own);
        }
        doors.push(Door {
            name,
            listen,
            udp,
            tls,
            resolver,
            redirect,
            middlewares: middlewares.unwrap_or_default(),
            span,
        });
    }
    // A redirection may name a port instead of an entry point.
    let by_port: BTreeMap<String, String> = doors
        .iter()
        .filter_map(|door| Some((format!(":{}", door.listen?.port), door.name.clone())))
        .collect();
    for door in &mut doors {
        door.redirect = door.redirect.take().map(|to| by_port.get(&to).cloned().unwrap_or(to));
    }
    doors
}

/// Where the dashboard is reached without a router: on this machine only.
fn dashboard(
    settings: &Settings,
    published: &Published,
    wanted: Option<bool>,
    report: &mut Report,
) -> Option<(SocketAddr, Span)> {
    let insecure = settings.get("api.insecure");
    let shown = settings.get("api.dashboard");
    settings.get("api");
    settings.take("api").for_each(drop);
    let insecure = insecure.filter(|own| own.flag())?;
    if shown.is_some_and(|own| !own.flag()) {
        return None;
    }
    if wanted == Some(false) {
        let found = report.warning("traefik::dashboard", "the dashboard is off, whatever the file says");
        found.at(insecure.span.clone(), "contradicts TRAEFIK_DASHBOARD_ENABLED=false, which wins");
        return None;
    }
    let outside = match published {
        None => Some(8080),
        Some(ports) => ports.get(&(8080, false)).map(|own| own.port),
    };
    let port = outside.unwrap_or(8080);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let found =
        report.warning("traefik::dashboard", format!("the dashboard is at {address}, for this machine only"));
    found.at(insecure.span.clone(), "asks for it unprotected");
    found.help("to reach it from elsewhere give it a router with service `api@internal` and a password");
    Some((address, insecure.span.clone()))
}

/// Sections that Mainstay does in its own way, and which.
const OWN_WAY: [(&str, &str); 11] = [
    ("log", "Mainstay's own logs: `mainstay logs`"),
    ("accesslog", "every request is in the access log"),
    ("global", "Mainstay sends nothing to anybody"),
    ("ping", "`mainstay status` says how the front door is"),
    ("providers", "services are found in this file, and nowhere else"),
    ("metrics", "`metrics = true` of a route answers with the figures"),
    ("tracing", "a request's `traceparent` is passed on; nothing is sent to a collector"),
    ("experimental", "there are no plugins"),
    ("serverstransport", "connections to services are made as Mainstay makes them"),
    ("core", "rules of version 2 and of version 3 are read"),
    ("configfile", "the file is read where it lies"),
];

fn ignored(settings: &Settings, report: &mut Report) {
    for (key, way) in OWN_WAY {
        let own = settings.get(key);
        let first = own.or_else(|| settings.below(key).next().map(|(_, first)| first));
        // What of the providers means something was asked for already.
        let known = ["providers.docker", "providers.docker.exposedbydefault", "providers.docker.network"];
        if let Some(first) = first.filter(|first| !known.contains(&&*first.key)) {
            let found = report.info("traefik::own_way", format!("`{}` is not taken over", first.written));
            found.at(first.span.clone(), way);
        }
        settings.take(key).for_each(drop);
    }
}
