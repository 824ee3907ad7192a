//! Snapshot → [`Table`], on the control thread.
//!
//! [`Compiler`] remembers what must outlive a snapshot: instances with their claims, what upstreams share, compiled sites. It
//! also knows what drains: an instance that the snapshot marks as draining, or no longer names, is kept until its last
//! claim has ended and that was reported.

use crate::access_log::place::Lanes;
use crate::challenge::Challenges;
use crate::dashboard::Shown;
use crate::files::Root;
use crate::hold::lines::Lines;
use crate::instance::{Instance, Origin};
use crate::metrics::SiteNumbers;
use crate::policy::Policies;
use crate::redirect::Redirect;
use crate::router::Router;
use crate::table::{Handler, Limits, Route, Site, SiteEntry, Table};
use crate::tls;
use crate::upstream::{Lasting, Upstream};
use crate::wake::Wake;
use crate::when::Conditions;
use model::network::Protocol;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::edge::InstanceStats;
use wire::snapshot::{Certificate, Endpoint, Snapshot, StickyKey};

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(10);

/// What makes tables, and lasts from one to the next.
pub struct Compiler {
    wake: Arc<Wake>,
    numbers: Arc<SiteNumbers>,
    instances: HashMap<Key, Arc<Instance>>,
    /// What lasts of upstreams.
    pub lines: Lines,
    sites: HashMap<u64, Arc<Site>>,
    policies: Policies,
    swept: Instant,
    draining: Vec<Leaving>,
    tls: tls::Builder,
}

/// An endpoint: the id of its upstream and its own name. A server that Mainstay does not run may stand in several upstreams;
/// each counts, and bounds, what it sends there itself.
type Key = (String, String);

struct Leaving {
    instance: Arc<Instance>,
    revision: u64,
    reported: bool,
    /// A snapshot says that it drains: the keeper waits for the word. One that only vanished, because it was unhealthy, may be
    /// told to drain later, and then it is said again.
    awaited: bool,
}

/// Why a snapshot cannot be served from.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Made by a keeper of another protocol.
    #[error("the snapshot has version {0}, this edge speaks {version}", version = wire::VERSION)]
    Version(u32),
    /// A route names an upstream that is not there.
    #[error("a route of {host} points to {upstream}, which is not in the snapshot")]
    NoUpstream {
        /// First host of the site.
        host: String,
        /// The id that is missing.
        upstream: String,
    },
    /// The keeper names certificates that it has not sent.
    #[error("the certificates of revision {0} have not come")]
    NoCertificates(u64),
    /// The TLS library refuses every configuration.
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Compiler {
    /// Nothing known yet; `wake` is signalled when a draining instance's last claim ends.
    pub fn new(wake: Arc<Wake>, numbers: Arc<SiteNumbers>) -> Self {
        Self {
            lines: Lines::new(&wake),
            wake,
            numbers,
            instances: HashMap::new(),
            sites: HashMap::new(),
            policies: Policies::default(),
            swept: Instant::now(),
            draining: Vec::new(),
            tls: tls::Builder::new(),
        }
    }

    /// Takes the certificates of the snapshots that name this revision.
    pub fn take_certificates(&mut self, revision: u64, given: &[Certificate]) {
        self.tls.take(revision, given);
    }

    /// Compiles; nothing has changed when it fails. Draining begins with [`Compiler::drain`], once the table is published.
    pub fn table(&mut self, snapshot: &Snapshot, lanes: &Lanes) -> Result<Table, CompileError> {
        check(snapshot)?;
        if let Some(revision) = snapshot.certificates_of.filter(|revision| !self.tls.has(*revision)) {
            return Err(CompileError::NoCertificates(revision));
        }
        let tls = self.tls.tls(snapshot)?;
        let upstreams: HashMap<&str, Arc<Upstream>> = snapshot
            .upstreams
            .iter()
            .map(|upstream| (upstream.id.as_str(), self.upstream(upstream, &snapshot.sticky_key)))
            .collect();
        let mut table = Table {
            revision: snapshot.revision,
            trusted: snapshot.trusted.clone().into(),
            doors: snapshot.doors.clone().into(),
            challenges: Challenges::new(&snapshot.http_challenges),
            tls,
            on_demand: snapshot.on_demand,
            ..Table::default()
        };
        let mut sites = HashMap::new();
        for site in &snapshot.sites {
            let known = self.sites.get(&site.hash).map(Arc::clone);
            let compiled = known.unwrap_or_else(|| Arc::new(compile_site(site, &mut self.policies)));
            sites.insert(site.hash, Arc::clone(&compiled));
            let target = |route: &Arc<Route>| match &route.handler {
                Handler::Proxy(id) => upstreams.get(&**id).map(Arc::clone),
                Handler::Static(_) | Handler::Redirect(_) | Handler::Metrics | Handler::Dashboard => None,
            };
            let number = self.numbers.number(site.hosts.first().map_or("other", String::as_str));
            let asked = |route: &Arc<Route>| upstreams.get(route.auth.as_deref()?).map(Arc::clone);
            let asks = compiled.routes.iter().any(|route| route.auth.is_some());
            let auth = if asks { compiled.routes.iter().map(asked).collect() } else { Box::default() };
            let upstreams = compiled.routes.iter().map(target).collect();
            let lane = lanes.of(&site.stack);
            let asks = site.client_certs.as_ref().map(|asked| self.tls.asks(asked));
            table.asks |= asks.is_some();
            table.sites.push(SiteEntry { site: compiled, upstreams, auth, number, lane, asks });
        }
        place_hosts(&mut table, snapshot);
        for forward in &snapshot.forwards {
            let Some(upstream) = upstreams.get(forward.upstream.as_str()).map(Arc::clone) else { continue };
            match forward.protocol {
                Protocol::Tcp => table.forwards.insert(forward.address, upstream),
                Protocol::Udp => table.datagrams.insert(forward.address, upstream),
            };
        }
        table.upstreams = upstreams.into_values().collect();
        self.sites = sites;
        self.tls.forget();
        table.zones = self.policies.zones.all();
        Ok(table)
    }

    fn upstream(&mut self, upstream: &wire::snapshot::Upstream, key: &StickyKey) -> Arc<Upstream> {
        // Of an upstream that was not known before nothing is new: a new edge takes over what runs.
        let ready = self.lines.know(&upstream.id).then(Instant::now);
        let lasting = self.lines.of(&upstream.id);
        let taking = upstream.endpoints.iter().filter(|endpoint| !endpoint.draining);
        let endpoints = taking
            .map(|endpoint| (self.instance(&upstream.id, endpoint, &lasting, ready), endpoint.weight))
            .collect();
        Arc::new(Upstream::new(upstream, endpoints, lasting, key))
    }

    /// The instance an endpoint stands for; another address makes it another instance.
    fn instance(
        &mut self,
        upstream: &str,
        endpoint: &Endpoint,
        lasting: &Arc<Lasting>,
        ready: Option<Instant>,
    ) -> Arc<Instance> {
        let key = (upstream.to_owned(), endpoint.instance.clone());
        if let Some(known) = self.instances.get(&key)
            && known.address == endpoint.address
            && !known.is_draining()
        {
            return Arc::clone(known);
        }
        let made = self.made(endpoint, Arc::clone(lasting), ready);
        if let Some(former) = self.instances.insert(key, Arc::clone(&made)) {
            // Its name lives on in another object, so its end is nobody's business but its own.
            former.set_draining(true);
        }
        made
    }

    fn made(&self, endpoint: &Endpoint, lasting: Arc<Lasting>, ready: Option<Instant>) -> Arc<Instance> {
        let origin = Origin { release: endpoint.release, pid: endpoint.pid };
        let address = endpoint.address.clone();
        Instance::new(&endpoint.instance, address, origin, Arc::clone(&self.wake), lasting, ready)
    }

    /// Begins the draining of what `snapshot` (the one now published) lets go.
    pub fn drain(&mut self, snapshot: &Snapshot) {
        let endpoints = || snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        let staying: HashSet<(&str, &str)> = snapshot.upstreams.iter().flat_map(staying).collect();
        let leaving: Vec<Key> = self
            .instances
            .keys()
            .filter(|(upstream, name)| !staying.contains(&(upstream, name)))
            .cloned()
            .collect();
        for key in leaving {
            let Some(instance) = self.instances.remove(&key) else { continue };
            instance.set_draining(true);
            self.draining.push(Leaving {
                instance,
                revision: snapshot.revision,
                reported: false,
                awaited: false,
            });
        }
        self.adopt_unknown(snapshot);
        // Reported and no longer named: nobody will ask for it again.
        let named: HashSet<&str> = endpoints().map(|endpoint| endpoint.instance.as_str()).collect();
        self.draining.retain(|leaving| !leaving.reported || named.contains(&*leaving.instance.name));
    }

    /// A draining endpoint that this edge never sent anything to (it was started after the drain began) has no
    /// claims: it is drained at once, and the keeper waits for that word.
    fn adopt_unknown(&mut self, snapshot: &Snapshot) {
        let draining = snapshot.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        for endpoint in draining.filter(|endpoint| endpoint.draining) {
            let known = self.draining.iter_mut();
            let mut is_known = false;
            for leaving in known.filter(|leaving| *leaving.instance.name == *endpoint.instance) {
                is_known = true;
                if !std::mem::replace(&mut leaving.awaited, true) {
                    (leaving.reported, leaving.revision) = (false, snapshot.revision);
                }
            }
            if is_known {
                continue;
            }
            let instance = self.made(endpoint, Arc::default(), None);
            instance.set_draining(true);
            self.draining.push(Leaving {
                instance,
                revision: snapshot.revision,
                reported: false,
                awaited: true,
            });
        }
    }

    /// Instances whose last claim has ended since this was asked last, with the revision in which they drain. One that vanished as
    /// unhealthy and came back stands here twice: it has drained when both have.
    pub fn newly_drained(&mut self) -> Vec<(String, u64)> {
        let awaited = self.draining.iter().filter(|leaving| leaving.awaited);
        let busy: HashSet<Box<str>> = awaited
            .filter(|leaving| !leaving.instance.is_drained())
            .map(|leaving| leaving.instance.name.clone())
            .collect();
        let done = self.draining.iter_mut().filter(|leaving| {
            let is_busy = leaving.awaited && busy.contains(&leaving.instance.name);
            !leaving.reported && !is_busy && leaving.instance.is_drained()
        });
        done.map(|leaving| {
            leaving.reported = true;
            (leaving.instance.name.to_string(), leaving.revision)
        })
        .collect()
    }

    /// A new keeper has heard none of it: all that is drained is said again.
    pub fn report_again(&mut self) {
        self.draining.iter_mut().for_each(|leaving| leaving.reported = false);
    }

    /// Looks after who waits. Forgets policies nobody uses any more, and what their limits need not remember; not more often than every [`SWEEP`].
    pub fn sweep(&mut self, now: Instant) {
        self.lines.tick(now);
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.policies.sweep();
        }
    }

    /// Whether [`Compiler::sweep`] has to be called now and then.
    pub fn counts_rates(&self) -> bool {
        self.policies.zones.counts_rates()
    }

    /// Counters of all instances; of one that takes requests at several ports, together.
    pub fn stats(&self) -> Vec<InstanceStats> {
        let leaving = self.draining.iter().map(|leaving| &leaving.instance);
        let mut all: BTreeMap<String, InstanceStats> = BTreeMap::new();
        for stats in self.instances.values().chain(leaving).map(|instance| instance.stats()) {
            match all.entry(stats.instance.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(stats)),
                Entry::Occupied(mut entry) => entry.get_mut().add(&stats),
            }
        }
        all.into_values().collect()
    }
}

/// Who is found where: at an address that sites name these first, then, where it is not theirs alone, all that name none.
fn place_hosts(table: &mut Table, snapshot: &Snapshot) {
    let sites = || snapshot.sites.iter().enumerate();
    for (place, site) in sites() {
        for door in &site.listen {
            let hosts = table.own.entry(*door).or_default();
            site.hosts.iter().for_each(|host| hosts.insert(host, place));
        }
    }
    for (place, site) in sites().filter(|(_, site)| site.listen.is_empty()) {
        site.hosts.iter().for_each(|host| table.hosts.insert(host, place));
        for door in snapshot.doors.iter().filter(|door| !door.own) {
            if let Some(hosts) = table.own.get_mut(&door.address) {
                site.hosts.iter().for_each(|host| hosts.insert(host, place));
            }
        }
    }
}

/// The endpoints that take requests.
fn staying(upstream: &wire::snapshot::Upstream) -> impl Iterator<Item = (&str, &str)> {
    let taking = upstream.endpoints.iter().filter(|endpoint| !endpoint.draining);
    taking.map(|endpoint| (upstream.id.as_str(), endpoint.instance.as_str()))
}

/// Everything that can be wrong with a snapshot, before anything is changed.
fn check(snapshot: &Snapshot) -> Result<(), CompileError> {
    if snapshot.version != wire::VERSION {
        return Err(CompileError::Version(snapshot.version));
    }
    let known: HashSet<&str> = snapshot.upstreams.iter().map(|upstream| upstream.id.as_str()).collect();
    for site in &snapshot.sites {
        for route in &site.routes {
            let target = match &route.handler {
                wire::snapshot::Handler::Proxy { upstream } => Some(upstream),
                _ => None,
            };
            let asked = route.policy.forward_auth.as_ref().map(|auth| &auth.upstream);
            for upstream in target.into_iter().chain(asked) {
                if !known.contains(upstream.as_str()) {
                    let host = site.hosts.first().cloned().unwrap_or_default();
                    return Err(CompileError::NoUpstream { host, upstream: upstream.clone() });
                }
            }
        }
    }
    Ok(())
}

fn compile_site(site: &wire::snapshot::Site, policies: &mut Policies) -> Site {
    let handler = |handler: &wire::snapshot::Handler| match handler {
        wire::snapshot::Handler::Proxy { upstream } => Handler::Proxy(upstream.as_str().into()),
        wire::snapshot::Handler::Static(spec) => Handler::Static(Arc::new(Root::new(spec))),
        wire::snapshot::Handler::Redirect(spec) => Handler::Redirect(Redirect::new(spec)),
        wire::snapshot::Handler::Metrics => Handler::Metrics,
        wire::snapshot::Handler::Dashboard => Handler::Dashboard,
    };
    let stack: Arc<str> = site.stack.as_str().into();
    let mut route = |route: &wire::snapshot::Route| Route {
        stack: Arc::clone(&stack),
        path: route.path.as_str().into(),
        shown: Shown::new(route),
        handler: handler(&route.handler),
        limits: Limits {
            connect_ms: route.connect_ms,
            send_ms: route.send_ms,
            read_ms: route.read_ms,
            body: route.body_limit,
        },
        policy: policies.get(&route.policy),
        hold: route.hold,
        auth: route.policy.forward_auth.as_ref().map(|auth| auth.upstream.as_str().into()),
    };
    Site {
        router: Router::new(site.routes.iter().map(|route| route.path.as_str())),
        conditions: Conditions::new(site.routes.iter().map(|route| route.when.as_ref())),
        routes: site.routes.iter().map(|spec| Arc::new(route(spec))).collect(),
        stack,
        hosts: site.hosts.clone().into(),
        listen: site.listen.clone().into(),
        https_redirect: site.https_redirect,
    }
}
