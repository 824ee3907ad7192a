//! `build` with `context`: the image that an app's containers start from.

use super::{Context, env, items};
use crate::file::{BuildFile, BuildTable};
use crate::place::Place;
use model::container::{BuildArg, ImageBuild};
use model::spec::{BuildSpec, EnvValue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keys that mean an image, and those of steps.
const IMAGE: [&str; 12] = [
    "context",
    "dockerfile",
    "dockerfile_inline",
    "target",
    "args",
    "labels",
    "extra_hosts",
    "shm_size",
    "platform",
    "no_cache",
    "pull",
    "network",
];
const STEPS: [&str; 2] = ["steps", "inputs"];
/// Longest time, unless the manifest says another.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Whether this app's image is built.
pub fn is(place: Place<'_>) -> bool {
    let build = place.key("build");
    build.key("context").given() || build.key("dockerfile_inline").given()
}

/// What only an image has is not for steps.
pub fn none(context: &mut Context<'_>, place: Place<'_>) {
    for key in IMAGE.into_iter().filter(|key| place.key(key).given()) {
        let found = context.report.error("build::no-image", format!("`{key}` is for the build of an image"));
        found
            .at(place.key(key).name_span(), "no `context` beside it")
            .help("write `context = \".\"`, or remove it");
    }
}

/// Checks the build of an image. `place`: `build`. `tag`: `image` beside it, a name that the image also gets.
pub fn image(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &BuildFile,
    tag: Option<String>,
) -> Option<(ImageBuild, BuildSpec)> {
    let BuildFile::Table(table) = file else { return None };
    for key in STEPS.into_iter().filter(|key| place.key(key).given()) {
        let found =
            context.report.error("build::steps", format!("`{key}` means nothing in the build of an image"));
        found
            .at(place.key(key).name_span(), "for apps of the host's")
            .help("what it does belongs into the Dockerfile: `RUN …`");
    }
    let folder = context.path(place.key("context"), table.context.as_deref().unwrap_or("."))?;
    if context.disk.is_to_start() && !folder.is_dir() {
        let found =
            context.report.error("build::context", "the folder that the image is built from does not exist");
        found.at(place.key("context").span(), format!("no folder {}", folder.display()));
        return None;
    }
    let dockerfile = dockerfile(context, place, table, &folder);
    let args = args(context, place.key("args"), table);
    let timeout = context.duration(place.key("timeout"), table.timeout.as_ref(), TIMEOUT, false);
    let image = ImageBuild {
        context: folder,
        dockerfile,
        inline: table.dockerfile_inline.clone(),
        target: table.target.clone(),
        args,
        tag,
        labels: table.labels.clone(),
        extra_hosts: hosts(context, place.key("extra_hosts"), table),
        shm_size: table.shm_size.as_ref().map(|size| context.size(place.key("shm_size"), Some(size), 0)),
        platform: table.platform.clone(),
        no_cache: table.no_cache.unwrap_or(false),
        pull: table.pull.unwrap_or(false),
        network: network(context, place.key("network"), table.network.as_deref()),
    };
    let (steps, inputs, digests) = Default::default();
    Some((image, BuildSpec { steps, inputs, timeout, hash: 0, digests }))
}

fn dockerfile(context: &mut Context<'_>, place: Place<'_>, table: &BuildTable, folder: &Path) -> PathBuf {
    let name = table.dockerfile.as_deref().unwrap_or("Dockerfile");
    if table.dockerfile_inline.is_some() {
        if place.key("dockerfile").given() {
            let found =
                context.report.error("build::dockerfile", "a Dockerfile is named or written here, not both");
            found
                .at(place.key("dockerfile").name_span(), "remove this")
                .at(place.key("dockerfile_inline").name_span(), "or this");
        }
    } else if context.disk.is_to_start() && !folder.join(name).is_file() {
        let at = if place.key("dockerfile").given() { place.key("dockerfile") } else { place.key("context") };
        let found = context.report.error("build::dockerfile", "there is no Dockerfile to build the image by");
        found.at(at.span(), format!("no file {}", folder.join(name).display()));
        found.help("write one, or name another: `dockerfile = \"docker/web.Dockerfile\"`");
    }
    name.into()
}

/// Values as of an app's environment: what came from a variable that sounds secret is one.
fn args(context: &mut Context<'_>, place: Place<'_>, table: &BuildTable) -> BTreeMap<String, BuildArg> {
    let mut args = BTreeMap::new();
    for (name, value) in &table.args {
        let place = place.key(name);
        let arg = match env::value(context, place, name, value) {
            Some(EnvValue::Plain(text)) => BuildArg::Plain(text),
            Some(EnvValue::Secret(secret) | EnvValue::Kept(secret)) => BuildArg::Secret(secret),
            Some(EnvValue::Generate(_)) => {
                let found =
                    context.report.error("build::arg", format!("the value of `{name}` has to be given"));
                found.at(place.span(), "would be made when an instance starts, after the build");
                continue;
            }
            None => continue,
        };
        args.insert(name.clone(), arg);
    }
    args
}

fn hosts(context: &mut Context<'_>, place: Place<'_>, table: &BuildTable) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for (place, text) in items(place, table.extra_hosts.as_ref()) {
        match text.split_once(':').filter(|(name, address)| !name.is_empty() && !address.is_empty()) {
            Some((name, address)) => hosts.push((name.to_owned(), address.to_owned())),
            None => {
                let found =
                    context.report.error("hosts::bad", format!("{text:?} is no line of `/etc/hosts`"));
                found.at(place.span(), "write `name:address`");
            }
        }
    }
    hosts
}

fn network(context: &mut Context<'_>, place: Place<'_>, name: Option<&str>) -> Option<String> {
    let name = name.filter(|name| *name != "default")?;
    if !matches!(name, "host" | "none") {
        let found =
            context.report.error("build::network", format!("a build cannot be on the network {name:?}"));
        found.at(place.span(), "`host` or `none`").help("leave it out: what the engine does");
    }
    Some(name.to_owned())
}
