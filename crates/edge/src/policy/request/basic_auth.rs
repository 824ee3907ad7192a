//! Name and password (RFC 7617), against argon2 hashes.
//!
//! ```text
//!   Authorization ──▶ look: seen lately? ──▶ passes at once
//!                       │ not yet
//!                       ▼
//!                     check: argon2 on the blocking pool ──▶ passes, and is remembered │ 401
//! ```
//! A hash takes tens of milliseconds and some megabytes by design, so few run at a time ([`HASHING`]), few wait ([`QUEUE`], of one
//! client [`OF_ONE`]: who guesses does not keep others from signing in), and what was right is remembered for [`KEPT`] by a keyed
//! digest, never by itself. What was wrong is not remembered: it costs every time. Equal ones that come together, as a page's many
//! requests do, cost one hash. An unknown name costs as much as a known one.
//!
//! The application does not get `Authorization`: the password is the edge's business. It learns the name by `X-Forwarded-User`,
//! which no client can set.

use super::shards::Shards;
use crate::error_page::Refusal;
use crate::guard::{ClientKey, Clients, Ticket};
use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::policy::BasicAuthSpec;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};
use wire::failure::Cause;

/// How long a name and password that were right pass without a hash.
const KEPT: Duration = Duration::from_secs(300);
/// Hashes at a time, of all workers.
static HASHING: Semaphore = Semaphore::const_new(2);
/// Requests that wait for one, or have it; beyond: 503.
static QUEUE: Semaphore = Semaphore::const_new(64);

/// Of these, those of one client.
const OF_ONE: u32 = 8;
static ASKING: LazyLock<Arc<Clients>> = LazyLock::new(Arc::default);

/// Compiled.
pub struct BasicAuth {
    challenge: Arc<[u8]>,
    /// Name to PHC string.
    users: HashMap<Box<str>, Box<str>>,
    /// Computed for a name that is not there.
    decoy: Box<str>,
    /// What was right is remembered under this key. None where the generator of random numbers failed: then nobody passes.
    key: Option<hmac::Key>,
    seen: Shards<Seen>,
    /// By digest, what is being checked: whether it is right.
    checking: Shards<Weak<OnceCell<bool>>>,
}

/// Somebody who passed.
#[derive(Debug, Clone, Copy)]
struct Seen {
    digest: [u8; 32],
    at: Instant,
}

/// A name and a password that were not checked yet.
pub struct Credentials {
    user: Box<str>,
    password: Box<[u8]>,
    digest: [u8; 32],
}

/// What can be said at once.
pub enum Look {
    /// This user passes.
    Passed(Box<str>),
    /// Nobody knows yet.
    Unknown(Credentials),
    /// There is no name and password.
    Refused(Refusal),
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl BasicAuth {
    /// With nobody remembered.
    pub fn new(spec: &BasicAuthSpec) -> Self {
        // Within quotes: what would end them is escaped, and no control character passes.
        let realm: String = spec.realm.chars().filter(|&letter| !letter.is_control()).collect();
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("WWW-Authenticate: Basic realm=\"{realm}\", charset=\"UTF-8\"\r\n");
        let sound = |name: &str| !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
        let users = spec.users.iter().filter(|user| sound(&user.name));
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new());
        Self {
            challenge: challenge.into_bytes().into(),
            users: users.map(|user| (user.name.as_str().into(), user.hash.as_str().into())).collect(),
            decoy: spec.users.first().map(|user| user.hash.as_str().into()).unwrap_or_default(),
            key: key.ok(),
            seen: Shards::default(),
            checking: Shards::default(),
        }
    }

    /// Looks at an `Authorization` value.
    pub fn look(&self, value: Option<&[u8]>, now: Instant) -> Look {
        let Some(credentials) = value.and_then(|value| self.read(value)) else {
            return Look::Refused(self.refusal("no name and password"));
        };
        if self.is_seen(&credentials.digest, now) {
            Look::Passed(credentials.user)
        } else {
            Look::Unknown(credentials)
        }
    }

    fn read(&self, value: &[u8]) -> Option<Credentials> {
        let (scheme, code) = value.split_at_checked(b"Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let text = BASE64_STANDARD.decode(code.trim_ascii()).ok()?;
        let colon = text.iter().position(|&byte| byte == b':')?;
        let (user, password) = text.split_at_checked(colon)?;
        let digest = hmac::sign(self.key.as_ref()?, &text).as_ref().try_into().ok()?;
        let user = std::str::from_utf8(user).ok()?.into();
        Some(Credentials { user, password: password.get(1..)?.into(), digest })
    }

    fn is_seen(&self, digest: &[u8; 32], now: Instant) -> bool {
        let seen = self.seen.of(place(digest)).get(&place(digest)).copied();
        seen.is_some_and(|seen| seen.digest == *digest && now.saturating_duration_since(seen.at) < KEPT)
    }

    /// Checks what was not known; gives the user who passes.
    pub async fn check(&self, credentials: Credentials, client: ClientKey) -> Result<Box<str>, Refusal> {
        let right = self.checking(&credentials.digest);
        if !*right.get_or_try_init(|| self.is_right(&credentials, client)).await? {
            return Err(self.refusal("a wrong name or password"));
        }
        Ok(credentials.user)
    }

    /// Where those who come with the same wait for one answer.
    fn checking(&self, digest: &[u8; 32]) -> Arc<OnceCell<bool>> {
        let mut checking = self.checking.of(place(digest));
        if let Some(known) = checking.get(&place(digest)).and_then(Weak::upgrade) {
            return known;
        }
        checking.retain(|_, known| known.strong_count() > 0);
        let begun = Arc::new(OnceCell::new());
        checking.insert(place(digest), Arc::downgrade(&begun));
        begun
    }

    async fn is_right(&self, credentials: &Credentials, client: ClientKey) -> Result<bool, Refusal> {
        let Credentials { user, password, digest } = credentials;
        // Those before have just found out.
        if self.is_seen(digest, Instant::now()) {
            return Ok(true);
        }
        let busy = || Refusal {
            retry_after: Some(1),
            ..Refusal::new(503, Cause::Overload, "too many passwords to be checked")
        };
        let _own = Ticket::take(&ASKING, client, OF_ONE).ok_or_else(busy)?;
        let _place = QUEUE.try_acquire().map_err(|_| busy())?;
        let permit = HASHING.acquire().await.map_err(|_| busy())?;
        let known = self.users.get(user);
        let (hash, password) = (known.unwrap_or(&self.decoy).clone(), password.clone());
        let verify = move || {
            let _permit = permit;
            Argon2::default().verify_password(&password, &*hash).is_ok()
        };
        let right = tokio::task::spawn_blocking(verify).await.unwrap_or_default() && known.is_some();
        if right {
            let now = Instant::now();
            let mut seen = self.seen.of(place(digest));
            seen.retain(|_, seen| now.saturating_duration_since(seen.at) < KEPT);
            seen.insert(place(digest), Seen { digest: *digest, at: now });
        }
        Ok(right)
    }

    fn refusal(&self, cause: &'static str) -> Refusal {
        Refusal { lines: Some(Arc::clone(&self.challenge)), ..Refusal::new(401, Cause::SignIn, cause) }
    }
}

/// Where a digest is kept.
fn place(digest: &[u8; 32]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::CustomizedPasswordHasher;
    use model::policy::UserSpec;

    fn auth() -> BasicAuth {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let hash =
            Argon2::default().hash_password_customized(b"pass:word", b"salt-of-sixteen!", None, None, params);
        let users = vec![UserSpec { name: "eve".into(), hash: hash.unwrap().to_string() }];
        BasicAuth::new(&BasicAuthSpec { realm: "the \"inner\"\r\n part".into(), users })
    }

    fn value(text: &str) -> Vec<u8> {
        format!("basic {}", BASE64_STANDARD.encode(text)).into_bytes()
    }

    async fn check(auth: &BasicAuth, text: &str) -> Result<Box<str>, u16> {
        check_from(auth, [192, 0, 2, 1], text.to_owned()).await
    }

    async fn check_from(auth: &BasicAuth, client: [u8; 4], text: String) -> Result<Box<str>, u16> {
        match auth.look(Some(&value(&text)), Instant::now()) {
            Look::Unknown(credentials) => {
                let client = ClientKey::of(client.into());
                auth.check(credentials, client).await.map_err(|refusal| refusal.status)
            }
            Look::Passed(user) => Ok(user),
            Look::Refused(refusal) => Err(refusal.status),
        }
    }

    /// Each is polled once: all have begun before the first one has its answer.
    async fn begin<F: Future + Unpin>(asked: &mut [F]) {
        // No hash begins meanwhile: a quick one would be done within its first poll.
        let _held = HASHING.acquire_many(2).await.unwrap();
        std::future::poll_fn(|cx| {
            for one in asked.iter_mut() {
                assert!(std::pin::Pin::new(one).poll(cx).is_pending());
            }
            std::task::Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_right_is_remembered_and_what_was_wrong_is_not() {
        let auth = auth();
        let now = Instant::now();
        for wrong in ["eve:other", "eve:", "mallory:pass:word", ":pass:word", "EVE:pass:word"] {
            assert_eq!(check(&auth, wrong).await, Err(401), "{wrong}");
            assert!(!matches!(auth.look(Some(&value(wrong)), now), Look::Passed(_)), "{wrong}");
        }
        assert_eq!(check(&auth, "eve:pass:word").await.as_deref(), Ok("eve"));
        let again = |at| auth.look(Some(&value("eve:pass:word")), at);
        assert!(matches!(again(Instant::now()), Look::Passed(user) if &*user == "eve"));
        assert!(matches!(again(Instant::now() + KEPT), Look::Unknown(_)));
    }

    /// A page's hundred requests over one connection were more than may wait: a third of them got 503.
    #[tokio::test]
    async fn what_comes_together_costs_one_hash() {
        let auth = auth();
        for (text, expected) in [("eve:pass:word", Ok("eve")), ("eve:wrong", Err(401_u16))] {
            let mut asked: Vec<_> = (0..200).map(|_| Box::pin(check(&auth, text))).collect();
            begin(&mut asked).await;
            for one in asked {
                assert_eq!(one.await.as_deref(), expected.as_ref().copied());
            }
        }
    }

    /// One address could fill the queue, and nobody else could sign in.
    #[tokio::test]
    async fn one_client_does_not_take_all_places() {
        let auth = auth();
        let guesser = [192, 0, 2, 66];
        let mut guesses: Vec<_> =
            (0..OF_ONE).map(|n| Box::pin(check_from(&auth, guesser, format!("eve:{n}")))).collect();
        begin(&mut guesses).await;
        assert_eq!(check_from(&auth, guesser, "eve:one more".into()).await, Err(503));
        let guessing = async {
            for guess in guesses {
                assert_eq!(guess.await, Err(401));
            }
        };
        let ((), other) = tokio::join!(guessing, check(&auth, "eve:pass:word"));
        assert_eq!(other.as_deref(), Ok("eve"));
    }

    #[test]
    fn what_is_no_name_and_password_is_asked_for_one() {
        let auth = auth();
        for value in [None, Some(&b"Bearer abc"[..]), Some(b"Basic"), Some(b"Basic ???"), Some(b"Basic YWJj")]
        {
            let Look::Refused(refusal) = auth.look(value, Instant::now()) else { panic!("{value:?}") };
            let lines = String::from_utf8(refusal.lines.unwrap().to_vec()).unwrap();
            let expected = "WWW-Authenticate: Basic realm=\"the \\\"inner\\\" part\", charset=\"UTF-8\"\r\n";
            assert_eq!((refusal.status, lines.as_str()), (401, expected));
        }
        assert!(!format!("{auth:?}").contains("argon2"));
    }
}
