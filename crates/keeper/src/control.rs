//! The control API: HTTP/1.1 on a unix socket that only the keeper's user can open. Each call becomes a message to the loop,
//! which answers when the change is recorded.

use crate::api::{Accepted, Failure, ReloadRequest, StackRequest, Status};
use crate::change;
use crate::error::KeeperError;
use crate::keeper::{Ending, Keeper, epoch_ms, report_failure};
use crate::stack::{Revision, Stack};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use model::spec::StackSpec;
use model::{AppName, StackName};
use std::sync::Arc;
use store::{NewRevision, Proposal};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

type Answer = oneshot::Sender<Result<Accepted, KeeperError>>;

/// A call, and where its answer goes.
pub(crate) enum Call {
    Status(oneshot::Sender<Status>),
    Put(StackRequest, Answer),
    Reload(String, ReloadRequest, Answer),
    Remove(String, Answer),
    App(String, String, Verb, Answer),
    Shutdown(oneshot::Sender<()>),
}

/// What can be asked of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
}

/// Serves the API until the keeper ends.
pub(crate) async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let app = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/stacks", put(put_stack))
        .route("/v1/stacks/{stack}", delete(remove))
        .route("/v1/stacks/{stack}/reload", post(reload))
        .route("/v1/stacks/{stack}/apps/{app}/{verb}", post(app))
        .route("/v1/shutdown", post(shutdown))
        .with_state(calls);
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "the control API ended");
    }
}

type Calls = State<mpsc::Sender<Call>>;

async fn ask<T>(
    calls: &mpsc::Sender<Call>,
    call: impl FnOnce(oneshot::Sender<T>) -> Call,
) -> Result<T, Response> {
    let (answer, answered) = oneshot::channel();
    let ending = || {
        let failure = Failure { error: "the keeper is ending".into(), diagnostics: String::new() };
        (StatusCode::SERVICE_UNAVAILABLE, Json(failure)).into_response()
    };
    calls.send(call(answer)).await.map_err(|_| ending())?;
    answered.await.map_err(|_| ending())
}

fn reply(result: Result<Result<Accepted, KeeperError>, Response>) -> Response {
    match result {
        Ok(Ok(accepted)) => Json(accepted).into_response(),
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(error.failure())).into_response()
        }
        Err(response) => response,
    }
}

async fn status(State(calls): Calls) -> Response {
    ask(&calls, Call::Status).await.map_or_else(|response| response, |status| Json(status).into_response())
}

async fn put_stack(State(calls): Calls, Json(request): Json<StackRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Put(request, answer)).await)
}

async fn reload(
    State(calls): Calls,
    Path(stack): Path<String>,
    Json(request): Json<ReloadRequest>,
) -> Response {
    reply(ask(&calls, |answer| Call::Reload(stack, request, answer)).await)
}

async fn remove(State(calls): Calls, Path(stack): Path<String>) -> Response {
    reply(ask(&calls, |answer| Call::Remove(stack, answer)).await)
}

async fn app(State(calls): Calls, Path((stack, app, verb)): Path<(String, String, String)>) -> Response {
    let verb = match verb.as_str() {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        _ => return reply(Ok(Err(KeeperError::Unknown(format!("verb {verb}"))))),
    };
    reply(ask(&calls, |answer| Call::App(stack, app, verb, answer)).await)
}

async fn shutdown(State(calls): Calls) -> Response {
    let empty = || Json(serde_json::json!({})).into_response();
    ask(&calls, Call::Shutdown).await.map_or_else(|response| response, |()| empty())
}

impl Keeper {
    /// Answers one call. A caller that is gone does not matter: what it asked for is done all the same.
    pub(crate) async fn answer(&mut self, call: Call) {
        match call {
            Call::Status(answer) => self.ask_status(answer),
            Call::Put(request, answer) => drop(answer.send(self.put(request).await)),
            Call::Reload(stack, request, answer) => drop(answer.send(self.reload(&stack, request).await)),
            Call::Remove(stack, answer) => drop(answer.send(self.remove(&stack))),
            Call::App(stack, app, verb, answer) => drop(answer.send(self.app_verb(&stack, &app, verb))),
            Call::Shutdown(answer) => {
                self.end(Ending::Orderly);
                let _ = answer.send(());
            }
        }
    }

    /// Puts a stack up, or another manifest in the place of the one that runs.
    pub(crate) async fn put(&mut self, request: StackRequest) -> Result<Accepted, KeeperError> {
        let (spec, text) = load(request.manifest.clone()).await?;
        let name = spec.name.clone();
        if let Some(running) =
            self.stacks.get(&name).filter(|stack| stack.manifest != request.manifest && !stack.removing)
        {
            return Err(KeeperError::StackTaken {
                stack: name.to_string(),
                manifest: running.manifest.clone(),
            });
        }
        let stack = self
            .stacks
            .entry(name.clone())
            .or_insert_with(|| Stack::new(name, request.manifest.clone(), Vec::new()));
        stack.removing = false;
        if !request.http.is_empty() || stack.active.is_none() {
            stack.http = request.http;
        }
        let stopped: Vec<AppName> = stack.stopped.iter().cloned().collect();
        for app in stopped {
            self.set_stopped(&spec.name, &app, false);
        }
        self.propose(&spec.name.clone(), spec, text)
    }

    async fn reload(&mut self, stack: &str, request: ReloadRequest) -> Result<Accepted, KeeperError> {
        let stack = self.stack(stack)?;
        let name = stack.name.clone();
        let (spec, text) = load(stack.manifest.clone()).await?;
        if spec.name != name {
            return Err(KeeperError::Conflict(format!(
                "the manifest now names the stack {}; stop {name} and start it anew",
                spec.name
            )));
        }
        if request.dry_run {
            let stack = self.stack(name.as_str())?;
            let active = stack.active.as_ref();
            let changes = change::describe(active.map(|active| &*active.spec), &spec);
            let revision = active.map_or(0, |active| active.number);
            return Ok(Accepted { stack: name.to_string(), revision, changes });
        }
        self.propose(&name, spec, text)
    }

    /// Compare-and-swap in the store; then the candidate is prepared. A first revision has nothing to protect and is
    /// committed at once.
    fn propose(
        &mut self,
        name: &StackName,
        spec: Arc<StackSpec>,
        text: String,
    ) -> Result<Accepted, KeeperError> {
        self.check_hosts(&spec)?;
        let unknown = || KeeperError::Unknown(format!("stack {name}"));
        let (addresses, new, head, first, changes) = {
            let stack = self.stacks.get(name).ok_or_else(unknown)?;
            let active = stack.active.as_ref();
            let changes = change::describe(active.map(|active| &*active.spec), &spec);
            let head = stack.candidate.as_ref().or(active).map(|revision| revision.number);
            let (manifest, http) = (stack.manifest.clone(), stack.http.clone());
            let new = NewRevision { manifest, http, text, at_ms: epoch_ms() };
            (stack.addresses(&spec), new, head, active.is_none(), changes)
        };
        if let Err(error) = addresses.iter().try_for_each(|address| self.sockets.bind(*address)) {
            self.stacks.retain(|_, stack| {
                stack.active.is_some() || stack.candidate.is_some() || stack.broken.is_some()
            });
            return Err(error);
        }
        let Some(stack) = self.stacks.get_mut(name) else { return Err(unknown()) };
        if changes.is_empty() && stack.candidate.is_none() {
            let revision = stack.active.as_ref().map_or(0, |active| active.number);
            return Ok(Accepted { stack: name.to_string(), revision, changes });
        }
        let number = match self.store.propose(name, head, &new)? {
            Proposal::Accepted(number) => number,
            Proposal::Conflict { head } => {
                let head = head.map_or("nothing".into(), |head| format!("revision {head}"));
                return Err(KeeperError::Conflict(format!(
                    "somebody else changed {name} meanwhile: {head} is there now"
                )));
            }
        };
        stack.candidate = Some(Revision { number, spec: Arc::clone(&spec) });
        stack.broken = None;
        let state = "preparing".into();
        stack.change = Some(crate::api::ChangeStatus { revision: number, state, reason: None });
        if first {
            self.commit(name);
        }
        self.clear_failures(name, &spec);
        Ok(Accepted { stack: name.to_string(), revision: number, changes })
    }

    /// An administrator's wish gives every app that failed a new try.
    fn clear_failures(&mut self, name: &StackName, spec: &StackSpec) {
        for app in spec.apps.keys() {
            let app = model::AppId { stack: name.clone(), app: app.clone() };
            self.observed.apply(model::observed::Event::Cleared { app }, self.born.elapsed());
        }
    }

    fn check_hosts(&self, spec: &StackSpec) -> Result<(), KeeperError> {
        let others = self.stacks.values().filter(|stack| stack.name != spec.name && !stack.removing);
        for stack in others {
            let taken =
                stack.active.iter().flat_map(|active| &active.spec.sites).flat_map(|site| &site.hosts);
            for host in taken {
                if spec.sites.iter().any(|site| site.hosts.contains(host)) {
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

    fn app_verb(&mut self, stack: &str, app: &str, verb: Verb) -> Result<Accepted, KeeperError> {
        let unknown = || KeeperError::Unknown(format!("app {app} in the stack {stack}"));
        let name: AppName = app.parse().map_err(|_| unknown())?;
        let found = self.stack(stack)?;
        if !found.knows(&name) {
            return Err(unknown());
        }
        if found.candidate.is_some() {
            return Err(KeeperError::Conflict(format!(
                "a change of {stack} is under way; try again when it is done"
            )));
        }
        let id = found.app_id(&name);
        let (stack_name, was_stopped) = (found.name.clone(), found.stopped.contains(&name));
        let revision = found.active.as_ref().map_or(0, |active| active.number);
        let change = match verb {
            Verb::Start if !was_stopped => None,
            Verb::Stop if was_stopped => None,
            Verb::Start => Some("started"),
            Verb::Stop => Some("stopped"),
            Verb::Restart => Some("restarted"),
        };
        if change.is_some() {
            self.set_stopped(&stack_name, &name, verb == Verb::Stop);
        }
        if verb == Verb::Restart {
            let count = self.store.count_restart(&stack_name, &name)?;
            if let Some(stack) = self.stacks.get_mut(&stack_name) {
                stack.restarts.insert(name, count);
            }
        }
        if verb != Verb::Stop {
            self.observed.apply(model::observed::Event::Cleared { app: id }, self.born.elapsed());
        }
        let changes = change.map(|what| format!("app {app}: {what}")).into_iter().collect();
        Ok(Accepted { stack: stack_name.to_string(), revision, changes })
    }

    fn set_stopped(&mut self, stack: &StackName, app: &AppName, stopped: bool) {
        report_failure("recording a stop", self.store.set_app_stopped(stack, app, stopped));
        if let Some(stack) = self.stacks.get_mut(stack) {
            if stopped {
                stack.stopped.insert(app.clone())
            } else {
                stack.stopped.remove(app)
            };
        }
    }

    fn stack(&self, name: &str) -> Result<&Stack, KeeperError> {
        let found = name.parse::<StackName>().ok().and_then(|name| self.stacks.get(&name));
        found.filter(|stack| !stack.removing).ok_or_else(|| KeeperError::Unknown(format!("stack {name}")))
    }
}

/// Loads a manifest away from the loop: its files may lie on a slow disk.
async fn load(path: std::path::PathBuf) -> Result<(Arc<StackSpec>, String), KeeperError> {
    let loading = tokio::task::spawn_blocking(move || change::load(&path)).await;
    loading.map_err(|error| KeeperError::Io(std::io::Error::other(error)))?
}
