//! `[[forward]]`: who listens where, and which app it leads to.

use super::site::Scope;
use super::{Context, door, handler, missing};
use crate::file::{ForwardFile, ManifestFile, ProtocolFile};
use crate::place::Place;
use crate::tree::Span;
use model::AppName;
use model::network::{ForwardSpec, Protocol};
use model::spec::SiteSpec;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Checks every one. `common`: where the stack listens for its sites.
pub fn forwards(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    scope: &Scope<'_>,
    common: &[SocketAddr],
    sites: &[SiteSpec],
) -> Vec<ForwardSpec> {
    let mut taken: BTreeMap<(Protocol, SocketAddr), Option<Span>> = BTreeMap::new();
    let sites = sites.iter().flat_map(|site| &site.listen).chain(common);
    taken.extend(sites.map(|address| ((Protocol::Tcp, *address), None)));
    let mut specs = Vec::new();
    for (index, file) in file.forward.iter().enumerate() {
        let place = place.item(index);
        let own = place.key("listen").span();
        for spec in forward(context, place, file, scope).into_iter().flatten() {
            let Some(first) = taken.insert((spec.protocol, spec.listen), Some(own.clone())) else {
                specs.push(spec);
                continue;
            };
            let message = format!("{} is taken already", spec.listen);
            let found = context.report.error("listen::twice", message);
            match first {
                Some(first) => found.at(own.clone(), "again here").at(first, "first here"),
                None => found.at(own.clone(), "sites are reached there"),
            };
        }
    }
    specs
}

fn forward(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ForwardFile,
    scope: &Scope<'_>,
) -> Option<Vec<ForwardSpec>> {
    missing(context, place, "listen", "a forward", "write `listen = \"127.0.0.1:6380\"`");
    missing(context, place, "app", "a forward", "write the name of the app that it leads to");
    let listen = listen(context, place.key("listen"), file.listen.as_deref()?);
    let app = handler::to_app(context, place.key("app"), file.app.as_deref()?, scope)?;
    let port = file.port.and_then(|port| u16::try_from(port).ok());
    if port.is_some() && !has_address(context, place, scope, &app) {
        return None;
    }
    let protocol = match file.protocol {
        None | Some(ProtocolFile::Tcp) => Protocol::Tcp,
        Some(ProtocolFile::Udp) => Protocol::Udp,
    };
    Some(listen.into_iter().map(|listen| ForwardSpec { listen, protocol, app: app.clone(), port }).collect())
}

fn listen(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Vec<SocketAddr> {
    let all = door::resolved(context, place, text);
    if all.iter().any(|address| address.port() == 0) {
        let found = context.report.error("address::bad", "a forward needs a port");
        found.at(place.span(), "port 0 is another one each time");
    }
    all
}

/// Whether an app's instances have addresses of their own, of which a port can be named; says so where not.
pub fn has_address(context: &mut Context<'_>, place: Place<'_>, scope: &Scope<'_>, app: &AppName) -> bool {
    let own = scope.apps.get(app).is_none_or(|app| app.container.is_some() || !app.networks.is_empty());
    if !own {
        let message = format!("app `{app}` has no address of its own, of which this could be a port");
        let found = context.report.error("route::port", message);
        found.at(place.key("port").span(), "a port of the host's");
        found.help(
            "leave it out: the app is asked where it takes requests; or write `proxy = \"127.0.0.1:PORT\"`",
        );
    }
    own
}
