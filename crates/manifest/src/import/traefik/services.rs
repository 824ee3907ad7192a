//! Traefik's services → what answers a route, and keys of apps.

use super::node;
use super::routers::plain;
use super::settings::{Setting, Settings};
use crate::diagnostic::Report;
use crate::tree::{Node, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Who answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Apps with a port of their own and a weight each.
    Apps(Vec<Share>),
    /// Servers elsewhere: address and weight.
    Servers(Vec<(String, i64)>),
    /// The dashboard.
    Dashboard,
    /// The edge's figures.
    Metrics,
}

/// An app's part of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Name of the service of the project.
    pub app: String,
    /// Port, where it is not the app's own.
    pub port: Option<u16>,
    /// Beside the others.
    pub weight: i64,
}

/// All services.
pub struct Services<'a> {
    settings: &'a Settings,
    /// Names of Traefik's services, and whose labels they are.
    owners: BTreeMap<String, BTreeSet<String>>,
    /// Services of the project that may be reached.
    apps: &'a BTreeSet<String>,
    /// The port that an app has of its own: the first that a label names.
    ports: BTreeMap<String, u16>,
}

impl<'a> Services<'a> {
    /// Of these settings and apps.
    pub fn new(settings: &'a Settings, apps: &'a BTreeSet<String>) -> Self {
        let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut ports = BTreeMap::new();
        for (rest, setting) in settings.below("http.services") {
            let (name, key) = rest.split_once('.').unwrap_or((rest, ""));
            let known = owners.entry(name.to_owned()).or_default();
            let Some(owner) = &setting.owner else { continue };
            known.insert(owner.clone());
            if let ("loadbalancer.server.port", Ok(port)) = (key, setting.text().parse()) {
                ports.entry(owner.clone()).or_insert(port);
            }
        }
        Self { settings, owners, apps, ports }
    }

    /// An app of the project by its name.
    pub fn app(&self, name: &str) -> Option<Target> {
        let share = Share { app: name.to_owned(), port: None, weight: 1 };
        self.apps.contains(name).then(|| Target::Apps(vec![share]))
    }

    /// What answers for a router.
    pub fn target(
        &self,
        named: Option<&Setting>,
        owner: Option<&str>,
        router: &str,
        span: &Span,
        report: &mut Report,
    ) -> Option<Target> {
        let Some(named) = named else { return self.own(owner, router, span, report) };
        match &*plain(named.text()) {
            "api@internal" | "dashboard@internal" => return Some(Target::Dashboard),
            "prometheus@internal" => return Some(Target::Metrics),
            name if name.ends_with("@internal") => {
                let found = report.warning("traefik::service", format!("router `{router}` is left out"));
                found.at(named.span.clone(), "Mainstay has no such service of its own");
                return None;
            }
            name => {
                if let Some(target) = self.named(name, 0, &named.span, report) {
                    return Some(target);
                }
            }
        }
        let message = format!("router `{router}` names service `{}`, which there is not", named.text());
        let found = report.warning("traefik::service", message);
        found.at(named.span.clone(), "no such service: the router is left out");
        let known: Vec<&str> = self.owners.keys().map(String::as_str).collect();
        found.help(format!("services here: {}", known.join(", ")));
        None
    }

    /// A router without `service` has the only service of its container; where none is said, the container.
    fn own(&self, owner: Option<&str>, router: &str, span: &Span, report: &mut Report) -> Option<Target> {
        let Some(owner) = owner else {
            let found = report.warning("traefik::service", format!("router `{router}` names no service"));
            found.at(span.clone(), "left out");
            return None;
        };
        let mine: Vec<&str> = self
            .owners
            .iter()
            .filter(|(_, owners)| owners.contains(owner))
            .map(|(name, _)| name.as_str())
            .collect();
        match mine[..] {
            [] => Some(Target::Apps(vec![Share { app: owner.to_owned(), port: None, weight: 1 }])),
            [name] => self.named(name, 0, span, report),
            _ => {
                let message = format!("router `{router}` could go to several services: {}", mine.join(", "));
                let found = report.warning("traefik::service", message);
                found.at(span.clone(), "left out, as Traefik does");
                found.help(format!(
                    "write traefik.http.routers.{router}.service={}",
                    mine.first().unwrap_or(&"")
                ));
                None
            }
        }
    }

    fn named(&self, name: &str, depth: usize, span: &Span, report: &mut Report) -> Option<Target> {
        let owners = self.owners.get(name)?;
        let at = format!("http.services.{name}");
        if depth > 4 {
            let found = report.warning("traefik::service", format!("service `{name}` leads to itself"));
            found.at(span.clone(), "left out");
            return None;
        }
        let weighted = format!("{at}.weighted.services");
        let parts = self.settings.names(&weighted);
        if !parts.is_empty() {
            return self.weighted(&weighted, parts, depth, report);
        }
        for (key, what) in [
            ("mirroring", "requests are not copied to other services"),
            ("failover", "there is no second service behind a first"),
        ] {
            if let Some((_, setting)) = self.settings.take(&format!("{at}.{key}")).last() {
                let found =
                    report.warning("traefik::service", format!("`{}` is not taken over", setting.written));
                found.at(setting.span.clone(), what);
                let main = self.settings.get(&format!("{at}.{key}.service"))?.text().to_owned();
                return self.named(&plain(&main), depth + 1, span, report);
            }
        }
        if !owners.is_empty() {
            let shares = owners.iter().map(|owner| self.share(&at, owner)).collect();
            return Some(Target::Apps(shares));
        }
        self.listed(&at, report)
    }

    fn weighted(
        &self,
        at: &str,
        parts: BTreeMap<String, &Setting>,
        depth: usize,
        report: &mut Report,
    ) -> Option<Target> {
        let (mut shares, mut servers) = (Vec::new(), Vec::new());
        let span = parts.values().next().map_or(0..0, |first| first.span.clone());
        for (number, first) in parts {
            let get = |key: &str| self.settings.get(&format!("{at}.{number}.{key}"));
            let weight = get("weight").and_then(|own| own.text().parse().ok()).unwrap_or(1);
            let name = get("name").map_or("", Setting::text);
            match self.named(&plain(name), depth + 1, &first.span, report) {
                _ if weight < 1 => {}
                // All of a service share its weight.
                Some(Target::Apps(own)) => {
                    shares.extend(own.into_iter().map(|share| Share { weight, ..share }))
                }
                Some(Target::Servers(own)) => {
                    servers.extend(own.into_iter().map(|(server, _)| (server, weight)))
                }
                _ => {
                    let found = report.warning("traefik::service", format!("there is no service `{name}`"));
                    found.at(first.span.clone(), "left out");
                }
            }
        }
        match (shares.is_empty(), servers.is_empty()) {
            (false, true) => Some(Target::Apps(shares)),
            (true, false) => Some(Target::Servers(servers)),
            (true, true) => None,
            (false, false) => {
                let found = report.warning("traefik::service", "a service of apps and of servers elsewhere");
                found.at(span, "only the apps are asked");
                Some(Target::Apps(shares))
            }
        }
    }

    /// What the labels of an app say of it as a part of a service.
    fn share(&self, at: &str, owner: &str) -> Share {
        let port = self.of(at, owner, "server.port").and_then(|own| own.text().parse().ok());
        let weight = self.of(at, owner, "server.weight").and_then(|own| own.text().parse().ok());
        Share {
            app: owner.to_owned(),
            port: port.filter(|port| self.ports.get(owner) != Some(port)),
            weight: weight.filter(|weight| *weight > 0).unwrap_or(1),
        }
    }

    /// A label of an app about its service; where several apps are one service, each has its own.
    fn of(&self, at: &'a str, owner: &str, key: &str) -> Option<&Setting> {
        self.settings
            .take(at)
            .find(|(rest, setting)| {
                rest.strip_prefix("loadbalancer.") == Some(key) && setting.owner.as_deref() == Some(owner)
            })
            .map(|(_, setting)| setting)
    }

    /// Servers of a file: a single one that is a service of the project is its app.
    fn listed(&self, at: &str, report: &mut Report) -> Option<Target> {
        let servers_at = format!("{at}.loadbalancer.servers");
        let mut servers = Vec::new();
        for (number, first) in self.settings.names(&servers_at) {
            let get = |key: &str| self.settings.get(&format!("{servers_at}.{number}.{key}"));
            let url = get("url").map_or("", Setting::text).trim_end_matches('/').to_owned();
            let weight = get("weight").and_then(|own| own.text().parse().ok()).unwrap_or(1);
            if url.starts_with("https://") {
                let found = report.warning("traefik::server", format!("{url} is left out"));
                found.at(first.span.clone(), "encrypted servers are not supported");
                continue;
            }
            servers.push((url, weight));
        }
        if let [(url, _)] = &servers[..] {
            let (name, port) = address(url);
            if self.apps.contains(name) {
                let port = port.filter(|port| self.ports.get(name) != Some(port));
                return Some(Target::Apps(vec![Share { app: name.to_owned(), port, weight: 1 }]));
            }
        }
        (!servers.is_empty()).then_some(Target::Servers(servers))
    }

    /// Keys of the manifest that the apps get.
    pub fn app_keys(&self, report: &mut Report) -> BTreeMap<String, Vec<(String, Node)>> {
        let mut apps: BTreeMap<String, Vec<(String, Node)>> = BTreeMap::new();
        for (name, owners) in &self.owners {
            for owner in owners {
                let keys = apps.entry(owner.clone()).or_default();
                self.keys(&format!("http.services.{name}"), name, owner, keys, report);
            }
        }
        apps
    }

    fn keys(&self, at: &str, name: &str, owner: &str, keys: &mut Vec<(String, Node)>, report: &mut Report) {
        let get = |key: &str| self.of(at, owner, key);
        let mut put = |key: &str, node: Node| {
            if !keys.iter().any(|(known, _)| known == key) {
                let span = node.span.clone();
                keys.push((key.to_owned(), node.keyed(Some(span))));
            }
        };
        let Some((_, first)) = self.settings.below(at).find(|(_, own)| own.owner.as_deref() == Some(owner))
        else {
            return;
        };
        put("balance", node::text("round-robin", &first.span));
        if let Some(own) = get("server.port") {
            match own.text().parse::<u16>() {
                Ok(port) => put("port", node::number(port, &own.span)),
                Err(_) => {
                    let found = report.error("traefik::port", format!("{:?} is no port", own.text()));
                    found.at(own.span.clone(), "a number from 1 to 65535");
                }
            }
        }
        match get("server.scheme").map(|own| (own.text().to_ascii_lowercase(), own)) {
            Some((scheme, own)) if scheme == "h2c" => put("http2", node::flag(true, &own.span)),
            Some((scheme, own)) if scheme == "https" => {
                let found =
                    report.warning("traefik::server", format!("service `{name}` speaks HTTPS itself"));
                found
                    .at(own.span.clone(), "encrypted servers are not supported: it is asked over plain HTTP");
            }
            _ => {}
        }
        if let Some(own) =
            get("sticky.cookie.name").or_else(|| get("sticky.cookie")).or_else(|| get("sticky"))
        {
            let name = if own.key.ends_with(".name") { own.text().to_owned() } else { format!("_{name}") };
            put("sticky", node::table(vec![("cookie", node::text(name, &own.span))], &own.span));
        }
        if let Some(own) = get("healthcheck.path") {
            let mut entries = vec![("path", node::text(own.text(), &own.span))];
            for key in ["interval", "timeout"] {
                let label =
                    get(if key == "interval" { "healthcheck.interval" } else { "healthcheck.timeout" });
                let default = if key == "interval" { "30s" } else { "5s" };
                let (text, span) = label.map_or((default, &own.span), |own| (own.text(), &own.span));
                // A bare number is a number of seconds.
                let text = if text.bytes().all(|byte| byte.is_ascii_digit()) {
                    format!("{text}s")
                } else {
                    text.to_owned()
                };
                entries.push((key, node::text(text, span)));
            }
            entries.push(("retries", node::number(1, &own.span)));
            put("health", node::table(entries, &own.span));
        }
        self.unknown(at, owner, report);
    }

    /// Labels of a service that Mainstay cannot honour.
    fn unknown(&self, at: &str, owner: &str, report: &mut Report) {
        const KNOWN: [&str; 9] = [
            "server.port",
            "server.scheme",
            "server.weight",
            "sticky",
            "sticky.cookie",
            "sticky.cookie.name",
            "healthcheck.path",
            "healthcheck.interval",
            "healthcheck.timeout",
        ];
        let mine = self.settings.take(at).filter(|(_, own)| own.owner.as_deref() == Some(owner));
        for (rest, setting) in mine {
            let key = rest.strip_prefix("loadbalancer.").unwrap_or(rest);
            let what = match key {
                key if KNOWN.contains(&key) => continue,
                "passhostheader" if setting.flag() => continue,
                "passhostheader" => "instances are always told the host that was asked for",
                "sticky.cookie.secure"
                | "sticky.cookie.httponly"
                | "sticky.cookie.samesite"
                | "sticky.cookie.maxage"
                | "sticky.cookie.path" => "the cookie is HttpOnly, SameSite=Lax, and Secure over HTTPS",
                "responseforwarding.flushinterval" => "every piece of an answer is passed on at once",
                "serverstransport" => "connections to services are made as Mainstay makes them",
                "healthcheck.port" | "healthcheck.scheme" | "healthcheck.hostname" | "healthcheck.method" => {
                    "health is asked by GET where requests go"
                }
                key if key.starts_with("healthcheck.") => "health is 2xx or 3xx by GET",
                key if key.starts_with("servers.") || key.starts_with("weighted.") => continue,
                _ => "means nothing to Mainstay",
            };
            let found =
                report.warning("traefik::service", format!("`{}` is not taken over", setting.written));
            found.at(setting.span.clone(), what);
        }
    }
}

/// Name and port of `http://name:port/…`.
pub fn address(url: &str) -> (&str, Option<u16>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (authority, None),
    }
}
