//! Where the edge listens, whom it believes, and what it holds all clients to.

use super::{Context, items, rate};
use crate::file::{BanFile, BanTable, EdgeFile, LogFormatFile, ManifestFile, OneOrMany};
use crate::place::Place;
use crate::tree::Origin;
use crate::values;
use model::AppName;
use model::service::ServiceSpec;
use model::site::{BanRule, EdgeSpec, LogFormat};
use model::spec::{AppSpec, Listen};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Where the edge listens if nothing is said: on this machine only.
const DEFAULT_HTTP: &str = "127.0.0.1:8080";

/// Where the edge listens: for HTTP, for HTTPS.
pub fn listen(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    // Sites with doors of their own, and apps that nobody asks, need none.
    let needed = file.site.iter().any(|site| site.listen.is_none());
    let file = &file.listen;
    let mut seen = Vec::new();
    let mut http = addresses(context, place.key("http"), file.http.as_ref(), &mut seen);
    let https = addresses(context, place.key("https"), file.https.as_ref(), &mut seen);
    if file.http.is_none() {
        http.extend(DEFAULT_HTTP.parse::<SocketAddr>());
    } else if items(place.key("http"), file.http.as_ref()).next().is_none() && file.https.is_none() && needed
    {
        let found = context.report.error("listen::nowhere", "the edge would listen nowhere");
        found.at(place.key("http").span(), "empty").help(format!("leave the key out for {DEFAULT_HTTP:?}"));
    }
    (http, https)
}

/// Where a site alone is reached.
pub fn own(context: &mut Context<'_>, place: Place<'_>, file: Option<&OneOrMany>) -> Vec<SocketAddr> {
    let own = addresses(context, place, file, &mut Vec::new());
    if own.iter().any(|address| address.port() == 0) {
        let found = context.report.error("address::bad", "a site's own address needs a port");
        found.at(place.span(), "port 0 is another one each time");
    }
    own
}

fn addresses(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&OneOrMany>,
    seen: &mut Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    let mut own = Vec::new();
    for (place, text) in items(place, file) {
        // `https = "${HTTPS:-}"`: whoever deploys says whether there is any.
        if text.is_empty() && place.origin() != Origin::Written {
            continue;
        }
        let all = resolved(context, place, text);
        // Port 0 is another port each time.
        if all.iter().any(|address| address.port() != 0 && seen.contains(address)) {
            let found = context.report.error("listen::twice", format!("{text} is listed twice"));
            found.at(place.span(), "again here").help("remove it");
            continue;
        }
        seen.extend(&all);
        own.extend(all);
    }
    own
}

/// The addresses of one text: `:8080` are two where the host has both families. Says what is wrong with it.
pub fn resolved(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Vec<SocketAddr> {
    match values::listen(text) {
        Ok(mut all) => {
            if all.len() > 1 && !context.disk.has_ipv6() {
                all.retain(SocketAddr::is_ipv4);
            }
            all
        }
        Err(wrong) => {
            context.wrong("address::bad", format!("{text:?} is nowhere to listen"), place, wrong);
            Vec::new()
        }
    }
}

/// Peers that are believed.
pub fn trusted(context: &mut Context<'_>, place: Place<'_>, file: &ManifestFile) -> Vec<ipnet::IpNet> {
    let list = place.key("trusted");
    let networks = super::networks(context, list, file.trusted.as_ref());
    for (place, text) in items(list, file.trusted.as_ref()) {
        if values::network(text).is_ok_and(|network| network.prefix_len() == 0) {
            let found = context.report.warning("trusted::everyone", "every client is trusted");
            found.at(place.span(), "anybody can say which address a request comes from");
            found.help("list only the proxies that stand before Mainstay");
        }
    }
    if file.listen.proxy_protocol == Some(true) && networks.is_empty() && !list.given() {
        let place = place.key("listen").key("proxy_protocol");
        let found = context.report.error("trusted::nobody", "nobody may speak the PROXY protocol");
        found.at(place.name_span(), "only trusted peers may");
        found.help("list the load balancer's addresses: `trusted = [\"10.0.0.0/8\"]`");
    }
    networks
}

/// What all clients are held to.
pub fn edge(context: &mut Context<'_>, place: Place<'_>, file: &EdgeFile) -> EdgeSpec {
    let default = EdgeSpec::default();
    let client = file.client.clone().unwrap_or_default();
    let connects = client.connects.as_deref().and_then(|text| {
        let place = place.key("client").key("connects");
        let (count, per_ms) = rate(context, place, text)?;
        if per_ms != 1000 {
            let found = context.report.error("rate::bad", format!("{text:?} is not a rate that fits here"));
            found.at(place.span(), "connections are counted by the second").help("write `\"200/s\"`");
        }
        Some(count)
    });
    let whole = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    EdgeSpec {
        access_log: match file.access_log {
            None | Some(LogFormatFile::Json) => LogFormat::Json,
            Some(LogFormatFile::Combined) => LogFormat::Combined,
        },
        ban: ban(context, place.key("ban"), file.ban.as_ref()),
        client_connections: whole(client.connections).unwrap_or(default.client_connections),
        client_connects: connects.unwrap_or(default.client_connects),
        limit_loopback: file.client.is_some(),
    }
}

fn ban(context: &mut Context<'_>, place: Place<'_>, file: Option<&BanFile>) -> Option<BanRule> {
    let table = match file {
        None | Some(BanFile::Switch(false)) => return None,
        Some(BanFile::Switch(true)) => BanTable::default(),
        Some(BanFile::Table(table)) => table.clone(),
    };
    let (within, time) = (Duration::from_secs(600), Duration::from_secs(3600));
    Some(BanRule {
        offences: table.offences.and_then(|number| u32::try_from(number).ok()).unwrap_or(10),
        within_s: context.seconds(place.key("within"), table.within.as_ref(), within, false),
        ban_s: context.seconds(place.key("for"), table.time.as_ref(), time, false),
    })
}

/// Two owners of one port.
pub fn ports(
    context: &mut Context<'_>,
    place: Place<'_>,
    apps: &BTreeMap<AppName, AppSpec>,
    services: &BTreeMap<AppName, ServiceSpec>,
    edge: &[SocketAddr],
) {
    // The port of one with an address of its own is nobody else's.
    let of_apps =
        apps.iter().filter(|(_, app)| !app.has_own_address()).filter_map(|(name, app)| match app.listen {
            Listen::Port(port) => Some(("app", name, port)),
            _ => None,
        });
    let of_services = services.iter().filter_map(|(name, own)| Some(("service", name, own.port?)));
    let mut owners: BTreeMap<u16, (&str, &AppName)> = BTreeMap::new();
    for (kind, name, port) in of_apps.chain(of_services) {
        let of = |(kind, name): (&str, &AppName)| place.key(kind).key(name.as_str()).key("port").span();
        if let Some(first) = owners.insert(port, (kind, name)) {
            let message = match (first, kind) {
                (("app", other), "app") => format!("apps `{other}` and `{name}` both have port {port}"),
                ((first, other), _) => {
                    format!("{first} `{other}` and {kind} `{name}` both have port {port}")
                }
            };
            let found = context.report.error("port::taken", message);
            found.at(of((kind, name)), "again here").at(of(first), "first here");
            found.help(match kind {
                "app" => "leave `port` out: a free one is picked and given as `$PORT`",
                _ => "leave `port` out: a free one is picked, and given to the apps that need the service",
            });
        }
        let clashes = |address: &&SocketAddr| {
            address.port() == port && (address.ip().is_loopback() || address.ip().is_unspecified())
        };
        if let Some(address) = edge.iter().find(clashes) {
            let message = format!("{kind} `{name}` has port {port}, and so has the edge at {address}");
            let found = context.report.error("port::taken", message);
            found.at(of((kind, name)), "the edge listens there");
        }
    }
}
