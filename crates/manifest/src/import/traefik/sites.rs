//! Routers → sites: for each host and each entry point the routers that can answer there, by priority, each with what is left of its rule.

use super::fixed::{Door, Fixed};
use super::hosts::{FALSE, left, named, path_and_rest};
use super::middlewares::{Middlewares, Policy};
use super::node;
use super::resolvers::Resolver;
use super::routers::Router;
use super::services::{Share, Target};
use crate::condition;
use crate::diagnostic::Report;
use crate::tree::{Node, Span};
use crate::values;
use model::condition::Condition;
use std::collections::{BTreeMap, BTreeSet};

/// As large and as long as can be said: Traefik bounds neither a request's body nor an answer's silence.
const BODY: &str = "1024GiB";
const SILENCE: &str = "1d";

/// Certificate and key.
pub type Pair = (String, String, Span);

/// What the sites are made from.
pub struct Sites<'a> {
    /// Entry points.
    pub fixed: &'a Fixed,
    /// First those that are asked first.
    pub routers: &'a [Router],
    /// What is done to their requests.
    pub middlewares: &'a Middlewares<'a>,
    /// The certificate that sites with TLS have where nothing better is said.
    pub pair: Option<Pair>,
    /// The one for any name.
    pub any: Option<Pair>,
    /// Whom certificates are ordered from.
    pub resolver: Option<&'a Resolver>,
}

/// A site in the making: what has to be equal for hosts to share one.
#[derive(PartialEq)]
struct Draft {
    /// Places of its entry points; with `everywhere` all that there are.
    doors: BTreeSet<usize>,
    everywhere: bool,
    secure: bool,
    /// Its certificate is ordered.
    ordered: bool,
    redirect: bool,
    /// Places of routers, and what is left of their rules.
    routes: Vec<(usize, Condition)>,
}

/// `cert` and `key`.
pub fn files((cert, key, at): &Pair) -> Node {
    node::table(vec![("cert", node::text(cert, at)), ("key", node::text(key, at))], at)
}

impl Sites<'_> {
    fn door(&self, place: usize) -> Option<&Door> {
        self.fixed.doors.get(place).filter(|door| door.listen.is_some() && !door.udp)
    }

    fn secure(&self, place: usize) -> bool {
        let tls = |door: &Door| {
            door.tls
                || self
                    .routers
                    .iter()
                    .any(|own| own.tls && own.doors.len() == 1 && own.doors.contains(&place))
        };
        self.door(place).is_some_and(tls)
    }

    /// Entry points that are reached at all: those that lead elsewhere are of no use to routers.
    fn serving(&self) -> BTreeSet<usize> {
        let all = 0..self.fixed.doors.len();
        all.filter(|place| self.door(*place).is_some_and(|door| door.redirect.is_none())).collect()
    }

    /// The first router that does the same: `web` over HTTP and over HTTPS are often two.
    fn first_like(&self, place: usize) -> usize {
        let Some(own) = self.routers.get(place) else { return place };
        let names =
            |router: &Router| router.middlewares.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let same = |other: &Router| {
            other.target == own.target && other.rule == own.rule && names(other) == names(own)
        };
        self.routers.iter().position(same).unwrap_or(place)
    }

    /// `listen`: where the entry points are.
    pub fn listen(&self) -> Option<Node> {
        let used = |place: &usize| {
            let is_target = || self.routers.iter().any(|own| own.doors.contains(place));
            self.door(*place).is_some_and(|door| door.redirect.is_some()) || is_target()
        };
        let places: Vec<usize> = (0..self.fixed.doors.len()).filter(used).collect();
        let span = self.fixed.doors.get(*places.first()?)?.span.clone();
        let of = |secure: bool| {
            let own = places.iter().filter(|place| self.secure(**place) == secure);
            let addresses = own.filter_map(|place| Some(self.door(*place)?.listen?.to_string()));
            addresses.collect::<BTreeSet<_>>()
        };
        let (plain, secure) = (of(false), of(true));
        let mut entries = vec![("http", node::texts(&plain, &span))];
        if !secure.is_empty() {
            entries.push(("https", node::texts(&secure, &span)));
        }
        Some(node::table(entries, &span))
    }

    /// `site`.
    pub fn nodes(&self, report: &mut Report) -> Vec<Node> {
        let policies: Vec<Policy> =
            self.routers.iter().map(|own| self.middlewares.policy(&own.middlewares, report)).collect();
        let (mut hosts, mut seen) = (Vec::new(), BTreeSet::new());
        self.routers.iter().for_each(|own| named(&own.rule, &mut hosts, &mut seen));
        let mut drafts: Vec<(Vec<String>, Draft)> = Vec::new();
        let mut add = |host: &str, draft: Draft| match drafts.iter_mut().find(|(_, known)| *known == draft) {
            Some((hosts, _)) => hosts.push(host.to_owned()),
            None => drafts.push((vec![host.to_owned()], draft)),
        };
        for host in &hosts {
            self.of_host(Some(host), &policies).into_iter().for_each(|draft| add(host, draft));
        }
        self.of_host(None, &policies).into_iter().for_each(|draft| add("*", draft));
        drafts.iter().filter_map(|(hosts, draft)| self.site(hosts, draft, &policies, report)).collect()
    }

    /// The sites of a host: one where all its entry points answer alike.
    fn of_host(&self, host: Option<&str>, policies: &[Policy]) -> Vec<Draft> {
        let serving = self.serving();
        let mut by_door: BTreeMap<usize, Vec<(usize, Condition)>> = BTreeMap::new();
        for place in &serving {
            let secure = self.secure(*place);
            let answers = |own: &&Router| own.doors.contains(place) && (secure || !own.tls);
            let routes = self.routers.iter().enumerate().filter(|(_, own)| answers(own));
            let routes = routes
                .map(|(at, own)| (self.first_like(at), left(&own.rule, host)))
                .filter(|(_, left)| *left != FALSE);
            by_door.insert(*place, routes.collect());
        }
        let has_secure = by_door.iter().any(|(place, routes)| self.secure(*place) && !routes.is_empty());
        // Where every plain route of a host only leads to HTTPS, the site says that once.
        let leads = |(at, _): &(usize, Condition)| policies.get(*at).is_some_and(|own| own.to_https);
        let mut redirect = self.fixed.doors.iter().any(|door| door.redirect.is_some());
        if has_secure {
            let plain: Vec<usize> = by_door.keys().copied().filter(|place| !self.secure(*place)).collect();
            for place in plain {
                if by_door.get(&place).is_some_and(|routes| !routes.is_empty() && routes.iter().all(leads)) {
                    by_door.remove(&place);
                    redirect = true;
                }
            }
        }
        let mut drafts: Vec<Draft> = Vec::new();
        for (place, routes) in by_door {
            let secure = self.secure(place);
            if routes.is_empty() {
                continue;
            }
            match drafts.iter_mut().find(|draft| draft.routes == routes) {
                Some(draft) => {
                    draft.doors.insert(place);
                    draft.secure |= secure;
                }
                None => drafts.push(Draft {
                    doors: BTreeSet::from([place]),
                    everywhere: false,
                    secure,
                    ordered: false,
                    redirect,
                    routes,
                }),
            }
        }
        let certified = host.is_some_and(|host| self.resolver.is_some_and(|own| own.certifies(host)));
        for draft in &mut drafts {
            let orders = |(at, _): &(usize, Condition)| {
                self.routers.get(*at).is_some_and(|own| own.resolver.is_some())
            };
            draft.ordered = certified && draft.secure && draft.routes.iter().any(orders);
        }
        if let [only] = &mut drafts[..] {
            only.everywhere =
                only.doors == serving || redirect && only.doors.iter().all(|place| self.secure(*place));
        }
        drafts
    }

    fn site(
        &self,
        hosts: &[String],
        draft: &Draft,
        policies: &[Policy],
        report: &mut Report,
    ) -> Option<Node> {
        let first = self.routers.get(draft.routes.first()?.0)?;
        let span = &first.span;
        let mut entries = vec![("hosts", node::texts(hosts, span))];
        if !draft.everywhere {
            let listen = draft.doors.iter().filter_map(|place| self.door(*place)?.listen);
            entries.push(("listen", node::texts(listen.map(|own| own.to_string()), span)));
        }
        let any = hosts.iter().any(|host| host == "*");
        let with_pair = if any { &self.any } else { &self.pair };
        let with_pair = with_pair.as_ref().filter(|_| draft.secure && !draft.ordered);
        match with_pair {
            Some(pair) => entries.push(("tls", files(pair))),
            None if draft.ordered => entries.push(("tls", node::text("acme", span))),
            None if draft.secure && !any => entries.push(("tls", node::text("local", span))),
            None => entries.push(("tls", node::flag(false, span))),
        }
        if draft.secure && any && with_pair.is_none() {
            let found =
                report.warning("traefik::any_host", "over HTTPS only hosts that a rule names are answered");
            found
                .at(span.clone(), "this rule names none")
                .help("no certificate can be made for any name: name the hosts");
        }
        if draft.secure && !(any && with_pair.is_none()) {
            entries.push(("https_redirect", node::flag(draft.redirect, span)));
        }
        entries.push(("while_running", node::flag(true, span)));
        entries.push(("body", node::text(BODY, span)));
        entries.push(("timeout", node::text(SILENCE, span)));
        entries.push(("security_headers", node::flag(false, span)));
        let routes = self.routes(draft, policies, report);
        entries.push(("route", node::list(routes, span)));
        Some(node::table(entries, span))
    }

    fn routes(&self, draft: &Draft, policies: &[Policy], report: &mut Report) -> Vec<Node> {
        let mut routes = Vec::new();
        let mut certain: Vec<(String, &Router)> = Vec::new();
        for (at, left) in &draft.routes {
            let (Some(router), Some(policy)) = (self.routers.get(*at), policies.get(*at)) else { continue };
            let (path, when) = path_and_rest(left.clone());
            if let Some((_, before)) = certain.iter().find(|(broad, _)| values::covers(broad, &path)) {
                let message =
                    format!("router `{}` is never asked: `{}` answers before it", router.name, before.name);
                let found = report.warning("traefik::never", message);
                found.at(router.span.clone(), format!("priority {}", router.priority));
                found.at(before.span.clone(), format!("priority {}", before.priority));
                continue;
            }
            if when.is_none() {
                certain.push((path.clone(), router));
            }
            routes.push(self.route(router, policy, &path, when, draft, report));
        }
        routes
    }

    fn route(
        &self,
        router: &Router,
        policy: &Policy,
        path: &str,
        when: Option<Condition>,
        draft: &Draft,
        report: &mut Report,
    ) -> Node {
        let span = &router.span;
        let mut entries = vec![("name", node::text(name(router), span)), ("path", node::text(path, span))];
        entries.extend(when.map(|when| ("when", node::text(condition::text(&when), span))));
        // Over HTTPS nobody is led to HTTPS.
        let redirect = policy.redirect.as_ref().filter(|_| !(policy.to_https && draft.secure));
        match redirect {
            Some(redirect) => entries.push(("redirect", redirect.clone())),
            None => self.answer(router, policy, &mut entries, report),
        }
        entries.extend(policy.keys.iter().map(|(key, node)| (key.as_str(), node.clone())));
        node::table(entries, span)
    }

    fn answer(&self, router: &Router, policy: &Policy, entries: &mut Vec<(&str, Node)>, report: &mut Report) {
        let span = &router.span;
        let guarded = policy
            .keys
            .iter()
            .any(|(key, _)| matches!(&**key, "basic_auth" | "forward_auth" | "allow" | "deny"));
        let local = || node::texts(["127.0.0.0/8", "::1"], span);
        match &router.target {
            Target::Apps(shares) => match &shares[..] {
                [Share { app, port, .. }] => {
                    entries.push(("app", node::text(app, span)));
                    entries.extend(port.map(|port| ("port", node::number(port, span))));
                }
                shares => {
                    let share = |own: &Share| {
                        let mut table = vec![("app", node::text(&own.app, span))];
                        table.extend(own.port.map(|port| ("port", node::number(port, span))));
                        table.push(("weight", node::number(own.weight, span)));
                        node::table(table, span)
                    };
                    entries.push(("apps", node::list(shares.iter().map(share).collect(), span)));
                }
            },
            Target::Servers(servers) => {
                let server = |(url, weight): &(String, i64)| {
                    node::table(
                        vec![("server", node::text(url, span)), ("weight", node::number(*weight, span))],
                        span,
                    )
                };
                let servers = node::list(servers.iter().map(server).collect(), span);
                entries.push(("proxy", node::table(vec![("servers", servers)], span)));
            }
            Target::Dashboard | Target::Metrics => {
                let key = if router.target == Target::Dashboard { "dashboard" } else { "metrics" };
                entries.push((key, node::flag(true, span)));
                if !guarded {
                    let found = report.warning(
                        "traefik::dashboard",
                        format!("router `{}` is for this machine only", router.name),
                    );
                    found.at(span.clone(), "would show everybody what runs here");
                    found.help("give it a middleware: basicauth, or ipallowlist");
                    entries.push(("allow", local()));
                }
            }
        }
    }
}

/// A router's name, as far as a route can have it.
fn name(router: &Router) -> String {
    router.name.chars().filter(|c| !c.is_control()).take(100).collect()
}
