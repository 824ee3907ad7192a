//! Routers: which requests, by which entry points, to whom, in which order.

use super::fixed::Fixed;
use super::services::{self, Target};
use super::settings::{Setting, Settings};
use crate::condition;
use crate::diagnostic::Report;
use crate::tree::Span;
use model::condition::Condition;
use std::collections::{BTreeMap, BTreeSet};

/// A router that can be served.
#[derive(Debug, Clone)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// Which requests.
    pub rule: Condition,
    /// The greater is asked first.
    pub priority: i64,
    /// Places of its entry points in [`Fixed::doors`].
    pub doors: BTreeSet<usize>,
    /// It answers over TLS only.
    pub tls: bool,
    /// The resolver of its certificates.
    pub resolver: Option<String>,
    /// Who answers.
    pub target: Target,
    /// Names of its middlewares, those of its entry points first.
    pub middlewares: Vec<(String, Span)>,
    /// Where it stands.
    pub span: Span,
}

/// A router whose rule is still to be found.
struct Raw<'a> {
    name: String,
    rule: Option<&'a Setting>,
    owner: Option<&'a str>,
    span: Span,
}

/// Reads all HTTP routers, first those that are asked first.
pub fn read(
    settings: &Settings,
    fixed: &Fixed,
    project: &str,
    services: &services::Services<'_>,
    report: &mut Report,
) -> Vec<Router> {
    let raw: Vec<Raw<'_>> = settings
        .names("http.routers")
        .into_iter()
        .map(|(name, first)| {
            let rule =
                settings.get(&format!("http.routers.{name}.rule")).filter(|own| !own.text().is_empty());
            let span = rule.map_or(first.span.clone(), |own| own.span.clone());
            Raw { rule, owner: first.owner.as_deref(), span, name }
        })
        .collect();
    let mut routers: Vec<Router> =
        raw.iter().filter_map(|own| router(settings, fixed, project, services, own, &raw, report)).collect();
    routers.sort_by(|one, other| other.priority.cmp(&one.priority).then_with(|| one.name.cmp(&other.name)));
    routers
}

fn router(
    settings: &Settings,
    fixed: &Fixed,
    project: &str,
    services: &services::Services<'_>,
    raw: &Raw<'_>,
    all: &[Raw<'_>],
    report: &mut Report,
) -> Option<Router> {
    let at = format!("http.routers.{}", raw.name);
    let get = |key: &str| settings.get(&format!("{at}.{key}"));
    let text = rule(raw, all, fixed, project, report)?;
    let rule = match condition::parse(&text) {
        Ok(rule) => rule,
        Err(fault) => {
            let written = report.written(&raw.span).find(&text).map(|found| raw.span.start + found);
            let place =
                written.map_or(raw.span.clone(), |start| start + fault.at.start..start + fault.at.end);
            let found = report.error(
                "traefik::rule",
                format!("the rule of router `{}` cannot be read: {}", raw.name, fault.what),
            );
            found.at(place, fault.what).help_if(fault.help);
            return None;
        }
    };
    get("rulesyntax");
    get("observability");
    let priority = get("priority").and_then(|own| own.text().parse().ok()).filter(|own| *own != 0);
    let tls = get("tls").is_some_and(Setting::flag) || settings.take(&format!("{at}.tls")).count() > 0;
    for (key, domain) in settings.below(&format!("{at}.tls.domains")) {
        let found = report.warning("traefik::domains", format!("`tls.domains.{key}` is not taken over"));
        found.at(domain.span.clone(), "a certificate is for the hosts of the rules");
        found.help("name the host in a rule: Host(`a.shop.de`) || Host(`b.shop.de`)");
    }
    let doors = doors(settings, &at, raw, fixed, report);
    let own = get("tls.certresolver").map(|own| (own.text().to_ascii_lowercase(), own.span.clone()));
    let resolver = own.or_else(|| {
        doors.iter().filter_map(|place| fixed.doors.get(*place)).find_map(|door| door.resolver.clone())
    });
    if let Some((_, span)) = &resolver {
        placeholders(&rule, span, report);
    }
    let mut middlewares: Vec<(String, Span)> = doors
        .iter()
        .filter_map(|place| fixed.doors.get(*place))
        .flat_map(|door| door.middlewares.iter().map(|name| (plain(name), door.span.clone())))
        .collect();
    middlewares.dedup();
    let own = get("middlewares");
    middlewares.extend(
        own.iter().flat_map(|own| own.list().into_iter().map(|name| (plain(name), own.span.clone()))),
    );
    let service = get("service");
    let target = services.target(service, raw.owner, &raw.name, &raw.span, report)?;
    Some(Router {
        name: raw.name.clone(),
        priority: priority.unwrap_or_else(|| i64::try_from(text.len()).unwrap_or(i64::MAX)),
        rule,
        doors,
        tls,
        resolver: resolver.map(|(name, _)| name),
        target,
        middlewares,
        span: raw.span.clone(),
    })
}

/// Nobody asks an authority for a certificate of a name that documents use in examples.
fn placeholders(rule: &Condition, resolver: &Span, report: &mut Report) {
    let mut hosts = Vec::new();
    super::hosts::named(rule, &mut hosts, &mut BTreeSet::new());
    for host in hosts.iter().filter(|host| crate::values::is_placeholder(host)) {
        let found = report.warning("traefik::placeholder", format!("no certificate is asked for `{host}`"));
        found.at(resolver.clone(), "a name that documents use in examples");
        found.help("write your own domain; until then the local authority makes its certificate");
    }
}

/// The rule of a router; one without takes over that of another router of its service, else it has the default one.
fn rule(raw: &Raw<'_>, all: &[Raw<'_>], fixed: &Fixed, project: &str, report: &mut Report) -> Option<String> {
    if let Some(rule) = raw.rule {
        return Some(rule.text().to_owned());
    }
    let same_owner = all.iter().filter(|other| other.rule.is_some() && other.owner == raw.owner);
    // `web-https` is meant as `web-http` over HTTPS: whose name has most in common.
    let common = |other: &Raw<'_>| {
        raw.name.bytes().zip(other.name.bytes()).take_while(|(one, two)| one == two).count()
    };
    if let Some(other) = same_owner.max_by_key(|other| common(other)) {
        let rule = other.rule.map_or("", Setting::text).to_owned();
        let message = format!("router `{}` has no rule: it takes over that of `{}`", raw.name, other.name);
        let found = report.warning("traefik::no_rule", message);
        found.at(raw.span.clone(), "no rule").at(other.span.clone(), "this one");
        found.help(format!("write it out: traefik.http.routers.{}.rule={rule}", raw.name));
        return Some(rule);
    }
    let Some(owner) = raw.owner else {
        let found = report.error("traefik::no_rule", format!("router `{}` has no rule", raw.name));
        found.at(raw.span.clone(), "nothing says which requests are meant");
        return None;
    };
    let name = format!("{owner}-{project}");
    let template = fixed.default_rule.as_deref().unwrap_or("Host(`{{ normalize .Name }}`)");
    let normal: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let mut rule = template.to_owned();
    for written in ["{{ normalize .Name }}", "{{normalize .Name}}"] {
        rule = rule.replace(written, &normal);
    }
    for written in ["{{ .Name }}", "{{.Name}}", "{{ .ContainerName }}", "{{.ContainerName}}"] {
        rule = rule.replace(written, &name);
    }
    rule = rule.replace("{{ index .Labels \"com.docker.compose.service\" }}", owner);
    let found = report.info("traefik::no_rule", format!("router `{}` has no rule: {rule}", raw.name));
    found.at(raw.span.clone(), "Traefik's default for a service without one");
    Some(rule)
}

/// The entry points of a router: those it names, else all.
fn doors(
    settings: &Settings,
    at: &str,
    raw: &Raw<'_>,
    fixed: &Fixed,
    report: &mut Report,
) -> BTreeSet<usize> {
    let http = || fixed.doors.iter().enumerate().filter(|(_, door)| !door.udp);
    let Some(named) = settings.get(&format!("{at}.entrypoints")) else {
        return http().map(|(place, _)| place).collect();
    };
    let mut doors = BTreeSet::new();
    for name in named.list() {
        match http().find(|(_, door)| door.name.eq_ignore_ascii_case(name)) {
            Some((place, _)) => drop(doors.insert(place)),
            None => {
                let message = format!("router `{}` names entry point `{name}`, which there is not", raw.name);
                let known: Vec<&str> = http().map(|(_, door)| door.name.as_str()).collect();
                let found = report.warning("traefik::entry_point", message);
                found.at(named.span.clone(), "no such entry point");
                found.help(format!("entry points here: {}", known.join(", ")));
            }
        }
    }
    doors
}

/// A name without its provider.
pub fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.split_once('@') {
        Some((own, provider)) if provider != "internal" => own.to_owned(),
        _ => name,
    }
}

/// Where an entry point sends all its requests to another: what is only reached there is moved to that other one.
pub fn follow_redirections(fixed: &Fixed, routers: &mut [Router], report: &mut Report) {
    let place = |name: &str| fixed.doors.iter().position(|door| door.name == name);
    let targets: BTreeMap<usize, usize> = fixed
        .doors
        .iter()
        .enumerate()
        .filter_map(|(own, door)| Some((own, place(door.redirect.as_deref()?)?)))
        .collect();
    for router in routers.iter_mut() {
        for (from, to) in &targets {
            if !router.doors.remove(from) {
                continue;
            }
            let (Some(own), Some(other)) = (fixed.doors.get(*from), fixed.doors.get(*to)) else { continue };
            let was_there = !router.doors.insert(*to);
            if !was_there || !router.tls {
                let message = format!(
                    "router `{}` answers on `{}`: `{}` leads all requests there",
                    router.name, other.name, own.name
                );
                let found = report.warning("traefik::redirected", message);
                found.at(router.span.clone(), "Traefik itself would answer 404 over HTTPS");
                found.at(own.span.clone(), "leads all requests elsewhere");
                found.help(format!(
                    "write traefik.http.routers.{}.entrypoints={} and .tls=true",
                    router.name, other.name
                ));
            }
        }
    }
}

/// `TRAEFIK_HTTPS_ENABLED=false`: entry points with TLS are not there, and what was only reached there is reached by the plain ones.
pub fn without_https(fixed: &mut Fixed, routers: &mut [Router], report: &mut Report) {
    for door in &mut fixed.doors {
        door.redirect = None;
        if door.tls && door.listen.take().is_some() {
            let found = report.info("traefik::https", format!("entry point `{}` is not there", door.name));
            found.at(door.span.clone(), "TRAEFIK_HTTPS_ENABLED=false: all is served over plain HTTP");
        }
    }
    let plain = |(place, door): (usize, &super::fixed::Door)| (!door.tls && !door.udp).then_some(place);
    let plain: BTreeSet<usize> = fixed.doors.iter().enumerate().filter_map(plain).collect();
    for router in routers {
        router.tls = false;
        router.doors.retain(|place| plain.contains(place));
        if router.doors.is_empty() {
            router.doors.clone_from(&plain);
        }
    }
}
