//! What is asked of the keeper: status, and wishes for another state. A wish is recorded or refused here, as a whole; the loop
//! brings it about.
//!
//! ```text
//! load the manifest ─▶ hosts free? room for what it reserves? ─▶ compare ─ nothing new ─▶ "no change"
//!                                        └▶ certificates? bind ─▶ compare-and-swap in the store ─▶ candidate ─ the first one ─▶ committed at once
//! ```
//! Until the store has taken it nothing is changed; what was bound for it by then is closed again.

use crate::api::{Accepted, ReloadRequest, StackRequest};
use crate::builds;
use crate::change::{self, Loaded};
use crate::control::Call;
use crate::ending::Ending;
use crate::error::KeeperError;
use crate::images::Asked;
use crate::keeper::{Keeper, epoch_ms};
use crate::publish;
use crate::services;
use crate::stack::{Revision, Stack};
use manifest::Compose;
use model::network::Protocol;
use model::observed::{Event, Observed};
use model::plan::{AppState, Step, app_state};
use model::site::DoorSpec;
use model::spec::{SiteSpec, StackSpec};
use model::{AppId, AppName, InstanceId, StackName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;
use store::{NewRevision, Proposal};

/// A manifest that is to be in force.
struct Wish {
    manifest: PathBuf,
    compose: Compose,
    /// As in [`Revision::http`].
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    loaded: Loaded,
    /// It may reserve more than there is.
    overcommit: bool,
}

impl Wish {
    fn spec(&self) -> &StackSpec {
        &self.loaded.spec
    }

    /// It as a revision that has no number yet.
    fn revision(&self) -> Revision {
        self.loaded.clone().revision(0, self.http.clone(), self.https.clone())
    }
}

impl Keeper {
    /// Answers one call. A caller that is gone does not matter: what it asked for is done all the same.
    pub(crate) async fn answer(&mut self, call: Call) {
        match call {
            Call::Status(query, answer) => self.ask_status(query, answer),
            Call::History(query, answer) => drop(answer.send(self.history(&query))),
            Call::Put(request, answer) => drop(answer.send(self.put(request).await)),
            Call::Reload(stack, request, answer) => drop(answer.send(self.reload(&stack, request).await)),
            Call::Restart(stack, answer) => drop(answer.send(self.restart_all(&stack))),
            Call::RunTask(stack, task, answer) => drop(answer.send(self.run_task(&stack, &task))),
            Call::Scale(stack, request, answer) => drop(answer.send(self.scale(&stack, &request))),
            Call::Remove(stack, answer) => drop(answer.send(self.remove(&stack))),
            Call::App(stack, app, verb, answer) => drop(answer.send(self.app_verb(&stack, &app, verb))),
            Call::Signal(stack, app, request, answer) => {
                drop(answer.send(self.signal(&stack, &app, &request)))
            }
            Call::Exec(stack, app, request, answer) => drop(answer.send(self.exec(&stack, &app, request))),
            Call::Metrics(answer) => self.ask_metrics(answer),
            Call::Bans(answer) => drop(answer.send(Ok(self.list_bans()))),
            Call::Ban(request, answer) => drop(answer.send(self.add_ban(request))),
            Call::Lift(request, answer) => drop(answer.send(self.lift_bans(request.net))),
            Call::Renew(request, answer) => {
                drop(answer.send(self.certificates.renew(&request, SystemTime::now())))
            }
            Call::Revoke(request, answer) => self.revoke(&request, answer),
            Call::Issue(request, answer) => {
                let Self { certificates, stacks, .. } = self;
                let begun = certificates.issue(*request, stacks.values(), SystemTime::now());
                drop(answer.send(begun));
            }
            Call::Import(pair, answer) => drop(answer.send(self.certificates.import(&pair))),
            Call::RemoveOwn(name, answer) => drop(answer.send(self.certificates.remove(&name))),
            Call::Upgrade(request, answer) => drop(answer.send(self.upgrade(request).await)),
            Call::Shutdown(answer) => {
                self.end(Ending::Orderly);
                let _ = answer.send(());
            }
        }
    }

    /// Puts a stack up, or another manifest in the place of the one that runs. Apps that were stopped are started.
    pub(crate) async fn put(&mut self, request: StackRequest) -> Result<Accepted, KeeperError> {
        let asked = if request.pull { Asked::Pull } else { Asked::AsSaid };
        let loaded = self.load(request.manifest.clone(), request.compose.clone(), false, asked).await?;
        let name = loaded.spec.name.clone();
        let accepted = self.put_loaded(request, loaded);
        self.unless_refused(&name, accepted)
    }

    fn put_loaded(&mut self, request: StackRequest, loaded: Loaded) -> Result<Accepted, KeeperError> {
        let StackRequest { manifest, compose, http, https, overcommit, .. } = request;
        let name = loaded.spec.name.clone();
        let running = self.stacks.get(&name).filter(|stack| !stack.removing);
        if let Some(running) = running.filter(|stack| stack.manifest != manifest) {
            let manifest = running.manifest.clone();
            return Err(KeeperError::StackTaken { stack: name.to_string(), manifest });
        }
        // Who says nothing about addresses keeps those that were given before.
        let before = running.and_then(|stack| stack.active.as_ref());
        let or_before = |given: Vec<SocketAddr>, before: Option<&Vec<SocketAddr>>| {
            if given.is_empty() { before.cloned().unwrap_or_default() } else { given }
        };
        let http = or_before(http, before.map(|active| &active.http));
        let https = or_before(https, before.map(|active| &active.https));
        let mut accepted = self.propose(Wish { manifest, compose, http, https, loaded, overcommit })?;
        let stopped = self.stacks.get(&name).map(|stack| stack.stopped.clone()).unwrap_or_default();
        for app in stopped {
            self.set_stopped(&name, &app, false);
            let kind = self.stacks.get(&name).map_or("app", |stack| stack.kind_of(&app));
            accepted.changes.push(format!("{kind} {app}: started"));
        }
        Ok(accepted)
    }

    /// Of a wish that was refused nothing stays: what it wrote for the servers of services is written again as it was.
    fn unless_refused<T>(&self, stack: &StackName, result: Result<T, KeeperError>) -> Result<T, KeeperError> {
        if result.is_err() {
            self.keep_services(stack);
        }
        result
    }

    /// What the servers of a stack's services read is what is active.
    pub(crate) fn keep_services(&self, stack: &StackName) {
        if let Some(active) = self.stacks.get(stack).and_then(|stack| stack.active.as_ref()) {
            services::keep(&active.spec, &self.home);
        }
    }

    /// Loads a manifest away from the loop: its files may lie on a slow disk.
    async fn load(
        &self,
        path: PathBuf,
        compose: Compose,
        dry: bool,
        asked: Asked,
    ) -> Result<Loaded, KeeperError> {
        let home = self.home.clone();
        let load = move || change::load(&path, &compose, &home, dry, asked);
        let loading = tokio::task::spawn_blocking(load).await;
        loading.map_err(|error| KeeperError::Io(std::io::Error::other(error)))?
    }

    pub(crate) async fn reload(
        &mut self,
        stack: &str,
        request: ReloadRequest,
    ) -> Result<Accepted, KeeperError> {
        let (name, manifest, before, (http, https)) = {
            let stack = self.stack(stack)?;
            let head = stack.revisions().next();
            let given = head.map(|head| (head.http.clone(), head.https.clone())).unwrap_or_default();
            (stack.name.clone(), stack.manifest.clone(), stack.compose.clone(), given)
        };
        let asked = match (request.dry_run, request.pull) {
            (true, _) => Asked::Known,
            (false, true) => Asked::Pull,
            (false, false) => Asked::AsSaid,
        };
        let compose = request.compose.unwrap_or(before);
        let loaded = self.load(manifest.clone(), compose.clone(), request.dry_run, asked).await?;
        if loaded.spec.name != name {
            let other = loaded.spec.name.clone();
            let why = format!("the manifest now names the stack {other}; stop {name} and start it anew");
            return self.unless_refused(&other, Err(KeeperError::Conflict(why)));
        }
        let wish = Wish { manifest, compose, http, https, loaded, overcommit: request.overcommit };
        if request.dry_run {
            self.check_hosts(wish.spec())?;
            self.admit(wish.spec(), wish.overcommit)?;
            return Ok(self.compare(&wish));
        }
        let accepted = self.propose(wish);
        self.unless_refused(&name, accepted)
    }

    /// What a wish would change now.
    fn compare(&self, wish: &Wish) -> Accepted {
        let name = &wish.spec().name;
        let stack = self.stacks.get(name);
        let active = stack.and_then(|stack| stack.active.as_ref());
        let mut changes = change::describe(active, &wish.revision());
        if stack.is_some_and(|stack| stack.removing) {
            changes.push(format!("stack {name}: started again"));
        }
        let revision = active.map_or(0, |active| active.number);
        Accepted { stack: name.to_string(), revision, changes }
    }

    /// Records a wish, if there is anything new in it.
    fn propose(&mut self, wish: Wish) -> Result<Accepted, KeeperError> {
        self.check_hosts(wish.spec())?;
        self.admit(wish.spec(), wish.overcommit)?;
        if wish.overcommit {
            self.keep_overcommit(&wish.spec().name);
        }
        let mut accepted = self.compare(&wish);
        let candidate = self.stacks.get(&wish.spec().name).and_then(|stack| stack.candidate.as_ref());
        if accepted.changes.is_empty() && candidate.is_none() {
            accepted.changes = self.builds_again(wish.spec());
            return Ok(accepted);
        }
        let recorded = self.record(wish);
        if recorded.is_err() {
            self.send_listeners();
        }
        recorded.map(|revision| Accepted { revision, ..accepted })
    }

    /// Compare-and-swap in the store; then the candidate is prepared. A first revision has nothing to protect and is
    /// committed at once.
    fn record(&mut self, wish: Wish) -> Result<u64, KeeperError> {
        let mut revision = wish.revision();
        let Wish { manifest, compose, loaded: Loaded { spec, text, .. }, .. } = wish;
        let name = spec.name.clone();
        let head = self.stacks.get(&name).and_then(|stack| stack.revisions().next()).map(|head| head.number);
        self.check_log_folder(&spec)?;
        self.certificates.check(&revision)?;
        self.check_doors(&revision)?;
        // Where port 0 was asked for, the one that was given is kept from now on.
        if let Some(bound) = self.bind(revision.http())? {
            revision.http = bound;
        }
        if let Some(bound) = self.bind(revision.https())? {
            revision.https = bound;
        }
        let named = revision.own_addresses().chain(revision.forwarded(Protocol::Tcp));
        let named: Vec<SocketAddr> = named.copied().collect();
        self.bind(&named)?;
        revision.forwarded(Protocol::Udp).try_for_each(|address| self.sockets.bind_datagrams(*address))?;
        let (http, https) = (revision.http.clone(), revision.https.clone());
        let asked = change::to_asked(&compose);
        let new = NewRevision { manifest: manifest.clone(), http, https, text, asked, at_ms: epoch_ms() };
        revision.number = match self.store.propose(&name, head, &new)? {
            Proposal::Accepted(number) => number,
            Proposal::Conflict { head } => {
                let head = head.map_or("nothing".into(), |head| format!("revision {head}"));
                return Err(KeeperError::Conflict(format!(
                    "somebody else changed {name} meanwhile: {head} is there now"
                )));
            }
        };
        let number = revision.number;
        let stack = self
            .stacks
            .entry(name.clone())
            .or_insert_with(|| Stack::new(name.clone(), manifest.clone(), compose.clone()));
        (stack.manifest, stack.compose, stack.removing, stack.broken) = (manifest, compose, false, None);
        let first = stack.active.is_none();
        let superseded = stack.prepare(revision);
        drain_all(self, &superseded);
        self.wake_changed(&name);
        self.stacks.get(&name).into_iter().for_each(|stack| builds::remember(&self.home, stack));
        if first {
            self.commit(&name);
        } else {
            self.look_up();
        }
        self.clear_failures(&name, &spec);
        Ok(number)
    }

    /// Binds all of them; gives the addresses that they got if these are others.
    fn bind(&mut self, addresses: &[SocketAddr]) -> Result<Option<Vec<SocketAddr>>, KeeperError> {
        let bound = addresses.iter().map(|address| self.sockets.bind(*address));
        let bound = bound.collect::<Result<Vec<SocketAddr>, KeeperError>>()?;
        Ok((bound != addresses).then_some(bound))
    }

    /// On one address one thing is spoken, whoever's sites are asked for there.
    fn check_doors(&self, new: &Revision) -> Result<(), KeeperError> {
        let others = self.stacks.values().filter(|stack| stack.name != new.spec.name && !stack.removing);
        let others = others.flat_map(Stack::revisions).flat_map(publish::doors);
        let mut doors: Vec<DoorSpec> = others.collect();
        for door in publish::doors(new).filter(|door| door.address.port() != 0) {
            let differs =
                |other: &DoorSpec| (other.tls, other.proxy_protocol) != (door.tls, door.proxy_protocol);
            if doors.iter().any(|other| other.address == door.address && differs(other)) {
                return Err(KeeperError::Listen {
                    address: door.address,
                    cause: "HTTP and HTTPS, or connections with and without the PROXY protocol, cannot share an address".into(),
                });
            }
            doors.push(door);
        }
        Ok(())
    }

    /// Without a change too, what could not be built is tried again; a line each.
    fn builds_again(&mut self, spec: &StackSpec) -> Vec<String> {
        let app = |name: &AppName| AppId { stack: spec.name.clone(), app: name.clone() };
        let again = spec.apps.keys().filter(|name| self.builds.clear(&app(name)));
        again.map(|name| format!("app {name}: its build is tried again")).collect()
    }

    /// An administrator's wish gives every app that failed a new try. Work that was done, and did not change, is not done again.
    fn clear_failures(&mut self, name: &StackName, spec: &StackSpec) {
        let desired = self.desired();
        for app in spec.apps.keys() {
            let id = AppId { stack: name.clone(), app: app.clone() };
            if app_state(&desired, &self.observed, &id) != AppState::Complete {
                self.clear_failure(name, app);
            }
        }
    }

    pub(crate) fn clear_failure(&mut self, stack: &StackName, app: &AppName) {
        let app = AppId { stack: stack.clone(), app: app.clone() };
        self.builds.clear(&app);
        self.observed.apply(Event::Cleared { app }, self.born.elapsed());
    }

    fn check_hosts(&self, spec: &StackSpec) -> Result<(), KeeperError> {
        let others = self.stacks.values().filter(|stack| stack.name != spec.name && !stack.removing);
        for stack in others {
            let sites = stack.revisions().flat_map(|revision| &revision.spec.sites);
            let taken = sites.flat_map(|site| site.hosts.iter().map(move |host| (site, host)));
            for (theirs, host) in taken {
                if spec.sites.iter().any(|site| meet(site, theirs) && site.hosts.contains(host)) {
                    return Err(KeeperError::HostTaken { host: host.clone(), stack: stack.name.to_string() });
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, stack: &str) -> Result<Accepted, KeeperError> {
        let name = self.stack(stack)?.name.clone();
        self.store.set_wanted(&name, store::Wanted::Stopped)?;
        let Some(stack) = self.stacks.get_mut(&name) else {
            return Err(KeeperError::Unknown(format!("stack {name}")));
        };
        stack.removing = true;
        let revision = stack.active.as_ref().map_or(0, |active| active.number);
        Ok(Accepted {
            stack: name.to_string(),
            revision,
            changes: vec![format!("stack {name}: stopped and removed")],
        })
    }

    /// A stack that is wanted.
    pub(crate) fn stack(&self, name: &str) -> Result<&Stack, KeeperError> {
        let found = name.parse::<StackName>().ok().and_then(|name| self.stacks.get(&name));
        found.filter(|stack| !stack.removing).ok_or_else(|| KeeperError::Unknown(format!("stack {name}")))
    }
}

/// Whether two sites are reached at the same address: the same name at another one is another site.
fn meet(one: &SiteSpec, other: &SiteSpec) -> bool {
    match (one.listen.is_empty(), other.listen.is_empty()) {
        (true, true) => true,
        (false, false) => one.listen.iter().any(|address| other.listen.contains(address)),
        _ => false,
    }
}

/// Takes out what ran with a specification that nobody wants any more.
fn drain_all(keeper: &mut Keeper, superseded: &[(AppId, u64)]) {
    let of = |observed: &Observed, app: &AppId, spec: u64| -> Vec<InstanceId> {
        let mine = observed.of(app).filter(|instance| instance.spec == spec && instance.phase.is_staying());
        mine.map(|instance| instance.id.clone()).collect()
    };
    for (app, spec) in superseded {
        for instance in of(&keeper.observed, app, *spec) {
            keeper.execute(Step::Drain { instance });
        }
    }
}
