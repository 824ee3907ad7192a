//! Middlewares → keys of a route's policy. What cannot be had is listed with what that means; where it would have kept somebody out,
//! nobody gets through.

mod auth;
mod headers;
mod limits;

use super::node;
use super::routers::plain;
use super::settings::{Setting, Settings};
use crate::diagnostic::Report;
use crate::tree::{Kind, Node, Span};
use std::collections::BTreeSet;

/// What the middlewares of a router come to.
#[derive(Debug, Default, Clone)]
pub struct Policy {
    /// Keys of the route.
    pub keys: Vec<(String, Node)>,
    /// All plain requests are led to HTTPS.
    pub to_https: bool,
    /// The client is sent elsewhere, by this route alone.
    pub redirect: Option<Node>,
}

impl Policy {
    /// Adds a key: tables and lists are joined, anything else stays as it was first.
    fn put(&mut self, key: &str, node: Node, report: &mut Report) {
        let Some((_, known)) = self.keys.iter_mut().find(|(known, _)| known == key) else {
            let span = node.span.clone();
            return self.keys.push((key.to_owned(), node.keyed(Some(span))));
        };
        match (&mut known.kind, node.kind) {
            (Kind::Array(list), Kind::Array(more)) => list.extend(more),
            (Kind::Table(table), Kind::Table(more)) => {
                for (name, node) in more {
                    table.retain(|(known, _)| *known != name);
                    table.push((name, node));
                }
            }
            _ => {
                let found = report.warning("traefik::middleware", format!("a second middleware for `{key}`"));
                found.at(node.span, "not used").at(known.span.clone(), "the first one");
            }
        }
    }

    fn deny_all(&mut self, span: &Span, report: &mut Report) {
        self.put("deny", node::texts(["0.0.0.0/0", "::/0"], span), report);
    }
}

/// All middlewares.
pub struct Middlewares<'a> {
    settings: &'a Settings,
    /// Services of the project.
    apps: &'a BTreeSet<String>,
}

/// One of them while it is translated.
struct One<'a, 'r> {
    settings: &'a Settings,
    apps: &'a BTreeSet<String>,
    /// Key of its settings: `http.middlewares.NAME.KIND`.
    at: String,
    name: &'a str,
    span: Span,
    policy: &'r mut Policy,
    report: &'r mut Report,
}

impl<'a> Middlewares<'a> {
    /// Of these settings.
    pub fn new(settings: &'a Settings, apps: &'a BTreeSet<String>) -> Self {
        Self { settings, apps }
    }

    /// What these come to, in their order.
    pub fn policy(&self, names: &[(String, Span)], report: &mut Report) -> Policy {
        let mut policy = Policy::default();
        for (name, span) in names {
            self.add(name, span, 0, &mut policy, report);
        }
        policy
    }

    fn add(&self, name: &str, span: &Span, depth: usize, policy: &mut Policy, report: &mut Report) {
        let at = format!("http.middlewares.{name}");
        let kinds = self.settings.names(&at);
        if kinds.is_empty() || depth > 8 {
            let found = report.warning("traefik::middleware", format!("there is no middleware `{name}`"));
            found.at(span.clone(), "nobody gets through: what it would have done is not known");
            return policy.deny_all(span, report);
        }
        for (kind, first) in kinds {
            if kind == "chain" {
                for inner in self
                    .settings
                    .get(&format!("{at}.chain.middlewares"))
                    .map(Setting::list)
                    .unwrap_or_default()
                {
                    self.add(&plain(inner), span, depth + 1, policy, report);
                }
                continue;
            }
            let at = format!("{at}.{kind}");
            let span = first.span.clone();
            self.settings.get(&at);
            One { settings: self.settings, apps: self.apps, at, name, span, policy, report }.translate(&kind);
        }
    }

    /// Those that no router has: defined, and without any effect.
    pub fn report_unattached(&self, attached: &BTreeSet<String>, report: &mut Report) {
        let chained: BTreeSet<String> = self
            .settings
            .below("http.middlewares")
            .filter(|(rest, _)| rest.ends_with(".chain.middlewares"))
            .flat_map(|(_, own)| own.list().into_iter().map(plain).collect::<Vec<_>>())
            .collect();
        for (name, first) in self.settings.names("http.middlewares") {
            if attached.contains(&name) || chained.contains(&name) {
                continue;
            }
            self.settings.take(&format!("http.middlewares.{name}")).for_each(drop);
            let found = report.warning("traefik::unattached", format!("no router has middleware `{name}`"));
            found.at(first.span.clone(), "defined, and without any effect");
            found.help(match &first.owner {
                Some(_) => format!("attach it: traefik.http.routers.ROUTER.middlewares={name}"),
                None => format!("name it in `middlewares` of a router: {name}"),
            });
        }
    }
}

impl<'a> One<'a, '_> {
    fn get(&self, key: &str) -> Option<&'a Setting> {
        self.settings.get(&format!("{}.{key}", self.at))
    }

    fn put(&mut self, key: &str, node: Node) {
        self.policy.put(key, node, self.report);
    }

    fn text(&mut self, key: &str, own: &Setting) {
        self.put(key, node::text(own.text(), &own.span));
    }

    /// It is not taken over.
    fn lost(&mut self, span: &Span, what: &str) {
        self.settings.take(&self.at).for_each(drop);
        let message = format!("middleware `{}` is not taken over whole", self.name);
        self.report.warning("traefik::middleware", message).at(span.clone(), what.to_owned());
    }

    fn rewrite(&mut self, pattern: String, with: String, span: &Span) {
        let entry =
            node::table(vec![("match", node::text(pattern, span)), ("with", node::text(with, span))], span);
        self.put("rewrite", node::list(vec![entry], span));
    }

    fn translate(&mut self, kind: &str) {
        let span = self.span.clone();
        match kind {
            "stripprefix" => self.strip_prefix(),
            "stripprefixregex" => {
                let list = self.get("regex").map(Setting::list).unwrap_or_default();
                for pattern in list {
                    self.rewrite(format!("^(?:{})/?", pattern.trim_start_matches('^')), "/".into(), &span);
                }
            }
            "addprefix" => self.get("prefix").into_iter().for_each(|own| self.text("add_prefix", own)),
            "replacepath" => {
                let path = self.get("path").map_or("/", Setting::text).replace('$', "$$");
                self.rewrite("^.*$".into(), path, &span);
            }
            "replacepathregex" => {
                let (Some(pattern), Some(with)) = (self.get("regex"), self.get("replacement")) else {
                    return;
                };
                self.rewrite(pattern.text().to_owned(), with.text().to_owned(), &pattern.span);
            }
            "redirectscheme" => self.redirect_scheme(),
            "redirectregex" => self.redirect_regex(),
            "headers" => self.headers(),
            "basicauth" => self.basic_auth(),
            "digestauth" => {
                self.lost(&span, "digest authentication is not supported: nobody gets through");
                self.policy.deny_all(&span, self.report);
            }
            "ipallowlist" | "ipwhitelist" => match self.get("sourcerange") {
                Some(own) => self.put("allow", node::texts(own.list(), &own.span)),
                None => self.policy.deny_all(&span, self.report),
            },
            "ratelimit" => self.rate_limit(),
            "inflightreq" => self.in_flight(),
            "buffering" => {
                if let Some(own) = self.get("maxrequestbodybytes") {
                    match own.text().parse::<i64>() {
                        Ok(bytes) if bytes > 0 => self.put("body", node::number(bytes, &own.span)),
                        _ => {}
                    }
                }
            }
            "compress" => self.put("compress", node::flag(true, &span)),
            "retry" => self.lost(
                &span,
                "what is safe to send twice is sent again by itself, `retries` of an app bounds it",
            ),
            "circuitbreaker" => self
                .lost(&span, "an instance where requests fail is left alone by itself: `circuit` of an app"),
            "forwardauth" => self.forward_auth(),
            "contenttype" => {}
            "errors" => self.lost(&span, "error pages are files here: `error_pages` of a route"),
            "passtlsclientcert" => self.lost(&span, "clients' certificates are not asked for"),
            "grpcweb" => self.lost(&span, "gRPC-Web is not translated"),
            _ => {
                self.lost(&span, "Mainstay has nothing of this kind: nobody gets through");
                self.policy.deny_all(&span, self.report);
            }
        }
    }

    fn strip_prefix(&mut self) {
        let Some(own) = self.get("prefixes") else { return };
        self.get("forceslash");
        match own.list()[..] {
            [] => {}
            [prefix] => self.put("strip_prefix", node::text(prefix, &own.span)),
            _ => {
                let any: Vec<String> =
                    own.list().iter().map(|one| regex::escape(one.trim_end_matches('/'))).collect();
                self.rewrite(format!("^(?:{})(?:/|$)", any.join("|")), "/".into(), &own.span);
                self.lost(&own.span, "of several prefixes none is said in `X-Forwarded-Prefix`");
            }
        }
    }

    fn status(&self) -> i64 {
        if self.get("permanent").is_some_and(Setting::flag) { 301 } else { 302 }
    }

    fn redirect_scheme(&mut self) {
        let scheme = self.get("scheme").map_or("https", Setting::text).to_ascii_lowercase();
        let port = self.get("port").map_or("", Setting::text);
        let status = self.status();
        if scheme == "https" {
            self.policy.to_https = true;
        }
        let port = if port.is_empty() || matches!((&*scheme, port), ("https", "443") | ("http", "80")) {
            String::new()
        } else {
            format!(":{port}")
        };
        self.redirect(&format!("{scheme}://{{host}}{port}{{path}}{{query}}"), status);
    }

    fn redirect(&mut self, to: &str, status: i64) {
        let span = self.span.clone();
        let entries = vec![("to", node::text(to, &span)), ("status", node::number(status, &span))];
        self.policy.redirect = Some(node::table(entries, &span));
    }

    /// `^https?://www.example.com/(.*)` to `https://example.com/${1}` and the like: of the rest of an address nothing is changed.
    fn redirect_regex(&mut self) {
        let (Some(pattern), Some(to)) = (self.get("regex"), self.get("replacement")) else { return };
        let status = self.status();
        let target = to.text();
        let rest = ["/(.*)", "/?(.*)", "(.*)", "(/.*)", "(/.*)?"].into_iter().find_map(|end| {
            let stem = pattern.text().trim_end_matches('$').strip_suffix(end)?;
            (!stem.contains('(') || stem.contains("(?:") || stem.ends_with("https?://")).then_some(stem)
        });
        let own = ["/${1}", "/$1", "${1}", "$1"].into_iter().find_map(|end| target.strip_suffix(end));
        match (rest, own) {
            (Some(_), Some(own)) if !own.contains('$') => {
                self.redirect(&format!("{own}{{path}}{{query}}"), status)
            }
            _ if !target.contains('$') => self.redirect(target, status),
            _ => {
                let span = pattern.span.clone();
                self.lost(
                    &span,
                    "parts of an address cannot be put together anew: requests are passed on as they are",
                );
            }
        }
    }
}
