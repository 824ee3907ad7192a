//! The table a worker serves from: a snapshot, compiled.
//!
//! Made by the control thread, never on a request thread, and dropped there too. What was compiled from a site is used
//! again as long as its hash is the same; instances are the same objects as in the former table.
//!
//! Host names: an exact one first, then `*.rest` with exactly one more label, then `*`.

use crate::files::Root;
use crate::policy::Policy;
use crate::router::Router;
use crate::upstream::Upstream;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest host name looked up (RFC 1035 section 2.3.4 allows 253).
const MAX_HOST: usize = 255;

/// Everything a request needs to find its answer.
#[derive(Debug, Default)]
pub struct Table {
    /// [`wire::snapshot::Snapshot::revision`].
    pub revision: u64,
    /// Peers whose forwarded headers are believed.
    pub trusted: Box<[IpNet]>,
    /// Sites, in the snapshot's order.
    pub sites: Vec<SiteEntry>,
    /// Host name to place in `sites`; wildcards under their part behind `*.`.
    pub exact: HashMap<Box<[u8]>, usize>,
    /// Likewise, for `*.rest`.
    pub wildcard: HashMap<Box<[u8]>, usize>,
    /// The site of `*`.
    pub any: Option<usize>,
    /// All upstreams, also those that no route points to.
    pub upstreams: Vec<Arc<Upstream>>,
}

/// A site and what its routes point to now.
#[derive(Debug)]
pub struct SiteEntry {
    /// What changes with the manifest only.
    pub site: Arc<Site>,
    /// Place by place with the site's routes; none for a route that is not proxied.
    pub upstreams: Box<[Option<Arc<Upstream>>]>,
    /// Of the site, in the metrics.
    pub number: u32,
}

/// A site, compiled.
#[derive(Debug)]
pub struct Site {
    /// Finds a route's place.
    pub router: Router,
    /// Routes, in order.
    pub routes: Box<[Route]>,
}

/// A route, compiled.
#[derive(Debug)]
pub struct Route {
    /// What answers.
    pub handler: Handler,
    /// Bounds on a request that takes it.
    pub limits: Limits,
    /// What applies beside the handler.
    pub policy: Arc<Policy>,
}

/// What answers.
#[derive(Debug)]
pub enum Handler {
    /// The upstream at the route's place in [`SiteEntry::upstreams`]; the text is its id.
    Proxy(Box<str>),
    /// Files.
    Static(Arc<Root>),
    /// The client is sent elsewhere.
    Redirect(model::spec::RedirectSpec),
    /// Prometheus metrics.
    Metrics,
}

/// Times in milliseconds, sizes in bytes; see [`wire::snapshot::Route`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To connect.
    pub connect_ms: u64,
    /// Between two writes of the request.
    pub send_ms: u64,
    /// Between two reads of the response.
    pub read_ms: u64,
    /// Largest request body.
    pub body: u64,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t> {
    /// The route.
    pub route: &'t Route,
    /// Its upstream, if it is proxied.
    pub upstream: Option<&'t Arc<Upstream>>,
    /// Of the site, in the metrics.
    pub number: u32,
}

impl Table {
    /// The route for a host (no port, any case) and a path (no query); `None`: 404.
    pub fn find(&self, host: Option<&[u8]>, path: &[u8]) -> Option<Found<'_>> {
        let entry = self.sites.get(self.site(host.unwrap_or_default())?)?;
        let place = entry.site.router.find(path)?;
        Some(Found {
            route: entry.site.routes.get(place)?,
            upstream: entry.upstreams.get(place).and_then(Option::as_ref),
            number: entry.number,
        })
    }

    fn site(&self, host: &[u8]) -> Option<usize> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut lower = [0; MAX_HOST];
        let host = if host.iter().any(u8::is_ascii_uppercase) {
            let lower = lower.get_mut(..host.len())?;
            lower.copy_from_slice(host);
            lower.make_ascii_lowercase();
            lower
        } else {
            host
        };
        self.exact.get(host).copied().or_else(|| self.wildcard_site(host)).or(self.any)
    }

    fn wildcard_site(&self, host: &[u8]) -> Option<usize> {
        if self.wildcard.is_empty() {
            return None;
        }
        let dot = host.iter().position(|&byte| byte == b'.').filter(|&at| at > 0)?;
        self.wildcard.get(host.get(dot + 1..)?).copied()
    }

    /// Whether forwarded headers of this peer are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}
