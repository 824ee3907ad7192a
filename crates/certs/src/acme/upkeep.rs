//! What is done with a certificate after it came: kept with its plan of renewal, asked about, revoked; and another key for an account.

use super::account::{self, Ours};
use super::client::Clock;
use super::failure::{Kind, Trouble};
use super::issue::{Job, identified};
use super::meta::{Meta, Window};
use super::plan::{self, Word};
use super::store::Store;
use super::{Failure, Host, Retry, Wish, backoff};
use crate::Pair;
use instant_acme::{Error, RevocationRequest};
use model::acme::AuthoritySpec;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;

pub use instant_acme::RevocationReason;

/// When an authority that gave no word on renewal this time is asked again (RFC 9773 section 4.3.3).
const NO_WORD: Duration = Duration::from_secs(6 * 3600);

/// Stores a new pair with the plan of its renewal, and nothing of what led to it. From then on it is there, whatever fails behind it.
///
/// # Errors
/// It cannot be stored. The order is still under way then: the next try fetches the same pair.
pub(super) async fn keep(job: &Job<'_>, ours: &Ours, pair: &Pair, meta: &mut Meta) -> Result<(), Trouble> {
    let mut next = Meta {
        names: pair.facts.names.clone(),
        directory: Some(job.authority.directory.clone()),
        profile: job.wish.profile(job.authority).map(str::to_owned),
        ..Meta::default()
    };
    // First the pair: whatever the authority says of renewal, this is what was ordered.
    plan::heard(&mut next, &pair.facts, Word::none(), job.host.now());
    job.store.keep_pair(&job.wish.names, pair, &next)?;
    let was = job.class(meta);
    let counted = job.counted().map_or(Ok(()), |counted| counted.certificate(was));
    next.renew = None;
    plan::heard(&mut next, &pair.facts, word(ours, pair).await, job.host.now());
    let kept = job.store.keep_meta(&job.wish.names, &next).map_err(Trouble::from);
    if let Err(trouble) = counted.and(kept) {
        tracing::warn!(names = ?job.wish.names, problem = trouble.text, "beside a new certificate something was not kept");
    }
    *meta = next;
    Ok(())
}

/// Asks the authority of the stored pair when it is to be renewed (RFC 9773), and keeps what it says. Done where [`super::due`] says so.
///
/// # Errors
/// The store cannot be used. That an authority gives no answer is none: it is asked again later.
pub async fn ask(wish: &Wish, store: &Store, host: &dyn Host) -> Result<(), Failure> {
    let unusable = |error: crate::CertError| Failure {
        cause: format!("the store of certificates cannot be used: {error}"),
        retry: Retry::At(host.now() + NO_WORD),
    };
    let Some(mut held) = store.look(&wish.names).map_err(unusable)? else { return Ok(()) };
    let by = wish.acme.authorities.iter().find(|one| Some(&one.directory) == held.meta.directory.as_ref());
    let (Some(authority), Some(pair)) = (by, &held.pair) else { return Ok(()) };
    let word = match account::open(authority, store, Clock::new(host.now())).await {
        Ok(ours) => word(&ours, pair).await,
        Err(_) => Word::later(),
    };
    plan::heard(&mut held.meta, &pair.facts, word, host.now());
    store.keep_meta(&wish.names, &held.meta).map_err(unusable)
}

/// Revokes the stored certificate (RFC 8555 section 7.6) in the name of the account that ordered it. Another one is due then; this one is
/// served until it is there.
///
/// # Errors
/// There is none, its authority is not among those of the wish, or does not take it back.
pub async fn revoke(
    wish: &Wish,
    reason: Option<RevocationReason>,
    store: &Store,
    host: &dyn Host,
) -> Result<(), Failure> {
    let never = |cause: String| Failure { cause, retry: Retry::Never };
    let held = store.look(&wish.names).map_err(|error| never(error.to_string()))?.unwrap_or_default();
    let (Some(pair), Some(directory)) = (&held.pair, &held.meta.directory) else {
        return Err(never("there is no certificate that could be revoked".to_owned()));
    };
    let by = wish.acme.authorities.iter().find(|one| one.directory == *directory);
    let authority = by.ok_or_else(|| {
        never(format!("it was made by {directory}, which the manifest does not name: add it as a `fallback` to revoke there"))
    })?;
    let tell = async {
        let ours = account::open(authority, store, Clock::new(host.now())).await?;
        let leaf = CertificateDer::from_pem_slice(pair.chain.as_bytes()).map_err(Trouble::own)?;
        let request = RevocationRequest { certificate: &leaf, reason };
        match nonced!(ours.account.revoke(&request)) {
            Err(Error::Api(problem)) if is(&problem, "alreadyRevoked") => Ok(()),
            other => other.map_err(|error| Trouble::of(&error, ours.client.retry_after())),
        }
    };
    tell.await.map_err(|trouble| failed(authority, trouble, host))?;
    let meta = Meta { revoked: true, error: None, ..held.meta };
    store.keep_meta(&wish.names, &meta).map_err(|error| never(error.to_string()))
}

/// Gives the account at this authority another key (RFC 8555 section 7.3.5). The key is made by the library and known here only when the
/// authority has taken it: who is killed in between has lost the account, and removes its file for another one.
///
/// # Errors
/// The authority does not take it; the former key stays in use.
pub async fn roll_over(authority: &AuthoritySpec, store: &Store, host: &dyn Host) -> Result<(), Failure> {
    let change = async {
        let mut ours = account::open(authority, store, Clock::new(host.now())).await?;
        let credentials = nonced!(ours.account.update_key())
            .map_err(|error| Trouble::of(&error, ours.client.retry_after()))?;
        account::keep(authority, store, credentials)
    };
    change.await.map_err(|trouble| failed(authority, trouble, host))
}

fn failed(authority: &AuthoritySpec, trouble: Trouble, host: &dyn Host) -> Failure {
    let cause = format!("{}: {}", account::host(&authority.directory), trouble.text);
    let retry = match trouble.kind {
        Kind::Unreachable | Kind::Limited => {
            Retry::At(host.now() + trouble.wait.unwrap_or(backoff::after(1)))
        }
        _ => Retry::Never,
    };
    Failure { cause, retry }
}

/// What the authority says of renewal now.
async fn word(ours: &Ours, pair: &Pair) -> Word {
    let Some(id) = identified(pair) else { return Word::none() };
    match ours.account.renewal_info(&id).await {
        Ok((info, again)) => {
            let window = info.suggested_window;
            let window = Window { start: window.start.into(), end: window.end.into() };
            // Whole seconds were said; the library measures how much of them is left.
            let again = Duration::from_secs_f64(again.as_secs_f64().round());
            // One that nobody lives to see cannot be kept either.
            let window = Some(window).filter(|window| jiff::Timestamp::try_from(window.end).is_ok());
            Word { supported: true, window, explanation: info.explanation_url, again }
        }
        Err(Error::Unsupported(_)) => Word::none(),
        Err(_) => Word::later(),
    }
}

impl Word {
    /// It does not speak of renewal.
    fn none() -> Self {
        Self { supported: false, window: None, explanation: None, again: NO_WORD }
    }

    /// It does not now.
    fn later() -> Self {
        Self { supported: true, ..Self::none() }
    }
}

fn is(problem: &instant_acme::Problem, kind: &str) -> bool {
    problem.r#type.as_deref().is_some_and(|is| is.rsplit(':').next() == Some(kind))
}
