//! What apps start from, built by their steps before their instances are started (`supervisor::build` makes it).
//!
//! ```text
//! manifest loaded ─▶ inputs read: hash ─▶ no such build, and an instance is missing ─▶ started, two at most, one of an app
//!      ┌──────────────────────────────────────────────────────────────────────────────┘
//!      ├ done ─▶ the plan starts instances
//!      ├ failed ─▶ a candidate's: the change is dropped; otherwise the app is failed until somebody asks for a new try
//!      └ nobody wants it any more ─▶ cancelled
//! ```
//! Invariants: whether a build is done is asked of the disk, each time; the hashes of a revision are those read when it was
//! proposed, also in the next keeper; a folder that an instance or a revision may use is not removed.

use crate::api::BuildStatus;
use crate::error::KeeperError;
use crate::home::Home;
use crate::keeper::Keeper;
use crate::stack::Stack;
use crate::user;
use model::plan::{AppDesired, Build, Desired, needs_ready};
use model::spec::{BuildSpec, StackSpec};
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
    /// Old ones are removed.
    Sweep,
}

/// Builds under way, and those that failed.
pub(crate) struct Builds {
    reports: mpsc::Sender<Report>,
    working: BTreeMap<AppId, Work>,
    /// Hash and reason.
    failed: BTreeMap<AppId, (u64, String)>,
    /// Stacks whose old builds are to be looked for.
    to_sweep: BTreeSet<StackName>,
}

impl Builds {
    pub(crate) fn new(reports: mpsc::Sender<Report>) -> Self {
        let (working, failed, to_sweep) = Default::default();
        Self { reports, working, failed, to_sweep }
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
        self.failed.remove(app).is_some()
    }

    fn state(&self, home: &Home, app: &AppId, hash: u64) -> Build {
        if build::is_done(&home.app_build(app, hash)) {
            return Build::Done;
        }
        match self.failed.get(app).filter(|(of, _)| *of == hash) {
            Some((_, reason)) => Build::Failed(reason.clone()),
            None => Build::UnderWay(self.progress(app).map_or_else(
                || "waits for its turn to be built".to_owned(),
                |it| {
                    format!("building: step {} of {} ({}), {} s", it.step, it.steps, it.command, seconds(&it))
                },
            )),
        }
    }

    fn progress(&self, app: &AppId) -> Option<Progress> {
        match self.working.get(app)? {
            Work::Build(_, running) => Some(running.progress()),
            Work::Sweep => None,
        }
    }

    /// For `status`.
    pub(crate) fn status(&self, app: &AppId) -> Option<BuildStatus> {
        let Progress { step, steps, command, line, begun } = self.progress(app)?;
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(BuildStatus { step, steps, command, elapsed_ms, line })
    }
}

fn seconds(progress: &Progress) -> u64 {
    progress.begun.elapsed().as_secs()
}

fn build_of<'a>(stack: &'a Stack, app: &AppName) -> Option<&'a BuildSpec> {
    stack.head(app)?.1.build.as_ref()
}

impl Keeper {
    /// Adds to what is desired how the builds stand.
    pub(crate) fn tell_builds(&self, desired: &mut Desired) {
        for (id, app) in desired.apps.iter_mut().filter(|(_, app)| app.instances > 0) {
            let build = self.stacks.get(&id.stack).and_then(|stack| build_of(stack, &id.app));
            if let Some(build) = build {
                app.build = self.builds.state(&self.home, id, build.hash);
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
            let current =
                self.observed.of(id).filter(|it| it.spec == app.spec && it.phase.is_alive()).count();
            let is_to_build = self.ending.is_none() && matches!(app.build, Build::UnderWay(_));
            // Not under those that run from it, should its marker have vanished.
            is_to_build && current < app.instances as usize
        };
        let missing =
            desired.apps.iter().filter(missing).filter_map(|(id, _)| {
                Some((id.clone(), build_of(self.stacks.get(&id.stack)?, &id.app)?.hash))
            });
        let missing: BTreeMap<AppId, u64> = missing.collect();
        for (app, work) in &self.builds.working {
            if let Work::Build(hash, running) = work
                && missing.get(app) != Some(hash)
            {
                running.cancel();
            }
        }
        for (app, hash) in missing {
            let building =
                self.builds.working.values().filter(|work| matches!(work, Work::Build(..))).count();
            let free = building < MOST && !self.builds.working.contains_key(&app);
            // A step may need what the app needs: one that prepares a database.
            if free && needs_ready(&desired, &self.observed, &app) {
                match self.build_order(&app) {
                    Ok(order) => self.begin_build(app, hash, order),
                    Err(reason) => {
                        self.build_failed(&app, hash, format!("build of {} failed: {reason}", app.app));
                    }
                }
            }
        }
        self.sweep_builds();
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
        if let Outcome::Failed(reason) = outcome {
            self.build_failed(&app, hash, reason);
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
            let used = |app: &AppId| build_of(stack, &app.app).map(|build| build.hash);
            let old: Vec<_> =
                apps.into_iter().map(|app| (old_builds(&self.home, &app, used(&app)), app)).collect();
            for (folders, app) in old.into_iter().filter(|(folders, _)| !folders.is_empty()) {
                build::remove(app.clone(), folders, self.builds.reports.clone());
                self.builds.working.insert(app, Work::Sweep);
            }
        }
    }
}

/// Names and paths in a folder; none if it cannot be read.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

/// Folders of an app that are to go. Their markers are gone when this returns: nobody takes one for a build any more.
fn old_builds(home: &Home, app: &AppId, used: Option<u64>) -> Vec<PathBuf> {
    let hash = |name: &str| u64::from_str_radix(name, 16).ok().filter(|_| name.len() == 16);
    let builds =
        entries(&home.app_builds(app)).into_iter().filter_map(|(name, path)| Some((hash(&name)?, path)));
    let mut builds: Vec<(Option<SystemTime>, PathBuf)> = builds
        .filter(|(hash, _)| Some(*hash) != used)
        .map(|(_, path)| (std::fs::metadata(build::marker(&path)).and_then(|it| it.modified()).ok(), path))
        .collect();
    // The youngest first, those without a marker last.
    builds.sort_by(|(a, _), (b, _)| b.cmp(a));
    let finished = builds.iter().filter(|(done, _)| done.is_some()).count();
    let old = builds.into_iter().skip(finished.min(KEPT)).map(|(_, path)| path);
    old.filter(|path| match sys::durable::remove(&build::marker(path)) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(folder = %path.display(), %error, "an old build cannot be removed");
            false
        }
    })
    .collect()
}

/// Reads the inputs of all builds: from now on their hashes stand for them.
///
/// # Errors
/// An input that cannot be read.
pub(crate) fn read_inputs(spec: &mut StackSpec) -> Result<(), KeeperError> {
    let names: Vec<AppName> = spec.apps.keys().cloned().collect();
    names.iter().try_for_each(|name| read_inputs_of(spec, name))
}

fn read_inputs_of(spec: &mut StackSpec, name: &AppName) -> Result<(), KeeperError> {
    let Some((app, build)) = spec.apps.get(name).and_then(|app| Some((app, app.build.as_ref()?))) else {
        return Ok(());
    };
    let user = user::of_app(spec, app).ok().flatten().map(|user| user.uid);
    let read = build::hash(app, build, &spec.root, user);
    let (hash, digests) = read.map_err(|error| KeeperError::Input(format!("build of {name}: {error}")))?;
    if let Some(build) = spec.apps.get_mut(name).and_then(|app| app.build.as_mut()) {
        (build.hash, build.digests) = (hash, digests);
    }
    Ok(())
}

/// Hashes and digests that are in force: by revision and app.
type InForce = BTreeMap<u64, BTreeMap<AppName, (u64, Vec<u64>)>>;

/// Keeps the hashes of a stack's revisions for the next keeper.
pub(crate) fn remember(home: &Home, stack: &Stack) {
    let of = |spec: &StackSpec| {
        let builds = spec.apps.iter().filter_map(|(name, app)| Some((name, app.build.as_ref()?)));
        builds.map(|(name, build)| (name.clone(), (build.hash, build.digests.clone()))).collect()
    };
    let in_force: InForce = stack.revisions().map(|it| (it.number, of(&it.spec))).collect();
    if in_force.values().all(BTreeMap::is_empty) {
        return;
    }
    let path = home.build_hashes(stack.name.as_str());
    let folder = path.parent().map_or(Ok(()), |folder| sys::folder::make(folder, 0o711, None));
    let text = serde_json::to_vec(&in_force).unwrap_or_default();
    if let Err(error) = folder.and_then(|()| sys::durable::write(&path, &text, 0o600)) {
        tracing::error!(path = %path.display(), %error, "the next keeper will read the inputs of builds anew");
    }
}

/// Forgets them when the stack's revisions are. What was built stays: the next start with the same inputs needs no build.
pub(crate) fn forget(home: &Home, stack: &StackName) {
    let path = home.build_hashes(stack.as_str());
    if let Err(error) = sys::durable::remove(&path) {
        tracing::warn!(path = %path.display(), %error, "hashes of builds cannot be removed");
    }
}

/// Puts the hashes into a revision that were in force when a former keeper recorded it: what somebody wrote into an input since
/// then is not. What was not kept is read.
///
/// # Errors
/// As [`read_inputs`].
pub(crate) fn recall(home: &Home, spec: &mut StackSpec, revision: u64) -> Result<(), KeeperError> {
    let text = std::fs::read(home.build_hashes(spec.name.as_str())).unwrap_or_default();
    let mut in_force: InForce = serde_json::from_slice(&text).unwrap_or_default();
    let mut kept = in_force.remove(&revision).unwrap_or_default();
    let names: Vec<AppName> = spec.apps.keys().cloned().collect();
    for name in &names {
        match (spec.apps.get_mut(name).and_then(|app| app.build.as_mut()), kept.remove(name)) {
            (Some(build), Some((hash, digests))) => (build.hash, build.digests) = (hash, digests),
            _ => read_inputs_of(spec, name)?,
        }
    }
    Ok(())
}
