//! `build` and `writable` of an app: what is done, and what has to be there, before its instances start.

use super::{Context, command, image, items, missing, script};
use crate::disk::Identity;
use crate::file::{BuildFile, BuildTable, OneOrMany, StepsFile};
use crate::glob;
use crate::interpolate::{BUILD_DIRECTORY, mentions};
use crate::place::Place;
use crate::values::Wrong;
use model::spec::{BuildSpec, EnvValue, Probe};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the programs of steps are looked for.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Environment of the app.
    pub env: &'a BTreeMap<String, EnvValue>,
    /// Who runs them.
    pub who: Option<&'a Identity>,
}

/// Checks the steps of a build. `around`: nothing where the folder cannot be reached and nothing in it can be looked for.
pub fn build(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &BuildFile,
    dir: &Path,
    around: Option<Around<'_>>,
) -> Option<BuildSpec> {
    let (list, steps, table) = match file {
        BuildFile::One(step) => (place, vec![OneOrMany::One(step.clone())], BuildTable::default()),
        BuildFile::Many(steps) => (place, steps.clone(), BuildTable::default()),
        BuildFile::Table(table) => {
            missing(
                context,
                place,
                "steps",
                "a table of `build`",
                "write `steps = [\"make\"]`, or `context = \".\"` for an image",
            );
            image::none(context, place);
            let steps = match table.steps.as_ref()? {
                StepsFile::One(step) => vec![OneOrMany::One(step.clone())],
                StepsFile::Many(steps) => steps.clone(),
            };
            (place.key("steps"), steps, (**table).clone())
        }
    };
    if steps.is_empty() {
        let found = context.report.error("build::empty", "a build without steps makes nothing");
        found.at(list.span(), "empty").help("name its commands, or remove `build`");
    }
    let mut commands = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let place = list.item(index);
        let argv = command::argv(context, place, Some(step));
        if let Some(around) = around {
            command::find(context, place, &argv, dir, around.env, around.who);
            script::find(context, place, &argv, dir);
        }
        commands.push(argv);
    }
    let inputs = match &table.inputs {
        Some(_) => listed(context, place.key("inputs"), table.inputs.as_ref(), dir),
        None => named(context, &commands, dir),
    };
    let half_an_hour = Duration::from_secs(30 * 60);
    let timeout = context.duration(place.key("timeout"), table.timeout.as_ref(), half_an_hour, false);
    Some(BuildSpec {
        steps: commands,
        inputs: inputs.into_iter().collect(),
        timeout,
        digests: Default::default(),
        hash: 0,
    })
}

/// Words of the steps, or what stands behind a `=` in them, that name a file.
fn named(context: &mut Context<'_>, steps: &[Vec<String>], dir: &Path) -> BTreeSet<PathBuf> {
    let mut inputs = BTreeSet::new();
    for word in steps.iter().flatten().filter(|_| context.disk.is_real()) {
        let name = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        let path = dir.join(name.strip_prefix("./").unwrap_or(name));
        if !name.starts_with('/') && path.is_file() {
            inputs.insert(path);
        }
    }
    inputs
}

/// Files that are named, or found by a pattern.
fn listed(
    context: &mut Context<'_>,
    place: Place<'_>,
    list: Option<&OneOrMany>,
    dir: &Path,
) -> BTreeSet<PathBuf> {
    let mut inputs = BTreeSet::new();
    for (place, text) in items(place, list) {
        let Some(path) = context.path_from(dir, place, text) else { continue };
        let real = context.disk.is_real();
        if glob::is_pattern(text) && !(real && path.is_file()) {
            match if real { glob::files(dir, text) } else { Ok(Vec::new()) } {
                Ok(found) if found.is_empty() && real => {
                    let found = context.report.warning("build::inputs", format!("no file matches {text:?}"));
                    found.at(place.span(), format!("looked in {}", dir.display()));
                }
                Ok(found) => inputs.extend(found),
                Err(wrong) => {
                    context.wrong("pattern::bad", format!("{text:?} is no pattern of files"), place, wrong);
                }
            }
        } else if context.disk.is_to_start() && !path.is_file() {
            let what = format!("no file {}", path.display());
            let help = "name a file, or all below a folder: `src/**`".to_owned();
            let wrong = Wrong { what, help: Some(help) };
            context.wrong("file::missing", "this input does not exist".into(), place, wrong);
        } else {
            inputs.insert(path);
        }
    }
    inputs
}

/// `$BUILD_DIRECTORY` has a value only where something is built.
pub fn directory(
    context: &mut Context<'_>,
    place: Place<'_>,
    argv: &[String],
    env: &BTreeMap<String, EnvValue>,
    probe: &Probe,
) {
    if place.key("build").given() {
        return;
    }
    let command: &[String] = if let Probe::Command(argv) = probe { argv } else { &[] };
    let words = |argv: &[String]| argv.iter().any(|word| mentions(word, BUILD_DIRECTORY));
    let run = words(argv).then(|| place.key("run"));
    let health = words(command).then(|| place.key("health"));
    let named = env.iter().filter(|(_, value)| mentions(value.expose(), BUILD_DIRECTORY));
    let named = named.map(|(name, _)| place.key("env").key(name));
    for place in run.into_iter().chain(health).chain(named) {
        let message = "`$BUILD_DIRECTORY` has no value in an app without `build`";
        let found = context.report.error("build::none", message);
        found.at(place.span(), "nothing is built");
        found.help("add what makes it: `build = [\"python3 -m venv $BUILD_DIRECTORY/venv\"]`");
    }
}

/// Folders below the manifest's that are the app's own.
pub fn writable(context: &mut Context<'_>, place: Place<'_>, list: Option<&OneOrMany>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (place, text) in items(place, list) {
        let (Some(path), Some(root)) = (context.path(place, text), context.path(place, ".")) else {
            continue;
        };
        let below = path.strip_prefix(&root).ok().and_then(|below| below.components().next());
        let label = match below {
            None if path == root => "the manifest's own folder",
            None => "outside of the manifest's folder",
            Some(first) if first.as_os_str() == ".mainstay" => "Mainstay's own folder",
            Some(_) if context.disk.is_real() && path.exists() && !path.is_dir() => "a file",
            Some(_) => {
                folders.extend(Some(path).filter(|path| !folders.contains(path)));
                continue;
            }
        };
        let found = context.report.error("writable::bad", format!("{text:?} cannot be given to an app"));
        found.at(place.span(), label).help("name a folder below the manifest's: `writable = [\"uploads\"]`");
    }
    folders
}
