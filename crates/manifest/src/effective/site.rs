//! Sites, their routes, and what answers those.

use super::{acme, duration, hold, inline, list, path, policy, size, text, traffic};
use crate::condition;
use model::site::{Balance, PairSpec, StaticSpec, TlsSpec};
use model::spec::{HandlerSpec, HealthSpec, Probe, ProxySpec, RouteSpec, ServerSpec, ShareSpec, SiteSpec};
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, Value, value};

/// `[[site]]`.
pub fn site(site: &SiteSpec, stack: &str) -> Table {
    let mut table = Table::new();
    table["hosts"] = value(list(site.hosts.iter().cloned()));
    if !site.listen.is_empty() {
        table["listen"] = value(list(site.listen.iter().map(ToString::to_string)));
    }
    table["tls"] = match &site.tls {
        TlsSpec::Off => value(false),
        TlsSpec::Local => value("local"),
        TlsSpec::Files { cert, key } => inline([("cert", path(cert).into()), ("key", path(key).into())]),
        TlsSpec::Acme(own) => acme::tls(own),
    };
    if let Some(own) = &site.client_certs {
        table["client_certs"] =
            inline([("roots", path(&own.roots).into()), ("required", own.required.into())]);
    }
    table["https_redirect"] = value(site.https_redirect);
    if site.while_running {
        table["while_running"] = value(true);
    }
    let routes: ArrayOfTables = site.routes.iter().map(|own| route(own, site, stack)).collect();
    if !routes.is_empty() {
        table["route"] = Item::ArrayOfTables(routes);
    }
    table
}

/// `[[certificate]]`.
pub fn pair(own: &PairSpec) -> Table {
    let mut table = Table::new();
    table["cert"] = value(path(&own.cert));
    table["key"] = value(path(&own.key));
    table
}

fn route(route: &RouteSpec, site: &SiteSpec, stack: &str) -> Table {
    let mut table = Table::new();
    if let Some(name) = &route.name {
        table["name"] = value(text(name));
    }
    table["path"] = value(text(&route.path));
    if let Some(when) = &route.when {
        table["when"] = value(text(&condition::text(when)));
    }
    match &route.handler {
        HandlerSpec::App(name) => table["app"] = value(name.as_str()),
        HandlerSpec::Port(name, port) => {
            table["app"] = value(name.as_str());
            table["port"] = value(i64::from(*port));
        }
        HandlerSpec::Proxy(spec) => table["proxy"] = proxy(spec),
        HandlerSpec::Static(spec) => table["static"] = files(spec),
        HandlerSpec::Redirect(spec) => {
            let status = i64::from(spec.status);
            table["redirect"] = inline([("to", text(&spec.to).into()), ("status", status.into())]);
        }
        HandlerSpec::Metrics => table["metrics"] = value(true),
        HandlerSpec::Dashboard => table["dashboard"] = value(true),
        HandlerSpec::Apps(shares) => {
            let share = |own: &ShareSpec| -> Value {
                let port = own.port.map(|port| ("port", i64::from(port).into()));
                let ends = [("app", own.app.as_str().into()), ("weight", i64::from(own.weight).into())];
                super::inline_table(ends.into_iter().chain(port)).into()
            };
            table["apps"] = value(shares.iter().map(share).collect::<Array>());
        }
    }
    if let Some(own) = &route.hold {
        table["hold"] = hold::hold(own);
    }
    table["timeout"] = inline([
        ("connect", duration(route.timeouts.connect).into()),
        ("send", duration(route.timeouts.send).into()),
        ("read", duration(route.timeouts.read).into()),
    ]);
    table["body"] = value(size(route.body_limit));
    policy::write(&mut table, &route.policy, stack, &site.hosts, &site.tls);
    table
}

/// Name of a way to spread requests.
pub fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::LeastRequests => "least-requests",
        Balance::RoundRobin => "round-robin",
    }
}

fn proxy(spec: &ProxySpec) -> Item {
    let weighted = spec.balance == Balance::RoundRobin;
    let server = |server: &ServerSpec| -> Value {
        let address = text(&server.address.to_string());
        if !weighted {
            return address.into();
        }
        super::inline_table([("server", address.into()), ("weight", i64::from(server.weight).into())]).into()
    };
    let servers: Array = spec.servers.iter().map(server).collect();
    let health = spec.health.as_ref().map(|own| ("health", Value::from(health(own, true))));
    inline(
        [
            ("servers", servers.into()),
            ("balance", balance(spec.balance).into()),
            ("http2", spec.http2.into()),
        ]
        .into_iter()
        .chain(traffic::entries(&spec.traffic))
        .chain(health),
    )
}

/// `health`; `listens`: there would be somebody to connect to.
pub fn health(health: &HealthSpec, listens: bool) -> InlineTable {
    let probe = match &health.probe {
        Probe::Http(path) | Probe::Http2(path) => Some(("path", text(path).into())),
        Probe::Connect => Some(("tcp", true.into())),
        Probe::Command(argv) => Some(("command", super::words(argv).into())),
        Probe::Alive => listens.then(|| ("tcp", false.into())),
    };
    super::inline_table(probe.into_iter().chain([
        ("interval", duration(health.interval).into()),
        ("timeout", duration(health.timeout).into()),
        ("retries", i64::from(health.retries).into()),
        ("start_period", duration(health.start_period).into()),
    ]))
}

fn files(spec: &StaticSpec) -> Item {
    let texts = |list: &[String]| Value::from(super::list(list.iter().map(|own| text(own))));
    let mut table = super::inline_table([
        ("root", path(&spec.root).into()),
        ("index", texts(&spec.index)),
        ("spa", spec.spa.as_ref().map_or(false.into(), |file| text(file).into())),
        ("clean_urls", spec.clean_urls.into()),
    ]);
    if let Some(slash) = spec.trailing_slash {
        table.insert("trailing_slash", slash.into());
    }
    if let Some(page) = &spec.not_found {
        table.insert("not_found", text(page).into());
    }
    table.insert("listing", spec.listing.into());
    table.insert("deny", texts(&spec.deny));
    table.insert("allow", texts(&spec.allow));
    let cache: InlineTable =
        spec.cache.iter().map(|rule| (rule.pattern.as_str(), text(&rule.value))).collect();
    table.insert("cache", cache.into());
    table.insert("compress", policy::codings(&spec.codings).into());
    table.insert("inert", spec.inert.into());
    value(table)
}
