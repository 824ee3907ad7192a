//! Middlewares → keys of a route's policy. What cannot be had is listed with what that means; where it would have kept somebody out,
//! nobody gets through.

mod headers;

use super::node;
use super::routers::plain;
use super::services::address;
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
            drop(self.settings.get(&at));
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
        drop(self.get("forceslash"));
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

    fn basic_auth(&mut self) {
        let span = self.span.clone();
        let realm = self.get("realm");
        let Some(users) = self.get("users") else {
            self.lost(&span, "users of a file are not taken over: nobody gets through");
            drop(self.get("usersfile"));
            return self.policy.deny_all(&span, self.report);
        };
        let pairs: Vec<(&str, &str)> =
            users.list().into_iter().filter_map(|user| user.split_once(':')).collect();
        if pairs.is_empty() || pairs.iter().any(|(_, hash)| !hash.starts_with("$argon2")) {
            let message = format!(
                "passwords of middleware `{}` are hashed in a way that Mainstay does not check",
                self.name
            );
            let found = self.report.warning("traefik::password", message);
            found.at(users.span.clone(), "nobody gets through");
            found.help("make new hashes with `mainstay hash-password`, and put them here");
            return self.policy.deny_all(&span, self.report);
        }
        let entries = pairs.into_iter().map(|(name, hash)| (name, node::text(hash, &users.span))).collect();
        let mut table = vec![("users", node::table(entries, &users.span))];
        table.extend(realm.map(|own| ("realm", node::text(own.text(), &own.span))));
        self.put("basic_auth", node::table(table, &span));
        for key in ["removeheader", "headerfield"] {
            if let Some(own) = self.get(key) {
                self.lost(&own.span, "the name and the password are passed on as they came");
            }
        }
    }

    /// `average` in each `period`, and `burst` at once.
    fn rate_limit(&mut self) {
        let span = self.span.clone();
        let average: i64 = self.get("average").and_then(|own| own.text().parse().ok()).unwrap_or(0);
        let burst: i64 = self.get("burst").and_then(|own| own.text().parse().ok()).unwrap_or(1);
        let period = self.get("period").map_or("1s", Setting::text).to_owned();
        if average < 1 {
            return;
        }
        let seconds = match period.parse::<f64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => crate::units::duration(&period).ok().map(|own| own.as_secs_f64()),
        };
        let rate = [("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)].into_iter().find_map(
            |(unit, length)| {
                let count = number(average) * length / seconds.filter(|own| *own > 0.0)?;
                (count >= 1.0 && (count - count.round()).abs() < 1e-6).then(|| format!("{count:.0}/{unit}"))
            },
        );
        let Some(rate) = rate else {
            self.lost(&span, "its period is not a length of time that fits: there is no limit");
            return;
        };
        let by = self.source("client");
        let entries = vec![
            ("rate", node::text(rate, &span)),
            ("burst", node::number((burst - 1).max(0), &span)),
            ("by", node::text(by, &span)),
        ];
        self.put("limit", node::list(vec![node::table(entries, &span)], &span));
    }

    fn in_flight(&mut self) {
        let span = self.span.clone();
        let Some(most) =
            self.get("amount").and_then(|own| own.text().parse::<i64>().ok()).filter(|most| *most > 0)
        else {
            return;
        };
        let by = self.source("client");
        let entries = vec![
            ("most", node::number(most, &span)),
            ("by", node::text(by, &span)),
            ("status", node::number(429, &span)),
        ];
        self.put("concurrency", node::list(vec![node::table(entries, &span)], &span));
    }

    /// What a limit counts by.
    fn source(&mut self, default: &str) -> String {
        if let Some(own) = self.get("sourcecriterion.requestheadername") {
            return format!("header:{}", own.text());
        }
        if self.get("sourcecriterion.requesthost").is_some_and(Setting::flag) {
            return "route".to_owned();
        }
        default.to_owned()
    }

    fn forward_auth(&mut self) {
        let span = self.span.clone();
        let url = self.get("address").map_or("", Setting::text);
        if url.starts_with("https://") || url.is_empty() {
            self.lost(&span, "the server cannot be asked over HTTPS: nobody gets through");
            return self.policy.deny_all(&span, self.report);
        }
        let (name, port) = address(url);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let mut entries = vec![("path", node::text(path, &span))];
        match self.apps.contains(name) {
            true => entries.push(("app", node::text(name, &span))),
            false => entries.push(("proxy", node::text(format!("{name}:{}", port.unwrap_or(80)), &span))),
        }
        if let Some(own) = self.get("authresponseheaders") {
            entries.push(("copy", node::texts(own.list(), &own.span)));
        }
        self.put("forward_auth", node::table(entries, &span));
        for key in [
            "trustforwardheader",
            "authrequestheaders",
            "authresponseheadersregex",
            "addauthcookiestoresponse",
        ] {
            if let Some(own) = self.get(key) {
                self.lost(
                    &own.span,
                    "it is asked with the request's head, and its own headers are taken by name",
                );
            }
        }
    }
}

/// As a number with a fraction; beyond 2^53 nobody limits.
#[allow(clippy::cast_precision_loss)]
fn number(number: i64) -> f64 {
    number as f64
}
