//! Apps that nothing leads to: no route, no forward, no other app.

use super::Context;
use crate::file::{ForwardAuthFile, ManifestFile, PolicyKeys};
use crate::place::Place;
use model::AppName;
use model::spec::{AppSpec, Listen};
use model::upkeep::TaskSpec;
use std::collections::BTreeMap;

/// Apps that nothing leads to. Workers are meant to be like that.
pub fn check(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    apps: &BTreeMap<AppName, AppSpec>,
    tasks: &BTreeMap<AppName, TaskSpec>,
) {
    let routed = |name: &AppName| {
        let asks = |keys: &PolicyKeys| match &keys.forward_auth {
            Some(ForwardAuthFile::Table(table)) => table.app.as_deref() == Some(name.as_str()),
            _ => false,
        };
        let routes = || file.site.iter().flat_map(|site| &site.route);
        routes().any(|route| {
            let shared = route.apps.iter().flatten().any(|share| share.app.as_deref() == Some(name.as_str()));
            shared || route.app.as_deref() == Some(name.as_str()) || asks(&route.policy)
        }) || file.site.iter().any(|site| asks(&site.policy))
            || file.forward.iter().any(|forward| forward.app.as_deref() == Some(name.as_str()))
    };
    for (name, app) in apps {
        // a fixed port may be written into what another app is told: `API = "http://127.0.0.1:5010"`
        let fixed = if let Listen::Port(port) = app.listen { Some(format!(":{port}")) } else { None };
        let told = |other: &AppSpec| {
            other.env.values().any(|value| fixed.as_ref().is_some_and(|port| value.expose().contains(port)))
        };
        let others = || apps.values().chain(tasks.values().map(|task| &task.app));
        // Neighbours on a network find it by its name.
        let near = |other: &AppSpec| {
            app.networks.iter().any(|join| other.networks.iter().any(|it| it.network == join.network))
        };
        let known = apps.iter().any(|(other, spec)| other != name && near(spec));
        let needed = known || others().any(|other| other.needs.contains(name) || told(other));
        if app.listen != Listen::Nothing && !needed && !routed(name) {
            context
                .report
                .info("app::unreached", format!("no route and no other app leads to app `{name}`"))
                .at(place.key(name.as_str()).name_span(), "runs, and gets no requests")
                .help("add a route, or `listen = false` if it is a worker");
        }
    }
}
