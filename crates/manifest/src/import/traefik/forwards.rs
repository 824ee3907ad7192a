//! Routers of TCP and UDP → `[[forward]]`: those that take a whole entry point.

use super::fixed::Fixed;
use super::node;
use super::routers::plain;
use super::services::{Services, Target};
use super::settings::{Setting, Settings};
use crate::diagnostic::Report;
use crate::tree::Node;

/// All of them.
pub fn nodes(settings: &Settings, fixed: &Fixed, services: &Services<'_>, report: &mut Report) -> Vec<Node> {
    let mut nodes = Vec::new();
    for protocol in ["tcp", "udp"] {
        for (name, first) in settings.names(&format!("{protocol}.routers")) {
            let at = format!("{protocol}.routers.{name}");
            let get = |key: &str| settings.get(&format!("{at}.{key}"));
            let span = &first.span;
            let mut left_out = |span: &crate::tree::Span, what: &str| {
                let found =
                    report.warning("traefik::forward", format!("{protocol} router `{name}` is left out"));
                found.at(span.clone(), what);
            };
            let rule = get("rule");
            if let Some(rule) =
                rule.filter(|own| !own.text().to_ascii_lowercase().starts_with("hostsni(`*`)"))
            {
                left_out(&rule.span, "only HostSNI(`*`), a whole entry point, can be forwarded");
                continue;
            }
            if let Some(tls) = get("tls").filter(|own| own.flag()) {
                left_out(&tls.span, "TLS is not ended for what is no HTTP");
                continue;
            }
            let wanted = get("entrypoints").map(Setting::list).unwrap_or_default();
            let doors = fixed.doors.iter().filter(|door| door.udp == (protocol == "udp"));
            let doors: Vec<_> =
                doors.filter(|door| wanted.iter().any(|name| door.name.eq_ignore_ascii_case(name))).collect();
            if doors.is_empty() {
                left_out(span, "it names no entry point of its own");
                continue;
            }
            let service = get("service").map(|own| plain(own.text()));
            let prefix = format!("{protocol}.services");
            let own = settings.take(&prefix).find_map(|(rest, setting)| {
                let (name, key) = rest.split_once('.')?;
                let mine = service.as_deref().map_or(setting.owner == first.owner, |own| own == name);
                (mine && key == "loadbalancer.server.port").then_some(setting)
            });
            let Some((app, port)) =
                own.and_then(|own| Some((own.owner.clone()?, own.text().parse::<u16>().ok()?)))
            else {
                left_out(span, "its service has no port of an app");
                continue;
            };
            if !matches!(services.app(&app), Some(Target::Apps(_))) {
                left_out(span, "its service is no app");
                continue;
            }
            for listen in doors.iter().filter_map(|door| door.listen) {
                let entries = vec![
                    ("listen", node::text(listen.to_string(), span)),
                    ("app", node::text(&app, span)),
                    ("port", node::number(port, span)),
                    ("protocol", node::text(protocol, span)),
                ];
                nodes.push(node::table(entries, span));
            }
        }
    }
    nodes
}
