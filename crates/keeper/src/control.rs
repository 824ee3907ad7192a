//! The control API: HTTP/1.1 on a unix socket that only the keeper's user can open. Each call becomes a message to the loop,
//! which answers when the change is recorded ([`crate::wish`]).

use crate::api::{
    Accepted, BanRequest, BanStatus, ExecPlace, ExecRequest, Failure, HistoryEntry, HistoryQuery, Imported,
    IssueRequest, LiftRequest, NewPair, ReloadRequest, RenewRequest, Renewed, Revoke, ScaleRequest,
    SignalRequest, StackRequest, Status, StatusQuery, TaskStarted, UpgradeAccepted, UpgradeRequest,
};
use crate::error::KeeperError;
use crate::home::Home;
use crate::why;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use ipnet::IpNet;
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

/// Where an answer goes.
pub(crate) type Answer<T = Accepted> = oneshot::Sender<Result<T, KeeperError>>;

/// A call, and where its answer goes.
pub(crate) enum Call {
    Status(StatusQuery, oneshot::Sender<Status>),
    History(HistoryQuery, Answer<Vec<HistoryEntry>>),
    Put(StackRequest, Answer),
    Reload(String, ReloadRequest, Answer),
    Restart(String, Answer),
    RunTask(String, String, Answer<TaskStarted>),
    Scale(String, ScaleRequest, Answer),
    Remove(String, Answer),
    App(String, String, Verb, Answer),
    Signal(String, String, SignalRequest, Answer),
    Exec(String, String, ExecRequest, Answer<ExecPlace>),
    Metrics(oneshot::Sender<String>),
    Bans(Answer<Vec<BanStatus>>),
    Ban(BanRequest, Answer<Vec<BanStatus>>),
    Lift(LiftRequest, Answer<Vec<IpNet>>),
    Renew(RenewRequest, Answer<Renewed>),
    Revoke(Revoke, Answer<Renewed>),
    Issue(Box<IssueRequest>, Answer<Renewed>),
    Import(NewPair, Answer<Imported>),
    RemoveOwn(String, Answer<Imported>),
    Upgrade(UpgradeRequest, Answer<UpgradeAccepted>),
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
pub(crate) async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>, home: Home) {
    let app = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/history", get(history))
        .route("/v1/stacks", put(put_stack))
        .route("/v1/stacks/{stack}", delete(remove))
        .route("/v1/stacks/{stack}/reload", post(reload))
        .route("/v1/stacks/{stack}/restart", post(restart))
        .route("/v1/stacks/{stack}/scale", post(scale))
        .route("/v1/stacks/{stack}/tasks/{task}/run", post(run_task))
        .route("/v1/stacks/{stack}/apps/{app}/{verb}", post(app))
        .route("/v1/stacks/{stack}/apps/{app}/signal", post(signal))
        .route("/v1/stacks/{stack}/apps/{app}/exec", post(exec))
        .route("/v1/bans", get(bans).post(ban))
        .route("/v1/bans/lift", post(lift))
        .route("/v1/certs/renew", post(renew))
        .route("/v1/certs/revoke", post(revoke))
        .route("/v1/certs/issue", post(issue))
        .route("/v1/certs/own", put(import))
        .route("/v1/certs/own/{name}", delete(remove_own))
        .route("/metrics", get(metrics))
        .route("/v1/upgrade", post(upgrade))
        .route("/v1/shutdown", post(shutdown))
        .with_state(calls)
        .merge(Router::new().route("/v1/why", post(tell_why)).with_state(home));
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

fn reply<T: Serialize>(result: Result<Result<T, KeeperError>, Response>) -> Response {
    match result {
        Ok(Ok(accepted)) => Json(accepted).into_response(),
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(error.failure())).into_response()
        }
        Err(response) => response,
    }
}

async fn status(State(calls): Calls, Query(query): Query<StatusQuery>) -> Response {
    let answer = ask(&calls, |answer| Call::Status(query, answer)).await;
    answer.map_or_else(|response| response, |status| Json(status).into_response())
}

async fn history(State(calls): Calls, Query(query): Query<HistoryQuery>) -> Response {
    reply(ask(&calls, |answer| Call::History(query, answer)).await)
}

/// Reads files only, off the loop.
async fn tell_why(State(home): State<Home>, Json(question): Json<why::Question>) -> Response {
    let told = tokio::task::spawn_blocking(move || match &question.id {
        Some(id) => Json(why::of(&home, id)).into_response(),
        None => Json(why::list(&home, &question)).into_response(),
    });
    told.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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

async fn restart(State(calls): Calls, Path(stack): Path<String>) -> Response {
    reply(ask(&calls, |answer| Call::Restart(stack, answer)).await)
}

async fn scale(
    State(calls): Calls,
    Path(stack): Path<String>,
    Json(request): Json<ScaleRequest>,
) -> Response {
    reply(ask(&calls, |answer| Call::Scale(stack, request, answer)).await)
}

async fn run_task(State(calls): Calls, Path((stack, task)): Path<(String, String)>) -> Response {
    reply(ask(&calls, |answer| Call::RunTask(stack, task, answer)).await)
}

async fn remove(State(calls): Calls, Path(stack): Path<String>) -> Response {
    reply(ask(&calls, |answer| Call::Remove(stack, answer)).await)
}

async fn app(State(calls): Calls, Path((stack, app, verb)): Path<(String, String, String)>) -> Response {
    let verb = match verb.as_str() {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        _ => return reply::<Accepted>(Ok(Err(KeeperError::Unknown(format!("verb {verb}"))))),
    };
    reply(ask(&calls, |answer| Call::App(stack, app, verb, answer)).await)
}

async fn signal(
    State(calls): Calls,
    Path((stack, app)): Path<(String, String)>,
    Json(request): Json<SignalRequest>,
) -> Response {
    reply(ask(&calls, |answer| Call::Signal(stack, app, request, answer)).await)
}

async fn exec(
    State(calls): Calls,
    Path((stack, app)): Path<(String, String)>,
    Json(request): Json<ExecRequest>,
) -> Response {
    reply(ask(&calls, |answer| Call::Exec(stack, app, request, answer)).await)
}

async fn bans(State(calls): Calls) -> Response {
    reply(ask(&calls, Call::Bans).await)
}

async fn ban(State(calls): Calls, Json(request): Json<BanRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Ban(request, answer)).await)
}

async fn lift(State(calls): Calls, Json(request): Json<LiftRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Lift(request, answer)).await)
}

async fn renew(State(calls): Calls, Json(request): Json<RenewRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Renew(request, answer)).await)
}

async fn revoke(State(calls): Calls, Json(request): Json<Revoke>) -> Response {
    reply(ask(&calls, |answer| Call::Revoke(request, answer)).await)
}

async fn issue(State(calls): Calls, Json(request): Json<IssueRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Issue(Box::new(request), answer)).await)
}

async fn import(State(calls): Calls, Json(pair): Json<NewPair>) -> Response {
    reply(ask(&calls, |answer| Call::Import(pair, answer)).await)
}

async fn remove_own(State(calls): Calls, Path(name): Path<String>) -> Response {
    reply(ask(&calls, |answer| Call::RemoveOwn(name, answer)).await)
}

async fn metrics(State(calls): Calls) -> Response {
    let kind = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    ask(&calls, Call::Metrics).await.map_or_else(|response| response, |text| (kind, text).into_response())
}

async fn upgrade(State(calls): Calls, Json(request): Json<UpgradeRequest>) -> Response {
    reply(ask(&calls, |answer| Call::Upgrade(request, answer)).await)
}

async fn shutdown(State(calls): Calls) -> Response {
    let empty = || Json(serde_json::json!({})).into_response();
    ask(&calls, Call::Shutdown).await.map_or_else(|response| response, |()| empty())
}
