//! What apps start from, built by their steps before their instances are started (`supervisor::build` makes it).
//!
//! ```text
//! manifest loaded ─▶ inputs read: hash ─▶ no such build, and an instance is missing ─▶ started, two at most, one of an app
//!      ┌──────────────────────────────────────────────────────────────────────────────┘
//!      ├ done ─▶ the plan starts instances
//!      ├ failed ─▶ a candidate's: the change is dropped; otherwise the app is failed until somebody asks for a new try
//!      └ nobody wants it any more ─▶ cancelled
//! ```
//! An app in a container starts from an image, which is had in the same way ([`crate::images`]).
//!
//! Invariants: whether a build is done is asked of the disk, each time; the hashes of a revision are those read when it was
//! proposed, also in the next keeper; a folder that an instance or a revision may use is not removed.

mod inputs;

pub(crate) use inputs::{forget, read_inputs, recall, remember};

use crate::api::BuildStatus;
use crate::home::Home;
use crate::images;
use crate::keeper::Keeper;
use crate::stack::Stack;
use crate::user;
use model::observed::Observed;
use model::plan::{AppDesired, Build, Desired, needs_ready};
use model::spec::{AppSpec, BuildSpec};
use model::{AppId, AppName, StackName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use supervisor::build::{self, Order, Outcome, Progress, Report, Running};
use tokio::sync::mpsc;

/// Builds at a time.
const MOST: usize = 2;
/// Finished builds that are kept beside those in use, for a quick way back.
const KEPT: usize = 1;

/// What is done for an app now.
enum Work {
    Build(u64, Running),
    /// Whether its image is still there.
    Look,
    /// Old ones are removed.
    Sweep,
}

/// Builds under way, and those that failed.
pub(crate) struct Builds {
    reports: mpsc::Sender<Report>,
    working: BTreeMap<AppId, Work>,
    /// Hash and reason.
    failed: BTreeMap<AppId, (u64, String)>,
    /// Images of which this keeper knows that they are there.
    seen: BTreeSet<(AppId, u64)>,
    /// Stacks whose old builds are to be looked for.
    to_sweep: BTreeSet<StackName>,
}

impl Builds {
    pub(crate) fn new(reports: mpsc::Sender<Report>) -> Self {
        let (working, failed, seen, to_sweep) = Default::default();
        Self { reports, working, failed, seen, to_sweep }
    }

    /// Whether nothing is being done.
    pub(crate) fn is_idle(&self) -> bool {
        self.working.is_empty()
    }

    /// Old builds of this stack may not be needed any more.
    pub(crate) fn sweep_later(&mut self, stack: &StackName) {
        self.to_sweep.insert(stack.clone());
    }

    /// A build that failed gets a new try. True: there was one.
    pub(crate) fn clear(&mut self, app: &AppId) -> bool {
        self.seen.retain(|(other, _)| other != app);
        self.failed.remove(app).is_some()
    }

    /// `idle`: nothing is to start from it.
    fn state(&self, home: &Home, app: &AppId, (hash, of): (u64, Of), idle: bool) -> Build {
        let there = idle || of == Of::Steps || self.seen.contains(&(app.clone(), hash));
        if build::is_done(&home.app_build(app, hash)) && there {
            return Build::Done;
        }
        match self.failed.get(app).filter(|(of, _)| *of == hash) {
            Some((_, reason)) => Build::Failed(reason.clone()),
            None => Build::UnderWay(self.progress(app).map_or_else(
                || of.waits().to_owned(),
                |it| match of {
                    Of::Steps => {
                        format!(
                            "building: step {} of {} ({}), {} s",
                            it.step,
                            it.steps,
                            it.command,
                            seconds(&it)
                        )
                    }
                    Of::Image if it.line.is_empty() => format!("{}, {} s", it.command, seconds(&it)),
                    Of::Image => format!("{}, {} s", it.line, seconds(&it)),
                },
            )),
        }
    }

    fn progress(&self, app: &AppId) -> Option<Progress> {
        match self.working.get(app)? {
            Work::Build(_, running) => Some(running.progress()),
            Work::Look | Work::Sweep => None,
        }
    }

    /// For `status`.
    pub(crate) fn status(&self, app: &AppId) -> Option<BuildStatus> {
        let Progress { step, steps, command, line, begun } = self.progress(app)?;
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(BuildStatus { step, steps, command, elapsed_ms, line })
    }
}

/// What makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Steps,
    Image,
}

impl Of {
    fn app(spec: &AppSpec) -> Self {
        if spec.container.is_some() { Self::Image } else { Self::Steps }
    }

    fn waits(self) -> &'static str {
        match self {
            Self::Steps => "waits for its turn to be built",
            Self::Image => "waits for its image",
        }
    }
}

fn seconds(progress: &Progress) -> u64 {
    progress.begun.elapsed().as_secs()
}

fn build_of<'a>(stack: &'a Stack, app: &AppName) -> Option<(&'a BuildSpec, Of)> {
    let (_, spec) = stack.head(app)?;
    Some((spec.build.as_ref()?, Of::app(spec)))
}

impl Keeper {
    /// Adds to what is desired how the builds stand.
    pub(crate) fn tell_builds(&self, desired: &mut Desired) {
        for (id, app) in desired.apps.iter_mut().filter(|(_, app)| app.instances > 0) {
            let build = self.stacks.get(&id.stack).and_then(|stack| build_of(stack, &id.app));
            if let Some((build, of)) = build {
                let idle = current(&self.observed, id, app) >= app.instances as usize;
                app.build = self.builds.state(&self.home, id, (build.hash, of), idle);
            }
        }
    }

    /// Whether everything that the candidate's apps start from is there: also what is started only after the commit.
    pub(crate) fn candidate_is_built(&self, stack: &Stack) -> bool {
        let apps = stack.candidate.iter().flat_map(|candidate| &candidate.spec.apps);
        let wanted = apps.filter(|(name, app)| app.instances > 0 && !stack.stopped.contains(*name));
        let mut builds = wanted.filter_map(|(name, app)| Some((name, app.build.as_ref()?)));
        builds.all(|(name, it)| build::is_done(&self.home.app_build(&stack.app_id(name), it.hash)))
    }

    /// Begins what is missing, as far as its turn has come, and cancels what nobody wants any more.
    pub(crate) fn build(&mut self) {
        let desired = self.desired();
        let missing = |(id, app): &(&AppId, &AppDesired)| {
            let is_to_build = self.ending.is_none() && matches!(app.build, Build::UnderWay(_));
            // Not under those that run from it, should its marker have vanished.
            is_to_build && current(&self.observed, id, app) < app.instances as usize
        };
        let missing = desired.apps.iter().filter(missing).filter_map(|(id, _)| {
            let (build, of) = build_of(self.stacks.get(&id.stack)?, &id.app)?;
            Some((id.clone(), (build.hash, of)))
        });
        let missing: BTreeMap<AppId, (u64, Of)> = missing.collect();
        for (app, work) in &self.builds.working {
            if let Work::Build(hash, running) = work
                && missing.get(app).is_none_or(|(wanted, _)| wanted != hash)
            {
                running.cancel();
            }
        }
        for (app, (hash, of)) in missing {
            let building =
                self.builds.working.values().filter(|work| matches!(work, Work::Build(..))).count();
            let free = building < MOST && !self.builds.working.contains_key(&app);
            // A step may need what the app needs: one that prepares a database. Nothing of an image does.
            let begins = match of {
                Of::Steps => needs_ready(&desired, &self.observed, &app),
                Of::Image => !self.twin_works(&app, hash),
            };
            if free && begins {
                let begun = match of {
                    Of::Steps => {
                        self.build_order(&app).map(|order| self.begin_build(app.clone(), hash, order))
                    }
                    Of::Image => self.begin_image(&app, hash),
                };
                if let Err(reason) = begun {
                    self.build_failed(&app, hash, format!("build of {} failed: {reason}", app.app));
                }
            }
        }
        self.sweep_builds();
    }

    /// Another app of the stack has the same image made.
    fn twin_works(&self, app: &AppId, hash: u64) -> bool {
        self.builds.working.iter().any(|(other, work)| {
            let same = matches!(work, Work::Build(of, _) if *of == hash);
            same && other.stack == app.stack && other != app
        })
    }

    /// Has an image, or looks whether one that was had is still there.
    fn begin_image(&mut self, app: &AppId, hash: u64) -> Result<(), String> {
        let engine = self.engine.reach()?;
        let reports = self.builds.reports.clone();
        let folder = self.home.app_build(app, hash);
        if build::is_done(&folder) {
            self.builds.working.insert(app.clone(), Work::Look);
            self.tasks.spawn(images::look(app.clone(), hash, folder, engine, reports));
            return Ok(());
        }
        let order = self.build_order(app)?;
        let apps = self
            .stacks
            .get(&app.stack)
            .into_iter()
            .flat_map(Stack::revisions)
            .flat_map(|it| it.spec.apps.keys());
        let twins = apps.filter(|name| **name != app.app);
        let twins = twins
            .map(|name| self.home.app_build(&AppId { stack: app.stack.clone(), app: name.clone() }, hash))
            .collect();
        let running = images::start(order, images::At { engine, home: self.home.clone(), twins }, reports)?;
        tracing::info!(%app, hash = format!("{hash:016x}"), "its image is looked for");
        self.builds.working.insert(app.clone(), Work::Build(hash, running));
        Ok(())
    }

    fn begin_build(&mut self, app: AppId, hash: u64, order: Order) {
        tracing::info!(%app, hash = format!("{hash:016x}"), "build begins");
        let running = build::start(order, self.builds.reports.clone());
        self.builds.working.insert(app, Work::Build(hash, running));
    }

    fn build_order(&self, app: &AppId) -> Result<Order, String> {
        let gone = || "it is no longer part of its stack".to_owned();
        let stack = self.stacks.get(&app.stack).ok_or_else(gone)?;
        let (revision, spec) = stack.head(&app.app).ok_or_else(gone)?;
        let build = spec.build.clone().ok_or_else(gone)?;
        Ok(Order {
            app: app.clone(),
            folder: self.home.app_build(app, build.hash),
            cache: self.home.app_builds(app).join("cache"),
            state: self.home.app_state(app),
            log: self.home.app_build_log(spec.logs.dir.as_deref(), app),
            root: revision.spec.root.clone(),
            user: user::of_app(&revision.spec, spec)?,
            spec: Arc::new(spec.clone()),
            build,
        })
    }

    /// Folds in what became of a build.
    pub(crate) fn build_ended(&mut self, Report { app, hash, outcome }: Report) {
        self.builds.working.remove(&app);
        tracing::info!(%app, hash = format!("{hash:016x}"), ?outcome, "build ended");
        match outcome {
            Outcome::Done => match self.image_is_had(&app, hash) {
                Ok(Some(hash)) => drop(self.builds.seen.insert((app, hash))),
                Ok(None) => {}
                Err(reason) => self.build_failed(&app, hash, reason),
            },
            Outcome::Failed(reason) => self.build_failed(&app, hash, reason),
            Outcome::Cancelled | Outcome::Removed => {}
        }
    }

    /// What serves does not start from it: then the change is dropped.
    fn build_failed(&mut self, app: &AppId, hash: u64, reason: String) {
        let Some(stack) = self.stacks.get(&app.stack) else { return };
        let is_it = |revision: &crate::stack::Revision| {
            let build = revision.spec.apps.get(&app.app).and_then(|spec| spec.build.as_ref());
            build.is_some_and(|build| build.hash == hash)
        };
        if stack.candidate.as_ref().is_some_and(is_it) && !stack.active.as_ref().is_some_and(is_it) {
            self.drop_change(&app.stack, reason);
        } else {
            self.builds.failed.insert(app.clone(), (hash, reason));
        }
    }

    /// Removes old builds of stacks that are at rest: no change is under way, and all that lives was started from what is active.
    fn sweep_builds(&mut self) {
        for name in std::mem::take(&mut self.builds.to_sweep) {
            let Some(stack) = self.stacks.get(&name).filter(|stack| stack.broken.is_none()) else { continue };
            let mut living = self.observed.instances.values().filter(|it| it.id.app.stack == name);
            let at_rest = stack.candidate.is_none()
                && living.all(|it| stack.spec_of(&it.id.app.app, it.spec).is_some())
                && !self.builds.working.keys().any(|app| app.stack == name);
            if !at_rest {
                self.builds.to_sweep.insert(name);
                continue;
            }
            let apps = entries(&self.home.builds().join(name.as_str()));
            let apps: Vec<AppId> =
                apps.iter().filter_map(|(app, _)| Some(stack.app_id(&app.parse().ok()?))).collect();
            let used = |app: &AppId| build_of(stack, &app.app).map(|(build, _)| build.hash);
            let old: Vec<_> =
                apps.into_iter().map(|app| (old_builds(&self.home, &app, used(&app)), app)).collect();
            for ((folders, tags), app) in old.into_iter().filter(|((folders, _), _)| !folders.is_empty()) {
                if let Some(engine) = (!tags.is_empty()).then(|| self.engine.reach().ok()).flatten() {
                    self.tasks.spawn(images::untag(engine, tags));
                }
                build::remove(app.clone(), folders, self.builds.reports.clone());
                self.builds.working.insert(app, Work::Sweep);
            }
        }
    }
}

/// How many instances there are of what is wanted.
fn current(observed: &Observed, id: &AppId, app: &AppDesired) -> usize {
    observed.of(id).filter(|it| it.spec == app.spec && it.phase.is_alive()).count()
}

/// Names and paths in a folder; none if it cannot be read.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

/// Folders of an app that are to go. Their markers are gone when this returns: nobody takes one for a build any more.
/// And names of images that were built here.
fn old_builds(home: &Home, app: &AppId, used: Option<u64>) -> (Vec<PathBuf>, Vec<String>) {
    let hash = |name: &str| u64::from_str_radix(name, 16).ok().filter(|_| name.len() == 16);
    let builds =
        entries(&home.app_builds(app)).into_iter().filter_map(|(name, path)| Some((hash(&name)?, path)));
    let mut builds: Vec<(Option<SystemTime>, u64, PathBuf)> = builds
        .filter(|(hash, _)| Some(*hash) != used)
        .map(|(hash, path)| {
            (std::fs::metadata(build::marker(&path)).and_then(|it| it.modified()).ok(), hash, path)
        })
        .collect();
    // The youngest first, those without a marker last.
    builds.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    let finished = builds.iter().filter(|(done, ..)| done.is_some()).count();
    let (mut folders, mut tags) = (Vec::new(), Vec::new());
    for (_, hash, path) in builds.into_iter().skip(finished.min(KEPT)) {
        let built = build::image(&path).is_some_and(|made| made.built);
        match sys::durable::remove(&build::marker(&path)) {
            Ok(()) => {
                tags.extend(built.then(|| images::tag(app, hash)));
                folders.push(path);
            }
            Err(error) => tracing::warn!(folder = %path.display(), %error, "an old build cannot be removed"),
        }
    }
    (folders, tags)
}
