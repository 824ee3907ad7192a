//! The plan's steps, each journalled before it is begun and done when its effect is seen. A crash in between leaves an unfinished
//! entry; the next boot looks at what is really there (`boot`), so executing one twice does no more than once.

use crate::builds;
use crate::contained;
use crate::keeper::{Facts, Keeper, report_failure};
use crate::log_folder;
use crate::user;
use model::InstanceId;
use model::StackName;
use model::observed::{End, Event};
use model::plan::Step;
use model::spec::AppSpec;
use std::sync::Arc;
use std::time::Duration;
use supervisor::{Order, Places};

impl Keeper {
    /// Executes one step and folds it into what is observed.
    pub(crate) fn execute(&mut self, step: Step) {
        let now = self.now();
        self.observed.apply(step.event(), now);
        match &step {
            Step::Start { instance, spec } => self.start(instance, *spec, &step),
            Step::Drain { instance } => self.drain(instance),
            Step::Stop { instance, why } => {
                self.note(instance, "stopping", why);
                self.supervisor.stop(instance);
            }
            Step::Forget { instance, .. } => {
                self.finish_journal(instance);
                self.facts.remove(instance);
                self.note_failure(instance);
            }
        }
    }

    fn start(&mut self, id: &InstanceId, fingerprint: u64, step: &Step) {
        let journal = self.begin_journal(id, step);
        report_failure("recording a run number", self.store.use_run(id));
        let (address, pid, started_ms) = (None, None, None);
        let facts =
            Facts { fingerprint, pid, address, started_ms, was_ready: false, not_asked: None, journal };
        self.facts.insert(id.clone(), facts);
        let spec = self.stacks.get(&id.app.stack).and_then(|stack| stack.spec_of(&id.app.app, fingerprint));
        // The program alone: its arguments may hold what a variable of the manifest brought in.
        let program = spec.and_then(|spec| match &spec.container {
            Some(container) => Some(contained::image(&id.app, &spec, container)),
            None => spec.argv.first().cloned(),
        });
        self.note(id, "starting", &program.unwrap_or_default());
        match self.order(id, fingerprint) {
            Ok(order) => self.supervisor.start(order),
            Err(reason) => {
                self.note(id, "ended", &reason);
                let (instance, now) = (id.clone(), self.now());
                let end = End::NotStarted(reason);
                self.observed.apply(Event::Ended { instance, end, uptime: Duration::ZERO }, now);
            }
        }
    }

    fn order(&mut self, id: &InstanceId, fingerprint: u64) -> Result<Order, String> {
        let gone = || format!("{} is no longer part of its stack", id.app);
        let stack = self.stacks.get(&id.app.stack).ok_or_else(gone)?;
        let (revision, spec) = stack.find(&id.app.app, fingerprint).ok_or_else(gone)?;
        let is_service = revision.is_service(&id.app.app);
        let places = self.places(id, Some(spec), is_service);
        let engine = spec.container.is_some().then(|| self.engine.reach()).transpose()?;
        let runner =
            engine.and_then(|engine| contained::runner(revision, spec, id, &places, &self.home, &engine));
        if runner.is_some() {
            self.engine.lives(id);
        }
        let process = runner.as_ref().map(|runner| contained::as_process(spec, runner));
        Ok(Order {
            id: id.clone(),
            user: user::of_app(&revision.spec, spec)?,
            spec: Arc::new(process.unwrap_or_else(|| spec.clone())),
            fingerprint,
            root: revision.spec.root.clone(),
            places,
            mainstay: (is_service || runner.is_some()).then(|| self.options.exe.clone()),
            edge_group: self.recipe.user.as_ref().map(|user| user.gid),
            exe: self.options.exe.clone(),
            network: self.networks.place(&revision.spec, spec, id, &self.home.names(id))?,
            runner: runner.map(Arc::new),
            lifetime: self.lifetime.clone(),
        })
    }

    /// Where the files of an instance are; `spec`: of the app, if it is known.
    pub(crate) fn places(&self, id: &InstanceId, spec: Option<&AppSpec>, is_service: bool) -> Places {
        let home = &self.home;
        let dir = spec.and_then(|spec| spec.logs.dir.as_deref());
        let [out, err] = ["out", "err"].map(|stream| home.app_log(dir, &id.app, id.slot, stream));
        let build = spec.and_then(|spec| spec.build.as_ref());
        Places {
            shim_socket: home.shim_socket(id),
            status: home.instance_status(id),
            meta: home.instance_meta(id),
            app_socket: home.app_socket(id),
            service_socket: is_service.then(|| home.service_socket(&id.app)),
            state: home.app_state(&id.app),
            build: build.map(|build| home.app_build(&id.app, build.hash)),
            out,
            err,
            shim_log: home.logs().join("shim.log"),
            groups: home.groups(),
        }
    }

    /// The edge learns of it with the next snapshot. An instance that it cannot know of has drained already.
    fn drain(&mut self, id: &InstanceId) {
        let worn = self.observed.instances.get(id).and_then(|instance| instance.worn.as_ref());
        let why =
            worn.map_or("it is to be replaced or stopped".to_owned(), |why| format!("it is recycled: {why}"));
        self.note(id, "draining", &why);
        let unknown_to_edge =
            self.facts.get(id).is_none_or(|facts| !facts.was_ready || facts.address.is_none());
        // Under `up` the edge is told to end first: what it still serves it serves until its own deadline.
        if unknown_to_edge || (self.ending.is_some() && self.edge.is_none()) {
            let (instance, now) = (id.clone(), self.now());
            self.observed.apply(Event::Drained { instance }, now);
        }
    }

    fn begin_journal(&self, id: &InstanceId, step: &Step) -> Option<u64> {
        let stack = self.stacks.get(&id.app.stack)?;
        let revision =
            stack.candidate.as_ref().or(stack.active.as_ref()).map_or(0, |revision| revision.number);
        let text = serde_json::to_string(step).unwrap_or_default();
        match self.store.begin(&id.app.stack, revision, &text) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::error!(%error, "writing the journal failed");
                None
            }
        }
    }

    pub(crate) fn finish_journal(&mut self, id: &InstanceId) {
        if let Some(entry) = self.facts.get_mut(id).and_then(|facts| facts.journal.take()) {
            report_failure("writing the journal", self.store.finish(entry));
        }
    }

    /// Commit: recorded durably first, in force second.
    pub(crate) fn commit(&mut self, name: &StackName) {
        let Some(stack) = self.stacks.get_mut(name) else { return };
        let Some(number) = stack.candidate.as_ref().map(|candidate| candidate.number) else { return };
        if let Err(error) = self.store.commit(name, number) {
            tracing::error!(%error, stack = %name, "the change cannot be recorded and is dropped");
            stack.drop_candidate(format!("it could not be recorded: {error}"));
            return self.keep_services(name);
        }
        stack.commit();
        if let Some(active) = &stack.active {
            log_folder::link(&self.home, &active.spec);
        }
        tracing::info!(stack = %name, revision = number, "committed");
        self.forget_scaled(name);
        self.builds.sweep_later(name);
        self.send_listeners();
        self.look_up();
    }

    /// Forgets what is gone: retired apps, removed stacks.
    pub(crate) fn tidy(&mut self) {
        let observed = &self.observed;
        let gone: Vec<StackName> = self
            .stacks
            .iter_mut()
            .filter_map(|(name, stack)| stack.tidy(observed).then(|| name.clone()))
            .collect();
        for name in gone {
            self.stacks.remove(&name);
            self.engine.sweep_later();
            // Ending is no wish to forget: `up` starts it again with the next `up`.
            if self.ending.is_none() {
                report_failure("removing a stack", self.store.remove(&name));
                builds::forget(&self.home, &name);
                let _ = sys::durable::remove(&self.home.overcommit(&name)); // there is none: nothing to forget
                self.send_listeners();
            }
        }
    }
}
