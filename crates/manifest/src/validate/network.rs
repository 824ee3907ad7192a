//! `[network.NAME]` and `[volume.NAME]`, and whether what apps name is there.

use super::Context;
use crate::diagnostic::nearest;
use crate::file::{ManifestFile, NetworkFile};
use crate::place::Place;
use crate::values;
use ipnet::IpNet;
use model::AppName;
use model::container::{MountSource, VolumeSpec};
use model::network::{JoinSpec, NetworkSpec, SubnetSpec};
use model::spec::AppSpec;
use std::collections::BTreeMap;

/// Where a container is that names no network.
const DEFAULT: &str = "default";

/// All networks. Containers that name none join the default one.
pub fn networks(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    apps: &mut BTreeMap<AppName, AppSpec>,
) -> BTreeMap<String, NetworkSpec> {
    let mut networks = BTreeMap::new();
    for (name, network) in &file.network {
        networks.insert(name.clone(), one(context, place.key("network").key(name), network));
    }
    for (name, app) in apps {
        let contained = app.container.as_ref().is_some_and(|own| own.network_mode.is_none());
        if contained && app.networks.is_empty() {
            app.networks.push(JoinSpec { network: DEFAULT.into(), ..JoinSpec::default() });
        }
        let place = place.key("app").key(name.as_str()).key("networks");
        for (index, join) in app.networks.iter().enumerate() {
            if join.network == DEFAULT {
                networks.entry(DEFAULT.into()).or_default();
            } else if !networks.contains_key(&join.network) {
                let own = if place.key(&join.network).given() {
                    place.key(&join.network)
                } else {
                    place.item(index)
                };
                let found = context
                    .report
                    .error("network::unknown", format!("there is no network `{}`", join.network));
                found.at(own.span(), "no such network");
                found.help(match nearest(&join.network, networks.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add `[network.{}]`", join.network),
                });
            }
        }
    }
    networks
}

fn one(context: &mut Context<'_>, place: Place<'_>, file: &NetworkFile) -> NetworkSpec {
    let mut subnets = Vec::new();
    for (index, subnet) in file.subnets.iter().enumerate() {
        let place = place.key("subnets").item(index);
        let Some(range) = network(context, place.key("subnet"), subnet.subnet.as_deref()) else {
            if !place.key("subnet").given() {
                let found = context.report.error("key::missing", "a range of addresses is missing");
                found.at(place.span(), "write `subnet = \"172.20.0.0/16\"`");
            }
            continue;
        };
        let gateway = subnet.gateway.as_deref().and_then(|text| {
            let wrong = |_| {
                let found = context.report.error("address::bad", format!("{text:?} is no address"));
                found.at(place.key("gateway").span(), "write `172.20.0.1`");
            };
            text.parse().map_err(wrong).ok()
        });
        let part = network(context, place.key("range"), subnet.range.as_deref());
        if part.is_some_and(|part| !range.contains(&part))
            || gateway.is_some_and(|gateway| !range.contains(&gateway))
        {
            let found = context.report.error("network::outside", "this is not inside the subnet");
            found.at(place.span(), format!("outside {range}"));
        }
        subnets.push(SubnetSpec { subnet: range, gateway, range: part });
    }
    NetworkSpec {
        name: file.name.clone(),
        external: file.external.unwrap_or(false),
        driver: file.driver.clone(),
        driver_opts: file.driver_opts.clone(),
        subnets,
        internal: file.internal.unwrap_or(false),
        ipv6: file.ipv6.unwrap_or(false),
        labels: file.labels.clone(),
    }
}

fn network(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<IpNet> {
    let text = text?;
    let wrong = |wrong| context.wrong("address::bad", format!("{text:?} is no network"), place, wrong);
    values::network(text).map_err(wrong).ok()
}

/// All volumes, those that are named by an app alone included.
pub fn volumes(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ManifestFile,
    apps: &BTreeMap<AppName, AppSpec>,
) -> BTreeMap<String, VolumeSpec> {
    let mut volumes = BTreeMap::new();
    for (name, own) in &file.volume {
        let spec = VolumeSpec {
            name: own.name.clone(),
            external: own.external.unwrap_or(false),
            driver: own.driver.clone(),
            driver_opts: own.driver_opts.clone(),
            labels: own.labels.clone(),
        };
        let device = spec
            .driver_opts
            .get("device")
            .filter(|_| spec.driver_opts.get("o").is_some_and(|o| o.contains("bind")));
        if let Some(device) =
            device.filter(|device| context.disk.is_real() && !std::path::Path::new(device).is_dir())
        {
            let found = context.report.error("volume::device", format!("there is no folder {device}"));
            found.at(
                place.key("volume").key(name).key("driver_opts").key("device").span(),
                "where this volume is to be",
            );
            found.help(format!("mkdir -p {device}"));
        }
        volumes.insert(name.clone(), spec);
    }
    for (name, app) in apps {
        for (index, mount) in app.mounts.iter().enumerate() {
            let MountSource::Volume(volume) = &mount.source else { continue };
            if volumes.contains_key(volume) {
                continue;
            }
            // One that no table names is made as it is; a slip of the pen would be another volume.
            if let Some(near) = nearest(volume, file.volume.keys().map(String::as_str)) {
                let found =
                    context.report.warning("volume::unknown", format!("there is no `[volume.{volume}]`"));
                found.at(
                    place.key("app").key(name.as_str()).key("volumes").item(index).span(),
                    "another volume will be made",
                );
                found.help(format!("did you mean `{near}`?"));
            }
            volumes.insert(volume.clone(), VolumeSpec::default());
        }
    }
    volumes
}
