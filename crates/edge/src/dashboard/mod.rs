//! What is routed where, and how it is: a page for people, JSON for programs. Made from the table at the moment of asking, only of the stack whose
//! route asks.
//!
//! | path ends with | answer |
//! |---|---|
//! | `/api/rawdata`, or JSON is wanted | everything |
//! | `/api/http/routers`, `/api/http/services`, `/api/http/middlewares` | that list |
//! | anything else | the page |

mod page;
mod policies;

use crate::answer::{Answer, answer, refuse};
use crate::connection::{Client, Next};
use crate::error_page::Refusal;
use crate::hold::lines::stats_of;
use crate::record::Record;
use crate::table::{Handler, Route, SiteEntry, Table};
use crate::upstream::Upstream;
use http1::Method;
use model::observed::Address;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::snapshot::UpstreamState;

/// Of a route, what only the dashboard needs.
#[derive(Debug, Default)]
pub struct Shown {
    /// What people call it.
    name: Option<Box<str>>,
    /// When it answers, as the manifest has it.
    when: Option<Box<str>>,
    /// What is done beside its handler, a word or two each.
    policies: Box<[Box<str>]>,
    /// Where it leads, if that is no upstream.
    leads: Box<str>,
}

impl Shown {
    /// Of a route of a snapshot.
    pub fn new(route: &wire::snapshot::Route) -> Self {
        let leads = match &route.handler {
            wire::snapshot::Handler::Static(files) => format!("files of {}", files.root.display()),
            wire::snapshot::Handler::Redirect(to) => format!("{} to {}", to.status, to.to),
            wire::snapshot::Handler::Metrics => "metrics".to_owned(),
            wire::snapshot::Handler::Dashboard => "dashboard".to_owned(),
            wire::snapshot::Handler::Proxy { .. } => String::new(),
        };
        let when = route.when.as_ref().map(|when| when.to_string().into());
        let name = route.name.as_deref().map(Into::into);
        Self { name, when, policies: policies::names(&route.policy).into(), leads: leads.into() }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The page.
    Page,
    /// Everything as JSON.
    All,
    /// One list of it.
    List(&'static str),
}

impl Wanted {
    /// By the path and by what the client wants to read.
    pub fn of(path: &[u8], json: bool) -> Self {
        let list = ["routers", "services", "middlewares"].into_iter();
        let mut lists = list.filter(|name| path.ends_with(format!("/api/http/{name}").as_bytes()));
        match lists.next() {
            Some(name) => Self::List(name),
            None if json || path.ends_with(b"/api/rawdata") => Self::All,
            None => Self::Page,
        }
    }
}

/// Answers with it. `close`: a body is still to come, which nobody will read.
pub async fn run(client: &mut Client, record: &mut Record, wanted: Wanted, close: bool) -> Next {
    if !matches!(record.facts.method, Method::Get | Method::Head) {
        let refusal = Refusal { close, ..Refusal::method("GET, HEAD", "the dashboard can only be read") };
        return refuse(client, record, &refusal, false).await;
    }
    let table = client.worker.table();
    let stack = record.route.as_ref().map(|route| Arc::clone(&route.stack)).unwrap_or_default();
    let all = everything(&table, &stack);
    let (kind, body) = match wanted {
        Wanted::Page => ("text/html; charset=utf-8", page::page(&all)),
        Wanted::All => ("application/json", all.to_string()),
        Wanted::List(name) => ("application/json", all.get(name).unwrap_or(&Value::Null).to_string()),
    };
    let lines = format!(
        "Content-Type: {kind}\r\nCache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n"
    );
    let made = Answer { status: 200, lines: lines.as_bytes(), body: body.as_bytes(), close, fixed: b"" };
    answer(client, record, made).await
}

/// Routers, services and middlewares of a stack.
fn everything(table: &Table, stack: &str) -> Value {
    let mine: Vec<&SiteEntry> = table.sites.iter().filter(|entry| &*entry.site.stack == stack).collect();
    let mut middlewares: BTreeMap<&str, u64> = BTreeMap::new();
    let mut routers = Vec::new();
    for entry in &mine {
        for (place, route) in entry.site.routes.iter().enumerate() {
            route.shown.policies.iter().for_each(|name| *middlewares.entry(name).or_default() += 1);
            let upstream = entry.upstreams.get(place).and_then(Option::as_ref);
            routers.push(router(entry, place, route, upstream));
        }
    }
    let prefix = format!("{stack}/");
    let mut services: Vec<&Arc<Upstream>> =
        table.upstreams.iter().filter(|upstream| upstream.id.starts_with(&prefix)).collect();
    services.sort_by(|one, other| one.id.cmp(&other.id));
    let middlewares =
        middlewares.into_iter().map(|(name, routes)| json!({ "name": name, "routers": routes }));
    json!({
        "stack": stack,
        "revision": table.revision,
        "routers": routers,
        "services": services.into_iter().map(|upstream| service(upstream)).collect::<Vec<_>>(),
        "middlewares": middlewares.collect::<Vec<_>>(),
    })
}

fn router(entry: &SiteEntry, place: usize, route: &Route, upstream: Option<&Arc<Upstream>>) -> Value {
    let service = match &route.handler {
        Handler::Proxy(id) => id.to_string(),
        _ => route.shown.leads.to_string(),
    };
    let status = upstream.map_or("ready", |upstream| status(upstream));
    json!({
        "name": route.shown.name,
        "hosts": &entry.site.hosts,
        "entrypoints": entry.site.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "order": place + 1,
        "path": &route.path,
        "when": route.shown.when,
        "service": service,
        "middlewares": route.shown.policies,
        "status": status,
    })
}

fn service(upstream: &Upstream) -> Value {
    let stats = stats_of(upstream);
    let servers = upstream.instances.iter().map(|instance| {
        let own = instance.stats();
        let address = match &instance.address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        let status = if own.left_alone { "left alone" } else { "up" };
        json!({
            "name": own.instance, "address": address, "status": status, "in_flight": own.in_flight,
            "requests": own.requests, "failures": own.failures, "p50_us": own.p50_us, "p99_us": own.p99_us,
        })
    });
    let aside = upstream.aside.iter().map(|own| json!({ "name": own.instance, "status": word(own.state) }));
    json!({
        "name": &upstream.id,
        "status": status(upstream),
        "waiting": stats.waiting,
        "requests": stats.requests,
        "held": stats.held,
        "overflowed": stats.overflowed,
        "retried": stats.retried,
        "servers": servers.chain(aside).collect::<Vec<_>>(),
    })
}

/// In a word.
fn status(upstream: &Upstream) -> &'static str {
    word(upstream.state)
}

fn word(state: UpstreamState) -> &'static str {
    match state {
        UpstreamState::Ready => "ready",
        UpstreamState::Starting => "starting",
        UpstreamState::Restarting => "restarting",
        UpstreamState::Asleep => "asleep",
        UpstreamState::Unhealthy => "unhealthy",
        UpstreamState::Down => "down",
    }
}
