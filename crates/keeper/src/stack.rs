//! One stack as the keeper holds it, and what that makes desirable. Pure: no I/O.
//!
//! ```text
//! put / reload ─▶ candidate ─ every app has its new instances ready ─▶ active (committed)
//!                     └────── one of them ended before it was ready ─▶ dropped; active serves on
//! ```

use crate::api::ChangeStatus;
use crate::change;
use crate::publish::Made;
use crate::tasks::Run;
use manifest::Compose;
use model::network::Protocol;
use model::observed::{End, Moment, Observed, Phase};
use model::plan::{AppDesired, Build, Desired, SlotState, slot_state};
use model::spec::{AppSpec, HandlerSpec, Listen, RestartPolicy, RestartSpec, ShareSpec, StackSpec};
use model::{AppId, AppName, InstanceId, StackName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use store::Scaled;

/// A valid manifest and its number.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) number: u64,
    pub(crate) spec: Arc<StackSpec>,
    /// Listening addresses that take the place of the manifest's; empty: as the manifest says.
    pub(crate) http: Vec<SocketAddr>,
    /// The same for HTTPS.
    pub(crate) https: Vec<SocketAddr>,
    /// Name and version of the server of each data service.
    pub(crate) engines: BTreeMap<AppName, String>,
    /// What snapshots have of it; empty until it is published, when it does not change any more.
    pub(crate) made: Made,
}

impl Revision {
    /// Whether the app of this name is one of Mainstay's data services.
    pub(crate) fn is_service(&self, name: &AppName) -> bool {
        self.spec.services.contains_key(name)
    }

    /// Its apps and services: all that is prepared before a commit. Tasks run when they are due.
    pub(crate) fn apps(&self) -> impl Iterator<Item = (&AppName, &AppSpec)> {
        self.spec.apps.iter().filter(|(name, _)| !self.spec.tasks.contains_key(*name))
    }

    /// Where it listens for plain HTTP.
    pub(crate) fn http(&self) -> &[SocketAddr] {
        if self.http.is_empty() { &self.spec.http } else { &self.http }
    }

    /// Where it listens for HTTPS.
    pub(crate) fn https(&self) -> &[SocketAddr] {
        if self.https.is_empty() { &self.spec.https } else { &self.https }
    }

    /// Where all its sites are reached that name no address.
    fn common(&self) -> impl Iterator<Item = &SocketAddr> {
        self.http().iter().chain(self.https())
    }

    /// Whether an address is one of those.
    pub(crate) fn is_common(&self, address: &SocketAddr) -> bool {
        self.common().any(|common| common == address)
    }

    /// What its sites name.
    pub(crate) fn own_addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.spec.sites.iter().flat_map(|site| &site.listen)
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.common().chain(self.own_addresses()).chain(self.forwarded(Protocol::Tcp))
    }

    /// Where it takes what is passed on without a look.
    pub(crate) fn forwarded(&self, protocol: Protocol) -> impl Iterator<Item = &SocketAddr> {
        let forwards = self.spec.forwards.iter().filter(move |forward| forward.protocol == protocol);
        forwards.map(|forward| &forward.listen)
    }

    /// Apps that answer routes together, each such group once.
    pub(crate) fn shares(&self) -> Vec<&[ShareSpec]> {
        let mut groups: Vec<&[ShareSpec]> = Vec::new();
        for route in self.spec.sites.iter().flat_map(|site| &site.routes) {
            if let HandlerSpec::Apps(own) = &route.handler
                && !groups.contains(&own.as_slice())
            {
                groups.push(own);
            }
        }
        groups
    }

    /// Ports of apps beside their own that something leads to.
    pub(crate) fn ports(&self) -> BTreeSet<(&AppName, u16)> {
        let routes = self.spec.sites.iter().flat_map(|site| &site.routes);
        let routed = routes.filter_map(|route| match &route.handler {
            HandlerSpec::Port(name, port) => Some((name, *port)),
            _ => None,
        });
        let forwarded = self.spec.forwards.iter().filter_map(|forward| Some((&forward.app, forward.port?)));
        routed.chain(forwarded).collect()
    }
}

/// One stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) name: StackName,
    pub(crate) manifest: PathBuf,
    /// What was asked for beside what its compose files say.
    pub(crate) compose: Compose,
    pub(crate) active: Option<Revision>,
    pub(crate) candidate: Option<Revision>,
    pub(crate) change: Option<ChangeStatus>,
    /// Restarts that an administrator asked for.
    pub(crate) restarts: BTreeMap<AppName, u64>,
    /// Apps that an administrator stopped.
    pub(crate) stopped: BTreeSet<AppName>,
    /// Numbers of instances that an administrator asked for.
    pub(crate) scaled: BTreeMap<AppName, Scaled>,
    /// Numbers of instances that follow what is asked of an app; none: as it starts.
    pub(crate) following: BTreeMap<AppName, u32>,
    /// Runs of tasks under way.
    pub(crate) runs: BTreeMap<AppName, Run>,
    /// Apps of former revisions, until their last instance is gone.
    pub(crate) retiring: BTreeMap<AppName, Arc<AppSpec>>,
    /// The whole stack is to go.
    pub(crate) removing: bool,
    /// Why its committed manifest could not be loaded at boot; its instances are left alone then.
    pub(crate) broken: Option<String>,
}

impl Stack {
    pub(crate) fn new(name: StackName, manifest: PathBuf, compose: Compose) -> Self {
        let (active, candidate, change, broken) = (None, None, None, None);
        let (restarts, stopped, scaled, following, runs, retiring) = Default::default();
        Self {
            name,
            manifest,
            compose,
            active,
            candidate,
            change,
            restarts,
            stopped,
            scaled,
            following,
            runs,
            retiring,
            removing: false,
            broken,
        }
    }

    pub(crate) fn app_id(&self, app: &AppName) -> AppId {
        AppId { stack: self.name.clone(), app: app.clone() }
    }

    fn restarts_of(&self, app: &AppName) -> u64 {
        self.restarts.get(app).copied().unwrap_or(0)
    }

    pub(crate) fn fingerprint(&self, name: &AppName, spec: &AppSpec) -> u64 {
        spec.fingerprint(self.restarts_of(name))
    }

    /// Whether instances that `new` is started with are others than what is active has.
    pub(crate) fn is_changed(&self, name: &AppName, new: &AppSpec) -> bool {
        let old = self.active.as_ref().and_then(|active| active.spec.apps.get(name));
        old.is_none_or(|old| self.fingerprint(name, old) != self.fingerprint(name, new))
    }

    /// The candidate, if there is one, then what is active.
    pub(crate) fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.candidate.iter().chain(&self.active)
    }

    /// The revision in which `app` has this fingerprint, and its specification there.
    pub(crate) fn find(&self, app: &AppName, fingerprint: u64) -> Option<(&Revision, &AppSpec)> {
        let mut specs =
            self.revisions().filter_map(|revision| Some((revision, revision.spec.apps.get(app)?)));
        specs.find(|(_, spec)| self.fingerprint(app, spec) == fingerprint)
    }

    /// The specification with this fingerprint, if an active or candidate revision has it.
    pub(crate) fn spec_of(&self, app: &AppName, fingerprint: u64) -> Option<Arc<AppSpec>> {
        self.find(app, fingerprint).map(|(_, spec)| Arc::new(spec.clone()))
    }

    /// What is wanted of this app: by the candidate, else by what is active; and the revision that says so.
    pub(crate) fn head(&self, app: &AppName) -> Option<(&Revision, &AppSpec)> {
        self.revisions().find_map(|revision| Some((revision, revision.spec.apps.get(app)?)))
    }

    /// Whether `app` is one that this stack knows now.
    pub(crate) fn knows(&self, app: &AppName) -> bool {
        self.active.as_ref().is_some_and(|active| active.spec.apps.contains_key(app))
    }

    /// What people call `app`.
    pub(crate) fn kind_of(&self, app: &AppName) -> &'static str {
        self.active.as_ref().map_or("app", |active| change::kind(&active.spec, app))
    }

    /// Adds what this stack wants to `desired`.
    pub(crate) fn desire(&self, desired: &mut Desired) {
        for (name, spec) in &self.retiring {
            desired.apps.insert(self.app_id(name), self.desired_of(name, spec, 0));
        }
        if let Some(active) = &self.active {
            let apps = active.spec.apps.iter();
            let wanted = apps.map(|(name, spec)| (self.app_id(name), self.wanted(&active.spec, name, spec)));
            desired.apps.extend(wanted);
        }
        if let Some(candidate) = &self.candidate {
            for (name, spec) in candidate.apps().filter(|(name, _)| !self.follows(name)) {
                let mut wanted = self.wanted(&candidate.spec, name, spec);
                let active = self.active.as_ref();
                if let Some((old, active)) = active.and_then(|it| Some((it.spec.apps.get(name)?, it))) {
                    wanted.keep_outdated = self.fingerprint(name, old) != wanted.spec;
                    // Fewer instances are a change too: not before the commit.
                    wanted.instances = wanted.instances.max(self.number(&active.spec, name, old));
                }
                desired.apps.insert(self.app_id(name), wanted);
            }
        }
        if self.removing {
            let mine = desired.apps.iter_mut().filter(|(id, _)| id.stack == self.name);
            mine.for_each(|(_, app)| (app.instances, app.asleep) = (0, false));
        }
    }

    /// Whether an app of the candidate is replaced only after the commit: its environment changes together with a data service that it
    /// needs. That has a fixed port and cannot be prepared beside itself, so a new instance would meet the former one, with the
    /// address or the password of the new.
    fn follows(&self, name: &AppName) -> bool {
        let (Some(candidate), Some(active)) = (&self.candidate, &self.active) else { return false };
        let both = |name: &AppName| Some((active.spec.apps.get(name)?, candidate.spec.apps.get(name)?));
        let changes = |need: &&AppName| {
            let differ = both(need).is_some_and(|(old, new)| old.fingerprint(0) != new.fingerprint(0));
            differ && candidate.is_service(need)
        };
        both(name).is_some_and(|(old, new)| old.env != new.env && new.needs.iter().any(|need| changes(&need)))
    }

    /// What is wanted of an app of `of`, one of this stack's revisions.
    fn wanted(&self, of: &StackSpec, name: &AppName, spec: &AppSpec) -> AppDesired {
        let mut wanted = self.desired_of(name, spec, self.number(of, name, spec));
        wanted.asleep = self.is_asleep(of, name, spec);
        // A run under way goes on with what it was started with.
        if let Some(run) = self.runs.get(name).filter(|_| of.tasks.contains_key(name)) {
            wanted.spec = run.print;
        }
        wanted
    }

    fn desired_of(&self, name: &AppName, spec: &AppSpec, instances: u32) -> AppDesired {
        AppDesired {
            spec: self.fingerprint(name, spec),
            instances,
            asleep: false,
            needs: spec.needs.clone(),
            needs_how: spec.needs_how.clone(),
            listen: spec.listen_beside(),
            keep_outdated: false,
            in_place: false,
            restart: spec.restart.clone(),
            stop: spec.stop.clone(),
            start_period: spec.health.start_period,
            build: Build::Done,
        }
    }

    /// Whether every app of the candidate has its instances ready, or done if its program ends by itself. An app with a
    /// fixed port that replaces a running one cannot be prepared beside it: it is replaced after the commit.
    pub(crate) fn candidate_is_ready(&self, observed: &Observed) -> bool {
        let Some(candidate) = &self.candidate else { return false };
        candidate.apps().all(|(name, spec)| {
            let wanted = self.wanted(&candidate.spec, name, spec);
            let id = self.app_id(name);
            let mine = || observed.instances.values().filter(|instance| instance.id.app == id);
            let ready = mine().filter(|i| i.spec == wanted.spec && i.phase.is_ready()).count();
            let in_place = matches!(spec.listen_beside(), Listen::Port(_))
                && mine().any(|i| i.spec != wanted.spec && i.phase.is_alive());
            let complete = observed.slots.iter().filter(|((of, _), record)| {
                *of == id && record.spec == wanted.spec && is_complete(&wanted.restart, &record.end)
            });
            in_place || self.follows(name) || ready + complete.count() >= wanted.instances as usize
        })
    }

    /// Whether this `end` of `instance`, which ran with `fingerprint` and was never ready, fails the candidate.
    pub(crate) fn fails_candidate(&self, instance: &InstanceId, fingerprint: u64, end: &End) -> bool {
        let name = &instance.app.app;
        let spec = |revision: &Option<Revision>| {
            let spec = revision.as_ref().and_then(|revision| revision.spec.apps.get(name)).cloned();
            spec.filter(|spec| self.fingerprint(name, spec) == fingerprint)
        };
        let Some(candidate) = spec(&self.candidate).filter(|_| spec(&self.active).is_none()) else {
            return false;
        };
        instance.app.stack == self.name && !is_complete(&candidate.restart, end)
    }

    /// A slot of the candidate's that ended too often and is not started again; and how.
    pub(crate) fn failed_slot(&self, observed: &Observed, now: Moment) -> Option<(InstanceId, End)> {
        let candidate = self.candidate.as_ref()?;
        candidate.apps().find_map(|(name, spec)| {
            let (wanted, app) = (self.wanted(&candidate.spec, name, spec), self.app_id(name));
            let is_new = |revision: &Revision| {
                let before = revision.spec.apps.get(name);
                before.is_none_or(|before| self.fingerprint(name, before) != wanted.spec)
            };
            let failed = |slot: u32| slot_state(&wanted, observed, &app, slot, now) == SlotState::Failed;
            let mut slots = observed
                .slots
                .iter()
                .filter(|((of, slot), record)| *of == app && record.spec == wanted.spec && failed(*slot));
            let ((_, slot), record) = slots.next().filter(|_| self.active.as_ref().is_none_or(is_new))?;
            Some((InstanceId { app: app.clone(), slot: *slot, run: 0 }, record.end.clone()))
        })
    }

    /// The candidate becomes what is active; apps that it no longer has are retired.
    pub(crate) fn commit(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        self.change =
            Some(ChangeStatus { revision: candidate.number, state: "committed".into(), reason: None });
        if let Some(old) = self.active.replace(candidate) {
            self.retire(&old);
        }
    }

    /// The candidate is given up; what it alone had is retired.
    pub(crate) fn drop_candidate(&mut self, reason: String) {
        let Some(candidate) = self.candidate.take() else { return };
        self.change =
            Some(ChangeStatus { revision: candidate.number, state: "dropped".into(), reason: Some(reason) });
        self.retire(&candidate);
    }

    /// Another candidate takes the place of the one under way, if there is one. Gives the fingerprints of which no instance is
    /// wanted any more: they were the former candidate's alone.
    pub(crate) fn prepare(&mut self, candidate: Revision) -> Vec<(AppId, u64)> {
        let state = "preparing".into();
        self.change = Some(ChangeStatus { revision: candidate.number, state, reason: None });
        let Some(former) = self.candidate.replace(candidate) else { return Vec::new() };
        self.retire(&former);
        let apps = former.spec.apps.iter().map(|(name, spec)| (name, self.fingerprint(name, spec)));
        let gone = apps.filter(|(name, print)| self.spec_of(name, *print).is_none());
        gone.map(|(name, print)| (self.app_id(name), print)).collect()
    }

    fn retire(&mut self, old: &Revision) {
        for (name, spec) in &old.spec.apps {
            if !self.knows(name) {
                self.retiring.insert(name.clone(), Arc::new(spec.clone()));
            }
        }
    }

    /// Forgets retired apps whose last instance is gone. True: the whole stack is gone.
    pub(crate) fn tidy(&mut self, observed: &Observed) -> bool {
        let alive = |name: &AppName| {
            let mine = |instance: &&model::observed::Instance| {
                instance.id.app.stack == self.name && instance.id.app.app == *name
            };
            observed.instances.values().any(|instance| mine(&instance))
        };
        let gone: Vec<AppName> = self.retiring.keys().filter(|name| !alive(name)).cloned().collect();
        gone.iter().for_each(|name| drop(self.retiring.remove(name)));
        self.removing && !observed.instances.keys().any(|id| id.app.stack == self.name)
    }
}

/// Whether a program that ended so has done its work.
fn is_complete(restart: &RestartSpec, end: &End) -> bool {
    restart.policy != RestartPolicy::Always && *end == End::Exited(0)
}

/// Whether the edge may have requests for an instance in this phase.
pub(crate) fn in_rotation(phase: &Phase) -> bool {
    matches!(phase, Phase::Ready { .. } | Phase::Draining { drained: false, .. })
}

#[cfg(test)]
#[path = "stack_tests.rs"]
pub(crate) mod tests;
