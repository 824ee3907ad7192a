//! The table a worker serves from: a snapshot, compiled.
//!
//! Made by the control thread, never on a request thread, and dropped there too. What was compiled from a site is used
//! again as long as its hash is the same; instances are the same objects as in the former table.
//!
//! Host names are found as [`crate::hosts`] says, among the sites of the listening address that was asked.

use crate::access_log::Lane;
use crate::challenge::Challenges;
use crate::dashboard::Shown;
use crate::files::Root;
use crate::hosts::Hosts;
use crate::policy::Policy;
use crate::policy::request::Zone;
use crate::redirect::Redirect;
use crate::router::Router;
use crate::tls::{ClientAuth, Door, Tls};
use crate::upstream::Upstream;
use crate::when::{Conditions, Seen};
use ipnet::IpNet;
use model::site::DoorSpec;
use model::traffic::HoldSpec;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Everything a request needs to find its answer.
#[derive(Debug, Default)]
pub struct Table {
    /// [`wire::snapshot::Snapshot::revision`].
    pub revision: u64,
    /// Peers whose forwarded headers are believed.
    pub trusted: Box<[IpNet]>,
    /// Sites, in the snapshot's order.
    pub sites: Vec<SiteEntry>,
    /// All upstreams, also those that no route points to.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What limits count in, for the metrics.
    pub zones: Vec<Zone>,
    /// Host name to place in `sites`, of those that name no address.
    pub hosts: Hosts<usize>,
    /// The same by listening address, where a site names it.
    pub own: HashMap<SocketAddr, Hosts<usize>>,
    /// Listening addresses on which more than plain HTTP is spoken.
    pub doors: Box<[DoorSpec]>,
    /// Where connections are passed on to by the address they come to, without being looked at.
    pub forwards: HashMap<SocketAddr, Arc<Upstream>>,
    /// The same of datagrams.
    pub datagrams: HashMap<SocketAddr, Arc<Upstream>>,
    /// What certificate authorities ask for over HTTP.
    pub challenges: Challenges,
    /// For those that speak TLS: there if any does.
    pub tls: Option<Arc<Tls>>,
    /// Some site wants its clients to show a certificate.
    pub asks: bool,
    /// Handshakes for names without a certificate wait for one.
    pub on_demand: bool,
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
    /// Where its requests are logged.
    pub lane: Lane,
    /// Likewise the servers that are asked first (`PolicySpec::forward_auth`); empty where no route has one.
    pub auth: Box<[Option<Arc<Upstream>>]>,
    /// What its clients have to show.
    pub asks: Option<Arc<ClientAuth>>,
}

/// A site, compiled.
#[derive(Debug)]
pub struct Site {
    /// Name of its stack.
    pub stack: Arc<str>,
    /// Its host names.
    pub hosts: Box<[String]>,
    /// Where alone it is reached; empty: everywhere.
    pub listen: Box<[SocketAddr]>,
    /// Finds a route's place.
    pub router: Router,
    /// When its routes answer; none: whenever their paths match.
    pub conditions: Option<Conditions>,
    /// Routes, in order.
    pub routes: Box<[Arc<Route>]>,
    /// Plain HTTP is led to HTTPS.
    pub https_redirect: bool,
}

/// A route, compiled.
#[derive(Debug)]
pub struct Route {
    /// Name of its stack.
    pub stack: Arc<str>,
    /// As the manifest has it.
    pub path: Box<str>,
    /// For the dashboard.
    pub shown: Shown,
    /// What answers.
    pub handler: Handler,
    /// Bounds on a request that takes it.
    pub limits: Limits,
    /// What applies beside the handler.
    pub policy: Arc<Policy>,
    /// Bounds of waiting for an instance; none: the upstream's.
    pub hold: Option<HoldSpec>,
    /// Id of the upstream that is asked first.
    pub auth: Option<Box<str>>,
}

/// What answers.
#[derive(Debug)]
pub enum Handler {
    /// The upstream at the route's place in [`SiteEntry::upstreams`]; the text is its id.
    Proxy(Box<str>),
    /// Files.
    Static(Arc<Root>),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// Prometheus metrics.
    Metrics,
    /// What is routed where, and how it is.
    Dashboard,
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
    pub route: &'t Arc<Route>,
    /// Its upstream, if it is proxied.
    pub upstream: Option<&'t Arc<Upstream>>,
    /// Of the site, in the metrics.
    pub number: u32,
    /// Where it is logged.
    pub lane: Lane,
    /// The server that is asked first, if one is.
    pub auth: Option<&'t Arc<Upstream>>,
    /// What the site wants its clients to show.
    pub asks: Option<&'t Arc<ClientAuth>>,
}

impl Table {
    /// The route for the address that was asked, a host (no port, any case) and a path (no query); `None`: 404. Where routes have conditions, none is found for a request of
    /// which nothing else is `seen`.
    pub fn find(
        &self,
        door: SocketAddr,
        host: Option<&[u8]>,
        path: &[u8],
        seen: Option<&Seen<'_>>,
    ) -> Option<Found<'_>> {
        let entry = self.site(door, host)?;
        let place = match &entry.site.conditions {
            None => entry.site.router.find(path)?,
            Some(conditions) => {
                let seen = seen?;
                let holds = |place, path: &[u8], reading| conditions.hold(place, path, reading, seen);
                entry.site.router.find_where(path, holds)?
            }
        };
        Some(Found {
            route: entry.site.routes.get(place)?,
            upstream: entry.upstreams.get(place).and_then(Option::as_ref),
            number: entry.number,
            lane: entry.lane,
            auth: entry.auth.get(place).and_then(Option::as_ref),
            asks: entry.asks.as_ref(),
        })
    }

    /// The site of a host at a listening address, whatever the path.
    pub fn site(&self, door: SocketAddr, host: Option<&[u8]>) -> Option<&SiteEntry> {
        let hosts = if self.own.is_empty() { None } else { self.own.get(&door) };
        let place = hosts.unwrap_or(&self.hosts).find(host.unwrap_or_default())?;
        self.sites.get(*place)
    }

    /// A site of a host, whatever was asked: for what is told of requests that reached none.
    pub fn anywhere(&self, host: &[u8]) -> Option<&SiteEntry> {
        let place = self.hosts.find(host).or_else(|| self.own.values().find_map(|hosts| hosts.find(host)))?;
        self.sites.get(*place)
    }

    /// The upstream of this id, whether a route leads to it or not.
    pub fn upstream(&self, id: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| *upstream.id == *id)
    }

    /// Whether its routes lead where another table's do.
    pub fn leads_as(&self, other: &Self) -> bool {
        let pairs = self.sites.iter().zip(&other.sites);
        self.sites.len() == other.sites.len()
            && pairs.into_iter().all(|(one, other)| Arc::ptr_eq(&one.site, &other.site))
    }

    /// Where a request for this host is logged, whatever its path.
    pub fn lane(&self, door: SocketAddr, host: Option<&[u8]>) -> Lane {
        self.site(door, host).map(|entry| entry.lane).unwrap_or_default()
    }

    /// Whether it is known what is spoken on a listening address. It is not before the first snapshot, nor while a new
    /// address was bound for a snapshot that is still to come: what is spoken there is not for guessing.
    pub fn knows(&self, address: SocketAddr) -> bool {
        self.revision > 0
            && (self.doors.is_empty()
                || self.doors.iter().any(|door| door.address == address)
                || self.forwards.contains_key(&address))
    }

    /// What is spoken on a listening address; `None`: plain HTTP.
    pub fn door(&self, address: SocketAddr) -> Option<Door> {
        let spec = self.doors.iter().find(|door| door.address == address)?;
        if !spec.tls && !spec.proxy_protocol {
            return None;
        }
        Some(Door { tls: spec.tls, proxy: spec.proxy_protocol })
    }

    /// What a host's clients have to show.
    pub fn asks(&self, door: SocketAddr, host: &[u8]) -> Option<&Arc<ClientAuth>> {
        if !self.asks {
            return None;
        }
        self.site(door, Some(host))?.asks.as_ref()
    }

    /// Whether plain HTTP for a host is to be led to HTTPS, and to which port.
    pub fn https_port(&self, door: SocketAddr, host: &[u8]) -> Option<u16> {
        let port = self.doors.iter().find(|door| door.tls)?.address.port();
        let entry = self.site(door, Some(host))?;
        entry.site.https_redirect.then_some(port)
    }

    /// Whether forwarded headers of this peer are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}
