//! HTTP to an authority: over TLS, checked with the authority's own root or this host's, by the [`super::Host`]'s clock; each request and
//! each answer is bounded. What is no answer of an authority (a wrong URL, a page for people) is told apart here, where it is still seen.

use super::failure::quoted;
use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use model::acme::AuthoritySpec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// For a request with its answer.
const WHOLE: Duration = Duration::from_secs(30);
/// Longest answer, in bytes.
const MOST: usize = 1 << 20;
/// Where an authority does not say when to ask again about renewal (RFC 9773 section 4.3.2).
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);
/// Nobody is made to wait longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How this client calls itself (RFC 8555 section 6.1).
const AGENT: &str = concat!("mainstay/", env!("CARGO_PKG_VERSION"));

/// A client for one authority. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    directory: String,
    clock: Clock,
    /// What the last answer said, if it did.
    retry_after: Mutex<Option<Duration>>,
}

/// Why an authority was not reached, or what answered was none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {next}")]
pub(super) struct Unreached {
    pub cause: String,
    pub next: String,
}

impl Unreached {
    fn new(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { cause: cause.into(), next: next.into() }
    }
}

/// The host's clock, for where the host itself cannot be asked: what it said once, and what has gone by since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    told: SystemTime,
    at: Instant,
}

impl Clock {
    pub(super) fn new(told: SystemTime) -> Self {
        Self { told, at: Instant::now() }
    }

    fn now(&self) -> SystemTime {
        self.told + self.at.elapsed()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now().duration_since(UNIX_EPOCH).ok()?))
    }
}

impl Client {
    /// For this authority, by this clock.
    ///
    /// # Errors
    /// Its URL is none for TLS, or there are no roots to check it with.
    pub(super) fn new(authority: &AuthoritySpec, clock: Clock) -> Result<Self, Unreached> {
        if !authority.directory.starts_with("https://") {
            return Err(Unreached::new(
                "its `authority` does not begin with https://",
                "give the URL of its ACME directory",
            ));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_details(provider, Arc::new(clock))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Unreached::new(error.to_string(), "this is a fault in Mainstay: please report it")
            })?
            .with_root_certificates(roots(authority)?)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        let inner = Inner {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            directory: authority.directory.clone(),
            clock,
            retry_after: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// `Retry-After` of the last answer.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        *self.inner.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let silent = || {
                Unreached::new(
                    format!("gave no answer within {} s", WHOLE.as_secs()),
                    "look at this host's way out and at the authority's own status page",
                )
            };
            let answer = tokio::time::timeout(WHOLE, inner.answer(request)).await;
            answer
                .unwrap_or_else(|_| Err(silent()))
                .map(|response| BytesResponse::from(response.map(Full::new)))
                .map_err(|error| Error::Other(Box::new(error)))
        })
    }
}

impl Inner {
    async fn answer(&self, mut request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, Unreached> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        self.note(None);
        let plain = request.method() == Method::GET;
        let for_directory = plain && *request.uri() == *self.directory;
        let response = self.pool.request(request).await.map_err(|error| self.unreached(&error))?;
        let (mut parts, body) = response.into_parts();
        let bytes = Limited::new(body, MOST).collect().await.map_err(|_| {
            Unreached::new(
                "broke its answer off, or it was too long",
                "try again; if it stays so, ask who runs it",
            )
        })?;
        let bytes = bytes.to_bytes();
        // In seconds from now on: dates in it are the authority's, and nobody behind this looks at a clock.
        let wait = parts.headers.remove(RETRY_AFTER).and_then(|value| self.wait(&value));
        // Who suggests a window of renewal has to say when to ask again (RFC 9773 section 4.3); the library takes no less.
        let told = wait.or_else(|| (plain && !for_directory).then_some(ASK_AGAIN));
        if let Some(wait) = told {
            parts.headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        self.note(wait);
        let response = Response::from_parts(parts, bytes);
        match no_authority(&response, for_directory) {
            Some(error) => Err(error),
            None if response.status().is_success() => Ok(response),
            None => Ok(reasoned(response)),
        }
    }

    fn note(&self, wait: Option<Duration>) {
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = wait;
    }

    /// `Retry-After` (RFC 9110 section 10.2.3).
    fn wait(&self, value: &HeaderValue) -> Option<Duration> {
        let text = value.to_str().ok()?.trim();
        let by_date = || httpdate::parse_http_date(text).ok()?.duration_since(self.clock.now()).ok();
        // Longer than any limit is a mistake of theirs, and more than a clock can count.
        text.parse().ok().map(Duration::from_secs).or_else(by_date).map(|wait| wait.min(LONGEST))
    }

    fn unreached(&self, error: &hyper_util::client::legacy::Error) -> Unreached {
        let mut cause: &(dyn std::error::Error + 'static) = error;
        loop {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return untrusted(tls);
            }
            if cause.to_string() == "dns error" {
                return Unreached::new(
                    "its name is not found",
                    "look at `authority`, and at this host's way to its name server",
                );
            }
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            match inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| cause.source()) {
                Some(next) => cause = next,
                None => break,
            }
        }
        Unreached::new(
            format!("cannot be reached: {cause}"),
            "look at `authority`, at this host's way out and at the authority's own status page",
        )
    }
}

/// Why its certificate is not believed.
fn untrusted(error: &rustls::Error) -> Unreached {
    use CertificateError as C;
    let clock = |what: &str, now: UnixTime, then: UnixTime| {
        Unreached::new(
            format!(
                "its own certificate {what} {} by this machine's clock, which says {}",
                date(then),
                date(now)
            ),
            "set this machine's clock if it is wrong; else whoever runs the authority has to renew it",
        )
    };
    match error {
        rustls::Error::InvalidCertificate(C::ExpiredContext { time, not_after }) => {
            clock("has expired on", *time, *not_after)
        }
        rustls::Error::InvalidCertificate(C::NotValidYetContext { time, not_before }) => {
            clock("is valid only from", *time, *not_before)
        }
        // Another root of the same name has another key.
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => Unreached::new(
            "its own certificate is of a root that is not trusted here",
            "name the root's PEM file as the authority's `root`",
        ),
        rustls::Error::InvalidCertificate(error) => Unreached::new(
            format!("its own certificate is not believed: {error}"),
            "look at `authority`: is this its name?",
        ),
        error => Unreached::new(
            format!("does not speak TLS as it should: {error}"),
            "look at `authority`: its port and its name",
        ),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// What an answer is that no authority gives: a directory has to be JSON with `newNonce`; who leads on is another one.
fn no_authority(response: &Response<Bytes>, for_directory: bool) -> Option<Unreached> {
    let status = response.status();
    let next = "give the URL of its ACME directory, such as https://acme-v02.api.letsencrypt.org/directory";
    let json = serde_json::from_slice::<serde_json::Value>(response.body());
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        return Some(Unreached::new(format!("leads on to {}", quoted(to)), next));
    }
    let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    match json {
        Err(_) if busy => Some(Unreached::new(
            format!("answers with status {} and no reason", status.as_u16()),
            "it is overloaded or under repair: look at its own status page",
        )),
        _ if for_directory && !status.is_success() => {
            Some(Unreached::new(format!("its directory answers with status {}", status.as_u16()), next))
        }
        Err(_) if for_directory => Some(Unreached::new("its directory answers with what is no JSON", next)),
        Ok(json) if for_directory && json.get("newNonce").is_none() => {
            Some(Unreached::new("its directory answers with JSON that is no ACME directory", next))
        }
        _ => None,
    }
}

/// The library takes no refusal but a problem document (RFC 7807): one that came without is told in its words.
fn reasoned(response: Response<Bytes>) -> Response<Bytes> {
    if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(response.body()).is_ok() {
        return response;
    }
    let detail = format!("status {} and no reason", response.status().as_u16());
    let problem = serde_json::json!({ "type": "about:blank", "detail": detail });
    response.map(|_| Bytes::from(problem.to_string()))
}

/// What the authority's own certificate is checked with.
fn roots(authority: &AuthoritySpec) -> Result<RootCertStore, Unreached> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &authority.root else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let none = || {
            Unreached::new(
                "cannot be checked: this host has no public roots",
                "install the package ca-certificates, or name the authority's `root`",
            )
        };
        return if roots.is_empty() { Err(none()) } else { Ok(roots) };
    };
    let unusable = |cause: &str| {
        let cause = format!("its `root` {} {cause}", path.display());
        Unreached::new(cause, "name the PEM file of the root that signed its directory's own certificate")
    };
    let pem = sys::folder::read_plain(path, MOST as u64)
        .map_err(|error| unusable(&format!("cannot be read: {error}")))?;
    for root in CertificateDer::pem_slice_iter(&pem) {
        let root = root.map_err(|_| unusable("is no PEM"))?;
        roots.add(root).map_err(|_| unusable("holds what is no certificate"))?;
    }
    if roots.is_empty() { Err(unusable("holds no certificate")) } else { Ok(roots) }
}
