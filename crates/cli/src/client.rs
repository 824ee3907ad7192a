//! The keeper's control API from outside: JSON over HTTP/1.1 on a unix socket, a connection for each call.
//!
//! Calls block. They fail in three ways: nobody listens, the keeper refuses (with its reason), or what came back is no
//! answer of this protocol.

use crate::error::{Code, Failure};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use keeper::api::{
    self, Accepted, BanRequest, BanStatus, Detail, ExecPlace, ExecRequest, HistoryEntry, HistoryQuery,
    Imported, IssueRequest, LiftRequest, NewPair, ReloadRequest, RenewRequest, Renewed, Revoke, ScaleRequest,
    SignalRequest, StackRequest, Status, StatusQuery, TaskStarted, UpgradeAccepted, UpgradeRequest,
};
use keeper::why::Question;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// Longest time for an answer: answers come when a change is recorded, not when it is done.
const DEADLINE: Duration = Duration::from_secs(30);
/// The same where a certificate authority is asked meanwhile.
const AUTHORITY: Duration = Duration::from_secs(180);
/// Largest answer.
const MAX_ANSWER: usize = 16 << 20;

/// Why a call failed.
#[derive(Debug)]
pub enum CallError {
    /// Nobody listens on the socket.
    Gone,
    /// The keeper refused.
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Its reason.
        failure: api::Failure,
    },
    /// No answer, or none of this protocol.
    Broken(String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Gone => Self::new(Code::Unclean, "the keeper is gone").next("mainstay status"),
            CallError::Broken(what) => {
                Self::new(Code::Unclean, format!("the keeper cannot be talked to: {what}"))
            }
            CallError::Refused { status, failure } => {
                let code = match status {
                    StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Code::Usage,
                    StatusCode::CONFLICT => Code::Locked,
                    StatusCode::UNPROCESSABLE_ENTITY => Code::Configuration,
                    _ => Code::Unclean,
                };
                let is_taken = failure.error.starts_with("cannot listen on");
                let found = Self::new(code, failure.error).detail(failure.diagnostics);
                match is_taken {
                    true => {
                        found.next("write another address below [listen]; mainstay ports shows who has which")
                    }
                    false => found,
                }
            }
        }
    }
}

/// A keeper, by its socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// The keeper that listens on this socket, if one does.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, patience: DEADLINE }
    }

    /// Whether somebody listens.
    pub fn is_alive(&self) -> bool {
        std::os::unix::net::UnixStream::connect(&self.socket).is_ok()
    }

    /// `GET /v1/status`, without what is used.
    pub fn status(&self) -> Result<Status, CallError> {
        self.call(Method::GET, "/v1/status", &())
    }

    /// `GET /v1/status` with more of it.
    pub fn status_with(&self, query: StatusQuery) -> Result<Status, CallError> {
        let usage = match query.usage {
            Detail::None => "none",
            Detail::Quick => "quick",
            Detail::Exact => "exact",
        };
        let StatusQuery { settings, without_certificates, .. } = query;
        let path = format!(
            "/v1/status?usage={usage}&settings={settings}&without_certificates={without_certificates}"
        );
        self.call(Method::GET, &path, &())
    }

    /// `GET /v1/history`. Names of stacks and apps need no escapes.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, CallError> {
        let mut path = format!("/v1/history?since_ms={}", query.since_ms);
        let pairs = [("stack", &query.stack), ("app", &query.app)];
        for (name, value) in pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            path += &format!("&{name}={value}");
        }
        path += &query.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        self.call(Method::GET, &path, &())
    }

    /// `PUT /v1/stacks`.
    pub fn put_stack(&self, request: &StackRequest) -> Result<Accepted, CallError> {
        self.call(Method::PUT, "/v1/stacks", request)
    }

    /// `DELETE /v1/stacks/{stack}`.
    pub fn delete_stack(&self, stack: &str) -> Result<Accepted, CallError> {
        self.call(Method::DELETE, &format!("/v1/stacks/{stack}"), &())
    }

    /// `POST /v1/stacks/{stack}/reload`.
    pub fn reload(&self, stack: &str, request: &ReloadRequest) -> Result<Accepted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/reload"), request)
    }

    /// `POST /v1/stacks/{stack}/restart`.
    pub fn restart(&self, stack: &str) -> Result<Accepted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/restart"), &())
    }

    /// `POST /v1/stacks/{stack}/apps/{app}/{verb}`; the verb is `start`, `stop` or `restart`.
    pub fn app(&self, stack: &str, app: &str, verb: &str) -> Result<Accepted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/apps/{app}/{verb}"), &())
    }

    /// `POST /v1/stacks/{stack}/scale`.
    pub fn scale(&self, stack: &str, request: &ScaleRequest) -> Result<Accepted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/scale"), request)
    }

    /// `POST /v1/stacks/{stack}/apps/{app}/signal`.
    pub fn signal(&self, stack: &str, app: &str, request: &SignalRequest) -> Result<Accepted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/apps/{app}/signal"), request)
    }

    /// `POST /v1/stacks/{stack}/apps/{app}/exec`.
    pub fn exec(&self, stack: &str, app: &str, request: &ExecRequest) -> Result<ExecPlace, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/apps/{app}/exec"), request)
    }

    /// `POST /v1/stacks/{stack}/tasks/{task}/run`.
    pub fn run_task(&self, stack: &str, task: &str) -> Result<TaskStarted, CallError> {
        self.call(Method::POST, &format!("/v1/stacks/{stack}/tasks/{task}/run"), &())
    }

    /// `GET /v1/bans`.
    pub fn bans(&self) -> Result<Vec<BanStatus>, CallError> {
        self.call(Method::GET, "/v1/bans", &())
    }

    /// `POST /v1/bans`.
    pub fn ban(&self, request: &BanRequest) -> Result<Vec<BanStatus>, CallError> {
        self.call(Method::POST, "/v1/bans", request)
    }

    /// `POST /v1/bans/lift`.
    pub fn lift_bans(&self, request: &LiftRequest) -> Result<Vec<IpNet>, CallError> {
        self.call(Method::POST, "/v1/bans/lift", request)
    }

    /// `POST /v1/certs/renew`.
    pub fn renew_certs(&self, request: &RenewRequest) -> Result<Renewed, CallError> {
        self.call(Method::POST, "/v1/certs/renew", request)
    }

    /// `POST /v1/certs/revoke`: the authority is asked meanwhile.
    pub fn revoke_cert(&self, request: &Revoke) -> Result<Renewed, CallError> {
        let patient = Self { patience: AUTHORITY, ..self.clone() };
        patient.call(Method::POST, "/v1/certs/revoke", request)
    }

    /// `POST /v1/certs/issue`.
    pub fn issue_cert(&self, request: &IssueRequest) -> Result<Renewed, CallError> {
        self.call(Method::POST, "/v1/certs/issue", request)
    }

    /// `PUT /v1/certs/own`.
    pub fn import_cert(&self, pair: &NewPair) -> Result<Imported, CallError> {
        self.call(Method::PUT, "/v1/certs/own", pair)
    }

    /// `DELETE /v1/certs/own/{name}`: of the name only what may stand in a path is sent.
    pub fn remove_cert(&self, name: &str) -> Result<Imported, CallError> {
        let name = certs::acme::store::folder_name(&[name.to_owned()]);
        self.call(Method::DELETE, &format!("/v1/certs/own/{name}"), &())
    }

    /// `GET /metrics`: text.
    pub fn metrics(&self) -> Result<Bytes, CallError> {
        self.bytes(Method::GET, "/metrics", &())
    }

    /// `POST /v1/why`; the question says what is answered.
    pub fn why<A: DeserializeOwned>(&self, question: &Question) -> Result<A, CallError> {
        self.call(Method::POST, "/v1/why", question)
    }

    /// `POST /v1/upgrade`.
    pub fn upgrade(&self, request: &UpgradeRequest) -> Result<UpgradeAccepted, CallError> {
        self.call(Method::POST, "/v1/upgrade", request)
    }

    /// `POST /v1/shutdown`.
    pub fn shutdown(&self) -> Result<(), CallError> {
        self.call(Method::POST, "/v1/shutdown", &()).map(|_: serde_json::Value| ())
    }

    fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Q,
    ) -> Result<A, CallError> {
        let bytes = self.bytes(method, path, body)?;
        serde_json::from_slice(&bytes).map_err(|error| CallError::Broken(error.to_string()))
    }

    fn bytes<Q: Serialize>(&self, method: Method, path: &str, body: &Q) -> Result<Bytes, CallError> {
        let broken = |error: &dyn std::fmt::Display| CallError::Broken(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| broken(&error))?;
        let body = serde_json::to_vec(body).map_err(|error| broken(&error))?;
        let answer = runtime.block_on(async {
            match tokio::time::timeout(self.patience, self.exchange(method, path, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(CallError::Broken(format!("no answer within {} s", self.patience.as_secs()))),
            }
        });
        let (status, bytes) = answer?;
        if status.is_success() {
            return Ok(bytes);
        }
        let text = || String::from_utf8_lossy(&bytes).trim().to_owned();
        let failure = serde_json::from_slice(&bytes).unwrap_or_else(|_| api::Failure {
            error: format!("{status}: {}", text()),
            diagnostics: String::new(),
        });
        Err(CallError::Refused { status, failure })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|_| CallError::Gone)?;
        let broken = |error: hyper::Error| CallError::Broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "mainstay")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| CallError::Broken(error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok((status, body.map_err(|error| CallError::Broken(error.to_string()))?.to_bytes()))
        };
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                // the answer may still wait in the channel between the two
                Ok(()) => exchange.await,
                Err(error) => Err(broken(error)),
            },
        }
    }
}
