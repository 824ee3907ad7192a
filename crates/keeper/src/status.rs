//! What `mainstay status` shows of stacks and apps; of each instance: [`crate::instance_status`]. The edge's figures are asked for when
//! somebody asks, and what is used is measured then ([`crate::usage`]).

use crate::api;
use crate::confinement;
use crate::contained;
use crate::edge_host::EdgeEvent;
use crate::keeper::{Keeper, LAST_LINES};
use crate::service_status;
use crate::stack::{Revision, Stack};
use crate::urls::urls;
use model::network::{ForwardSpec, Protocol};
use model::plan::{AppState, Desired, app_state, what_is_wrong};
use model::spec::{AppSpec, StackSpec};
use model::{AppId, AppName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use telemetry::journal::{Source, Stream};
use tokio::sync::oneshot;
use wire::edge::ToEdge;

/// Longest wait for the edge to take what it was sent, and for its figures; without them the rest is shown.
pub(crate) const EDGE_FIGURES: Duration = Duration::from_secs(1);
/// Changes of state shown for each app.
pub(crate) const HISTORY: u32 = 20;

/// The last lines of an instance's two logs, from `since` (milliseconds since the Unix epoch) on.
pub(crate) fn tail(logs: &[PathBuf; 2], since: Option<u64>, lines: usize) -> Vec<String> {
    let streams = [Stream::Out, Stream::Err].into_iter().zip(logs);
    let sources: Vec<Source> =
        streams.map(|(stream, path)| Source { label: String::new(), stream, path: path.clone() }).collect();
    let records = telemetry::journal::tail(&sources, lines).unwrap_or_default();
    let since = since.map_or(i64::MIN, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
    records
        .into_iter()
        .filter(|record| record.time.as_millisecond() >= since)
        .map(|record| record.text)
        .collect()
}

impl Keeper {
    /// Asks the edge for its figures first; the answer goes out with them, or without after [`EDGE_FIGURES`].
    pub(crate) fn ask_status(&mut self, query: api::StatusQuery, answer: oneshot::Sender<api::Status>) {
        self.waiting.push((query, answer));
        if self.edge.is_none() {
            return self.answer_status();
        }
        self.tell_edge(&ToEdge::Stats);
        let events = self.edge_events.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(EDGE_FIGURES).await;
            let _ = events.send(EdgeEvent::Late).await;
        });
    }

    /// Answers everybody who waits. What is used is measured away from the loop.
    pub(crate) fn answer_status(&mut self) {
        for (query, answer) in std::mem::take(&mut self.waiting) {
            let mut status = self.status(query);
            let sampler = Arc::clone(&self.sampler);
            let confined = if query.usage == api::Detail::None { Vec::new() } else { self.confined() };
            let mains = if query.usage == api::Detail::None { BTreeMap::new() } else { self.mains() };
            let fill = move || {
                sampler.fill(&mut status, query.usage, &mains);
                confinement::fill(&mut status, confined);
                let _ = answer.send(status);
            };
            if query.usage == api::Detail::None {
                fill();
            } else {
                self.tasks.spawn_blocking(fill);
            }
        }
    }

    fn status(&self, query: api::StatusQuery) -> api::Status {
        let desired = self.desired();
        let uptime_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION").to_owned());
        let home = self.home.path().to_owned();
        api::Status {
            keeper: api::KeeperStatus {
                pid,
                version,
                uptime_ms,
                home,
                usage: None,
                managed: self.herald.has_manager(),
            },
            edge: self.edge_status(),
            stacks: self.stacks.values().map(|stack| self.stack_status(stack, &desired, query)).collect(),
            alerts: self.alerts(&desired),
            certificates: match query.without_certificates {
                true => Vec::new(),
                false => self.certificates.status(SystemTime::now()),
            },
            bans: self.bans.len(),
            host: None,
            reserved: self.reserved(),
        }
    }

    fn edge_status(&self) -> Option<api::EdgeStatus> {
        let edge = self.edge.as_ref()?;
        let user = self.recipe.user.as_ref().map(|user| user.name.clone());
        let own = || sys::user::by_uid(sys::user::uid()).map(|user| user.name);
        Some(api::EdgeStatus {
            pid: edge.pid,
            user: user.or_else(own).unwrap_or_else(|| sys::user::uid().to_string()),
            listen: self.sockets.addresses(),
            tls: self
                .published
                .iter()
                .flat_map(|it| &it.rest.doors)
                .filter(|it| it.tls)
                .map(|it| it.address)
                .collect(),
            revision: edge.revision,
            connections: self.stats.connections,
            in_flight: self.stats.in_flight,
            requests: self.stats.requests,
            log_lost: self.stats.log_lost,
            usage: None,
            beside: self.beside_status(),
        })
    }

    fn stack_status(&self, stack: &Stack, desired: &Desired, query: api::StatusQuery) -> api::StackStatus {
        let revision = stack.active.as_ref().or(stack.candidate.as_ref());
        let spec = revision.map(|revision| &*revision.spec);
        let apps: Vec<_> = spec
            .iter()
            .flat_map(|spec| spec.apps.iter().filter(|(name, _)| !spec.tasks.contains_key(*name)))
            .map(|(name, app)| {
                let service = revision.and_then(|revision| service_status::of(revision, name, &self.home));
                self.app_status(stack, (name, app), service, desired, query)
            })
            .collect();
        let addresses = revision.into_iter().flat_map(Revision::addresses);
        let unserved = addresses.filter_map(|address| self.unserved.get(address).cloned());
        let unsure = revision.into_iter().flat_map(|it| self.certificates.client_problems(it));
        let problems: Vec<String> = unserved.chain(self.sick_servers(revision)).chain(unsure).collect();
        api::StackStatus {
            name: stack.name.to_string(),
            manifest: stack.manifest.clone(),
            revision: stack.active.as_ref().map_or(0, |active| active.number),
            state: if problems.is_empty() { self.stack_state(stack, &apps) } else { "degraded" }.to_owned(),
            urls: revision.map(urls).unwrap_or_default(),
            change: stack.change.clone().or_else(|| {
                let reason = Some(stack.broken.clone()?);
                Some(api::ChangeStatus { revision: 0, state: "dropped".into(), reason })
            }),
            problems,
            apps,
            tasks: self.task_statuses(stack),
        }
    }

    /// Servers that are out of rotation, and why.
    fn sick_servers<'a>(&'a self, revision: Option<&'a Revision>) -> impl Iterator<Item = String> {
        let tried = revision.into_iter().flat_map(|it| crate::publish::tried(it, &self.found));
        let tried: BTreeMap<_, _> = tried.collect();
        tried.into_iter().filter_map(|(key, (address, _))| {
            Some(format!("{address} is out of rotation: {}", self.servers.problem(&key)?))
        })
    }

    /// Ready is what is ready for those who ask: the edge has to know of it.
    fn stack_state(&self, stack: &Stack, apps: &[api::AppStatus]) -> &'static str {
        let any = |state: &str| apps.iter().any(|app| app.state == state);
        if stack.broken.is_some() {
            "failed"
        } else if stack.removing {
            "stopping"
        } else if any("failed") {
            "failed"
        } else if any("degraded") || any("unhealthy") {
            "degraded"
        } else if any("starting") || any("waiting") || any("building") {
            "starting"
        } else if !apps.is_empty() && apps.iter().all(|app| app.state == "stopped") {
            "stopped"
        } else if self.edge.as_ref().is_none_or(|edge| edge.unanswered.is_some()) {
            "starting"
        } else {
            "ready"
        }
    }

    fn app_status(
        &self,
        stack: &Stack,
        (name, spec): (&AppName, &AppSpec),
        service: Option<api::ServiceStatus>,
        desired: &Desired,
        query: api::StatusQuery,
    ) -> api::AppStatus {
        let id = stack.app_id(name);
        let mine = || self.observed.instances.values().filter(|instance| instance.id.app == id);
        let mut instances: Vec<_> = mine().map(|instance| self.instance_status(instance, query)).collect();
        instances.extend(self.failed_slots(&id, desired));
        instances.sort_by(|a, b| (&a.label, a.run).cmp(&(&b.label, b.run)));
        let state = app_state(desired, &self.observed, &id);
        let bad = matches!(state, AppState::Degraded | AppState::Unhealthy | AppState::Failed { .. });
        let last_lines = || {
            let lines = self.last_lines_of(&id);
            if service.is_some() { service_status::said(&lines, name) } else { lines }
        };
        // The reason of a build has its last lines.
        let reason =
            what_is_wrong(desired, &self.observed, &id).map(|reason| match bad && !reason.contains('\n') {
                true => last_lines().iter().fold(reason, |text, line| text + "\n  " + line),
                false => reason,
            });
        let of = stack.active.as_ref().or(stack.candidate.as_ref());
        let number = of.map_or(0, |revision| stack.number(&revision.spec, name, spec));
        let wanted = desired.apps.get(&id).map_or(0, |app| app.instances.min(number));
        let ready = mine().filter(|instance| instance.phase.is_ready()).count();
        api::AppStatus {
            name: name.to_string(),
            description: spec.description.clone(),
            state: word(&state).to_owned(),
            image: spec.container.as_ref().map(|container| contained::image(&id, spec, container)),
            ports: of.map(|revision| ports(&revision.spec, name)).unwrap_or_default(),
            wanted,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            scale: scale_status(stack, name, spec),
            reason: reason.or_else(|| self.memory_advice(&id)),
            service,
            build: self.builds.status(&id),
            memory_limit: spec.resources.memory,
            memory_recycle: spec.recycle.memory,
            traffic: self.traffic(&id),
            settings: query.settings.then(|| manifest::app_settings(spec)),
            instances,
            history: self.transitions(&id),
        }
    }

    /// The last lines that the app's slot that ended last wrote in its last run.
    fn last_lines_of(&self, app: &AppId) -> Vec<String> {
        let slots = self.observed.slots.iter().filter(|((of, _), _)| of == app);
        let Some(((_, slot), _)) = slots.max_by_key(|(_, record)| record.ended) else { return Vec::new() };
        let label = format!("{}.{slot}", app.app);
        let history = self.store.history(app, HISTORY).unwrap_or_default();
        let begun =
            history.iter().rev().find(|change| change.instance == label && change.state == "starting");
        let logs = self.app_logs(app, *slot, None);
        tail(&logs, begun.map(|change| change.at_ms), LAST_LINES)
    }
}

/// Ports of the host's that lead to an app without a site.
fn ports(spec: &StackSpec, app: &AppName) -> Vec<String> {
    let one = |forward: &ForwardSpec| {
        let protocol = if forward.protocol == Protocol::Udp { "udp" } else { "tcp" };
        let inside = forward.port.map(|port| format!("->{port}")).unwrap_or_default();
        format!("{}{inside}/{protocol}", forward.listen)
    };
    spec.forwards.iter().filter(|forward| forward.app == *app).map(one).collect()
}

fn scale_status(stack: &Stack, name: &AppName, spec: &AppSpec) -> Option<api::ScaleStatus> {
    let asked = stack.scaled(name, spec);
    let is_told = asked.is_some() || spec.scale.is_some();
    is_told.then(|| api::ScaleStatus { asked, manifest: crate::scale::says(spec) })
}

fn word(state: &AppState) -> &'static str {
    match state {
        AppState::Starting => "starting",
        AppState::Ready => "ready",
        AppState::Degraded => "degraded",
        AppState::Unhealthy => "unhealthy",
        AppState::Failed { .. } => "failed",
        AppState::Stopping => "stopping",
        AppState::Stopped => "stopped",
        AppState::Asleep => "asleep",
        AppState::Waiting => "waiting",
        AppState::Building => "building",
        AppState::Complete => "done",
    }
}
