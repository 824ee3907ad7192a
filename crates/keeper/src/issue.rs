//! A certificate without a keeper: ordered here and now, its challenges of HTTP-01 answered by this process on a port of its own. It ends up
//! in the home's store and on the list of those that a keeper renews.

use crate::api::IssueRequest;
use crate::certificates::{self, Issued};
use crate::error::KeeperError;
use crate::home::Home;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use certs::Pair;
use certs::acme::{self, Challenge, Doors, Host, Retry, Store, Wish};
use model::acme::SiteAcme;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Answers by token.
type Answers = Arc<Mutex<HashMap<String, String>>>;

/// Who answers.
struct Here(Answers);

#[async_trait::async_trait]
impl Host for Here {
    async fn present(&self, challenges: &[Challenge]) -> Result<(), String> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for challenge in challenges {
            match challenge {
                Challenge::Http(own) => drop(answers.insert(own.token.clone(), own.answer.clone())),
                Challenge::Alpn(_) => {
                    return Err(
                        "without a keeper names are proved by http-01 alone; mainstay start begins one"
                            .into(),
                    );
                }
            }
        }
        Ok(())
    }

    async fn withdraw(&self, challenges: &[Challenge]) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for challenge in challenges {
            if let Challenge::Http(own) = challenge {
                answers.remove(&own.token);
            }
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Orders it and waits; `tell` hears what goes wrong on the way. Blocks.
///
/// # Errors
/// The port cannot be had; the authority gives none, within the time that the request allows.
pub fn standalone(
    home: &Home,
    request: &IssueRequest,
    at: &[SocketAddr],
    tell: impl Fn(&str),
) -> Result<Pair, KeeperError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(order(home, request, at, tell))
}

async fn order(
    home: &Home,
    request: &IssueRequest,
    at: &[SocketAddr],
    tell: impl Fn(&str),
) -> Result<Pair, KeeperError> {
    let answers = Answers::default();
    // They end with this function.
    let mut servers = tokio::task::JoinSet::new();
    let mut port = None;
    for address in at {
        let listener =
            TcpListener::bind(address).map_err(KeeperError::at(format!("cannot listen on {address}")))?;
        listener.set_nonblocking(true)?;
        port = port.or(listener.local_addr().ok().map(|address| address.port()));
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let app = axum::Router::new()
            .route("/.well-known/acme-challenge/{token}", get(answer))
            .with_state(Arc::clone(&answers));
        servers.spawn(async move { axum::serve(listener, app).await });
    }
    let store = Store::open(&certificates::store_folder(home))?;
    let (names, acme) = (request.names.clone(), request.acme.clone());
    let wish = Wish { names, acme, site: SiteAcme::default(), doors: Doors { http: port, https: None } };
    let begun = SystemTime::now();
    let pair = loop {
        let failure = match acme::obtain(&wish, &store, &Here(Arc::clone(&answers))).await {
            Ok(pair) => break pair,
            Err(failure) => failure,
        };
        match failure.retry {
            Retry::At(then) if then < begun + request.acme.wait => {
                tell(&failure.cause);
                tokio::time::sleep(then.duration_since(SystemTime::now()).unwrap_or_default()).await;
            }
            _ => return Err(KeeperError::Authority(failure.cause)),
        }
    };
    certificates::add_issued(home, &Issued { names: wish.names.clone(), acme: wish.acme.clone() })?;
    certificates::export(&wish, &pair).await.map_or(Ok(pair), |problem| Err(KeeperError::Authority(problem)))
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Result<String, StatusCode> {
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
