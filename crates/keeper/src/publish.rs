//! The edge's snapshot, made from the stacks and what is observed. Pure.

mod derived;

use crate::certificates::Certificates;
use crate::keeper::Facts;
use crate::log_folder;
use crate::merge;
use crate::resolve::{self, Found};
use crate::servers::{self, Servers};
use crate::stack::{Revision, Stack, in_rotation};
use derived::{forward, port_id, port_of, shares, shares_id};
use model::observed::{Address, Observed, Phase};
use model::plan::{Desired, Serving, serving};
use model::policy::PolicySpec;
use model::site::{DoorSpec, TlsSpec};
use model::spec::{HandlerSpec, HealthSpec, ProxySpec, RouteSpec, SiteSpec, UpstreamAddress};
use model::{AppId, AppName, InstanceId, StackName};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wire::snapshot::{
    Aside, Ban, Certificate, ClientCerts, Endpoint, Handler, Route, Site, Snapshot, StickyKey, TicketKey,
    Upstream, UpstreamState,
};

/// Everything a snapshot is made from.
pub(crate) struct Sources<'a> {
    pub(crate) stacks: &'a BTreeMap<StackName, Stack>,
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) facts: &'a HashMap<InstanceId, Facts>,
    pub(crate) found: &'a Found,
    pub(crate) certificates: &'a Certificates,
    pub(crate) ticket_keys: &'a [TicketKey],
    pub(crate) sticky_key: &'a StickyKey,
    pub(crate) bans: &'a [Ban],
    pub(crate) servers: &'a Servers,
}

/// What a revision alone decides: made once, for it may be much and the loop asks for it each time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    sites: OnceLock<Arc<[Site]>>,
    servers: OnceLock<Arc<BTreeMap<String, ProxySpec>>>,
}

/// A snapshot without its revision; sites and certificates, which may be many, apart.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) rest: Snapshot,
    sites: Vec<Arc<[Site]>>,
    pub(crate) certificates: Arc<[Certificate]>,
}

impl Parts {
    /// As one piece, but for the certificates.
    pub(crate) fn whole(&self) -> Snapshot {
        let sites = self.sites.iter().flat_map(|sites| sites.iter()).cloned().collect();
        Snapshot { sites, ..self.rest.clone() }
    }

    /// Whether it says the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<[Site]>, &Arc<[Site]>)| Arc::ptr_eq(one, other) || one == other;
        let (one, two) = (&self.certificates, &other.certificates);
        self.rest == other.rest
            && (Arc::ptr_eq(one, two) || one == two)
            && self.sites.len() == other.sites.len()
            && self.sites.iter().zip(&other.sites).all(same)
    }
}

/// The sites of a revision.
fn sites(revision: &Revision) -> &Arc<[Site]> {
    let make = || revision.spec.sites.iter().map(|spec| site(revision, spec)).collect();
    revision.made.sites.get_or_init(make)
}

/// The same, without the routes of `while_running` sites whose apps an administrator stopped.
fn running_sites(stack: &Stack, active: &Revision) -> Arc<[Site]> {
    let all = sites(active);
    let hides =
        |spec: &SiteSpec| spec.while_running && spec.routes.iter().any(|route| is_stopped(stack, route));
    if stack.stopped.is_empty() || !active.spec.sites.iter().any(hides) {
        return Arc::clone(all);
    }
    let shown = active.spec.sites.iter().zip(all.iter()).map(|(spec, made)| {
        if !hides(spec) {
            return made.clone();
        }
        let routes = spec.routes.iter().filter(|route| !is_stopped(stack, route)).cloned().collect();
        site(active, &SiteSpec { routes, ..spec.clone() })
    });
    shown.collect()
}

/// The same with what is known of certificates now: whom clients' have to be signed by; and that plain HTTP leads nobody to an HTTPS
/// that cannot answer, because the certificate was never there. Where clients show certificates it does all the same: without, nobody
/// gets in.
fn secured(certificates: &Certificates, active: &Revision, sites: Arc<[Site]>) -> Arc<[Site]> {
    let stack = active.spec.name.as_str();
    let is_missing = |host: &String| certificates.is_missing(stack, host);
    let is_open = |spec: &SiteSpec| {
        matches!(spec.tls, TlsSpec::Acme(_))
            && spec.client_certs.is_none()
            && spec.hosts.iter().any(is_missing)
    };
    if active.spec.sites.iter().all(|spec| spec.client_certs.is_none() && !is_open(spec)) {
        return sites;
    }
    let mut made = Vec::with_capacity(sites.len());
    for (spec, site) in active.spec.sites.iter().zip(sites.iter()) {
        let mut site = site.clone();
        if let Some(own) = &spec.client_certs {
            let roots = certificates.client_roots(&own.roots).to_owned();
            site.hash = model::id::fnv1a(format!("{} {} {roots}", site.hash, own.required).as_bytes());
            site.client_certs = Some(ClientCerts { roots, required: own.required });
        }
        if site.https_redirect && is_open(spec) {
            let (open, hosts): (Vec<String>, Vec<String>) = site.hosts.iter().cloned().partition(is_missing);
            let hash = |part: &str| model::id::fnv1a(format!("{} {part} {open:?}", site.hash).as_bytes());
            let plain =
                Site { hash: hash("open"), hosts: open.clone(), https_redirect: false, ..site.clone() };
            site = Site { hash: hash("led"), hosts, ..site };
            made.push(plain);
        }
        if !site.hosts.is_empty() {
            made.push(site);
        }
    }
    made.into()
}

/// All apps that answer a route were stopped by an administrator.
fn is_stopped(stack: &Stack, route: &RouteSpec) -> bool {
    match &route.handler {
        HandlerSpec::App(name) | HandlerSpec::Port(name, _) => stack.stopped.contains(name),
        HandlerSpec::Apps(shares) => shares.iter().all(|share| stack.stopped.contains(&share.app)),
        _ => false,
    }
}

/// The foreign servers of a revision, by the id of their upstream.
pub(crate) fn foreign(revision: &Revision) -> &BTreeMap<String, ProxySpec> {
    let name = &revision.spec.name;
    let named = |proxy: Cow<'_, ProxySpec>| (server_id(name, &proxy), proxy.into_owned());
    revision.made.servers.get_or_init(|| Arc::new(resolve::proxies(&revision.spec).map(named).collect()))
}

/// The snapshot, without its revision.
pub(crate) fn parts(sources: &Sources<'_>) -> Parts {
    let mut snapshot = Snapshot { version: wire::VERSION, ..Snapshot::default() };
    let mut all_sites = Vec::new();
    let served = sources.stacks.values().filter(|stack| !stack.removing);
    let served = served.filter_map(|stack| Some((stack, stack.active.as_ref()?)));
    for (stack, active) in served.clone() {
        snapshot.trusted.extend(&active.spec.trusted);
        all_sites.push(secured(sources.certificates, active, running_sites(stack, active)));
        snapshot.logs.insert(stack.name.to_string(), log_folder::place(&active.spec.logs));
        let apps = active.apps().map(|(name, _)| app(sources, stack.app_id(name)));
        snapshot.upstreams.extend(apps);
        let ports = active.ports().into_iter();
        snapshot.upstreams.extend(ports.map(|(name, port)| port_of(app(sources, stack.app_id(name)), port)));
        let shared = active.shares().into_iter();
        snapshot.upstreams.extend(shared.map(|own| shares(sources, stack, own)));
        snapshot.forwards.extend(active.spec.forwards.iter().map(|spec| forward(&stack.name, spec)));
        let foreign = foreign(active).iter();
        snapshot.upstreams.extend(foreign.map(|(id, proxy)| servers(sources, id.clone(), proxy)));
        for door in doors(active) {
            // Two stacks may listen on the same address: all that one of them has not kept to itself.
            match snapshot.doors.iter_mut().find(|known| known.address == door.address) {
                Some(known) => known.own &= door.own,
                None => snapshot.doors.push(door),
            }
        }
    }
    snapshot.bans = sources.bans.to_vec();
    snapshot.sticky_key = sources.sticky_key.clone();
    snapshot.edge = merge::edge_spec(served.map(|(_, active)| &active.spec.edge));
    snapshot.http_challenges = sources.certificates.http_challenges();
    snapshot.on_demand = sources.certificates.is_on_demand();
    snapshot.alpn_challenges = sources.certificates.alpn_challenges();
    let certificates = Arc::clone(sources.certificates.published());
    if !certificates.is_empty() {
        snapshot.ticket_keys = sources.ticket_keys.to_vec();
    }
    // Instances of apps that no route leads to any more still have to drain.
    for (id, name) in
        sources.stacks.values().flat_map(|stack| stack.retiring.keys().map(|name| (stack.app_id(name), name)))
    {
        let listed = sources.stacks.get(&id.stack).is_some_and(|stack| !stack.removing && stack.knows(name));
        if !listed {
            snapshot.upstreams.push(app(sources, id));
        }
    }
    for stack in sources.stacks.values().filter(|stack| stack.removing) {
        let apps = stack.active.iter().flat_map(Revision::apps);
        snapshot.upstreams.extend(apps.map(|(name, _)| app(sources, stack.app_id(name))));
    }
    Parts { rest: snapshot, sites: all_sites, certificates }
}

/// What is spoken where a revision listens.
pub(crate) fn doors(revision: &Revision) -> impl Iterator<Item = DoorSpec> {
    let proxy_protocol = revision.spec.proxy_protocol;
    let http = revision.http().iter().map(|address| (*address, false));
    let common = http.chain(revision.https().iter().map(|address| (*address, true)));
    let common = common.map(move |(address, tls)| DoorSpec { address, tls, proxy_protocol, own: false });
    let own = revision.own_addresses().filter(|address| !revision.is_common(address));
    common.chain(own.map(move |address| DoorSpec {
        address: *address,
        tls: false,
        proxy_protocol,
        own: true,
    }))
}

fn site(revision: &Revision, spec: &SiteSpec) -> Site {
    let stack = &revision.spec.name;
    let routes: Vec<Route> = spec.routes.iter().map(|spec| route(stack, spec)).collect();
    let (name, hosts) = (stack.to_string(), spec.hosts.clone());
    let https_redirect = spec.https_redirect && spec.tls != TlsSpec::Off && !revision.https().is_empty();
    let listen = spec.listen.clone();
    let text = serde_json::to_vec(&(&name, &hosts, &listen, https_redirect, &routes)).unwrap_or_default();
    Site {
        client_certs: None,
        hash: model::id::fnv1a(&text),
        stack: name,
        hosts,
        listen,
        https_redirect,
        routes,
    }
}

fn route(stack: &StackName, spec: &RouteSpec) -> Route {
    let app = |name: &AppName| AppId { stack: stack.clone(), app: name.clone() }.to_string();
    let handler = match &spec.handler {
        HandlerSpec::App(name) => Handler::Proxy { upstream: app(name) },
        HandlerSpec::Port(name, port) => Handler::Proxy { upstream: port_id(&app(name), *port) },
        HandlerSpec::Proxy(proxy) => Handler::Proxy { upstream: server_id(stack, proxy) },
        HandlerSpec::Static(files) => Handler::Static(files.clone()),
        HandlerSpec::Redirect(target) => Handler::Redirect(target.clone()),
        HandlerSpec::Metrics => Handler::Metrics,
        HandlerSpec::Apps(shares) => Handler::Proxy { upstream: shares_id(stack, shares) },
        HandlerSpec::Dashboard => Handler::Dashboard,
    };
    let mut policy = spec.policy.clone();
    name_auth_server(stack, &mut policy);
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Route {
        name: spec.name.clone(),
        path: spec.path.clone(),
        when: spec.when.clone(),
        handler,
        connect_ms: ms(spec.timeouts.connect),
        send_ms: ms(spec.timeouts.send),
        read_ms: ms(spec.timeouts.read),
        body_limit: spec.body_limit,
        policy,
        hold: spec.hold,
    }
}

/// What the manifest says becomes the upstream's id.
fn name_auth_server(stack: &StackName, policy: &mut PolicySpec) {
    let Some(auth) = &mut policy.forward_auth else { return };
    auth.upstream = match resolve::auth_server(auth) {
        Some(proxy) => server_id(stack, &proxy),
        None => format!("{stack}/{}", auth.upstream),
    };
}

/// Routes to the same servers share one upstream, if they say the same about them.
fn server_id(stack: &StackName, proxy: &ProxySpec) -> String {
    let servers: Vec<String> = proxy.servers.iter().map(|server| server.address.to_string()).collect();
    let servers = servers.join(",");
    if *proxy == resolve::plain(proxy.servers.iter().map(|server| server.address.clone())) {
        return format!("{stack}/={servers}");
    }
    let text = serde_json::to_vec(proxy).unwrap_or_default();
    format!("{stack}/={servers}#{:08x}", model::id::fnv1a(&text) & 0xffff_ffff)
}

/// Whether each of its foreign servers was looked up: before that it would be served as one without any.
pub(crate) fn is_looked_up(revision: &Revision, found: &Found) -> bool {
    let mut servers = foreign(revision).values().flat_map(|proxy| &proxy.servers);
    servers.all(|server| found.contains_key(&server.address))
}

/// Where a server is, as far as it is known.
fn addresses(address: &UpstreamAddress, found: &Found) -> Vec<Address> {
    match address {
        UpstreamAddress::Unix(path) => vec![Address::Unix(path.clone())],
        UpstreamAddress::Tcp(..) => {
            found.get(address).into_iter().flatten().map(|tcp| Address::Tcp(*tcp)).collect()
        }
    }
}

/// Servers whose health is to be tried.
pub(crate) fn tried<'a>(
    revision: &'a Revision,
    found: &'a Found,
) -> impl Iterator<Item = (servers::Key, (Address, HealthSpec))> {
    let looked_after = foreign(revision).values().filter_map(|proxy| Some((proxy, proxy.health.as_ref()?)));
    looked_after.flat_map(|(proxy, health)| {
        let all = proxy.servers.iter().flat_map(|server| addresses(&server.address, found));
        all.map(|address| (servers::key(&address, health), (address, health.clone())))
    })
}

fn servers(sources: &Sources<'_>, id: String, proxy: &ProxySpec) -> Upstream {
    let mut endpoints = Vec::new();
    let mut sick = false;
    for server in &proxy.servers {
        for address in addresses(&server.address, sources.found) {
            let is_sick = |health| sources.servers.problem(&servers::key(&address, health)).is_some();
            if proxy.health.as_ref().is_some_and(is_sick) {
                sick = true;
                continue;
            }
            let instance = address.to_string();
            endpoints.push(Endpoint {
                instance,
                address,
                draining: false,
                weight: server.weight,
                release: 0,
                pid: None,
            });
        }
    }
    let state = match (endpoints.is_empty(), sick) {
        (false, _) => UpstreamState::Ready,
        (true, true) => UpstreamState::Unhealthy,
        (true, false) => UpstreamState::Down,
    };
    let (balance, http2, traffic) = (proxy.balance, proxy.http2, proxy.traffic.clone());
    Upstream { id, state, balance, http2, endpoints, traffic, aside: Vec::new() }
}

fn app(sources: &Sources<'_>, id: AppId) -> Upstream {
    let mine = || sources.observed.instances.values().filter(|instance| instance.id.app == id);
    let endpoints = mine().filter(|instance| in_rotation(&instance.phase)).filter_map(|instance| {
        let facts = sources.facts.get(&instance.id)?;
        let (address, pid) = (facts.address.clone()?, facts.pid);
        let draining = matches!(instance.phase, Phase::Draining { .. });
        let stack = sources.stacks.get(&id.stack);
        let revision =
            stack.and_then(|stack| stack.find(&id.app, instance.spec)).map(|(revision, _)| revision);
        let release = revision.map_or(0, |revision| revision.number);
        Some(Endpoint { instance: instance.id.to_string(), address, draining, weight: 1, release, pid })
    });
    let aside = mine().filter_map(|instance| {
        let state = match instance.phase {
            Phase::Starting { .. } => UpstreamState::Starting,
            Phase::Unhealthy { .. } => UpstreamState::Unhealthy,
            _ => return None,
        };
        Some(Aside { instance: instance.id.to_string(), state })
    });
    let state = match serving(sources.desired, sources.observed, &id) {
        Serving::Ready => UpstreamState::Ready,
        Serving::Starting => UpstreamState::Starting,
        Serving::Restarting => UpstreamState::Restarting,
        Serving::Asleep => UpstreamState::Asleep,
        Serving::Unhealthy => UpstreamState::Unhealthy,
        Serving::Down => UpstreamState::Down,
    };
    let spec = sources.stacks.get(&id.stack).and_then(|stack| stack.active.as_ref()?.spec.apps.get(&id.app));
    Upstream {
        endpoints: endpoints.collect(),
        id: id.to_string(),
        state,
        balance: spec.map(|app| app.balance).unwrap_or_default(),
        http2: spec.is_some_and(|app| app.http2),
        traffic: spec.map(|app| app.traffic.clone()).unwrap_or_default(),
        aside: aside.collect(),
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
