//! From a wish to a pair: authorities in turn, ways of proof in turn, what came is kept, what failed is noted.

use super::client::Clock;
use super::failure::{self, Kind, Trouble};
use super::issue::Job;
use super::meta::Meta;
use super::store::{Held, Store};
use super::{Failure, Host, Retry, Wish, account, challenge, plan, preflight, upkeep};
use crate::Pair;
use model::acme::{AuthoritySpec, ChallengeKind};
use model::site::address;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// When a store that cannot be read is looked at again: somebody has to repair it.
const STORE: Duration = Duration::from_secs(300);
/// Between two looks at names that are waited for.
const LOOK: Duration = Duration::from_secs(30);

/// Gets a pair for this wish and stores it; goes on with an order that was under way.
///
/// # Errors
/// Why there is none, and when it is tried again; it is in the store, too. What was stored before is still there.
pub async fn obtain(wish: &Wish, store: &Store, host: &dyn Host) -> Result<Pair, Failure> {
    let unusable = |error: crate::CertError| Failure {
        cause: format!("the store of certificates cannot be used: {error}"),
        retry: Retry::At(host.now() + STORE),
    };
    let Held { pair, mut meta } = store.look(&wish.names).map_err(unusable)?.unwrap_or_default();
    if meta.names.is_empty() {
        meta.names.clone_from(&wish.names);
    }
    // Where nothing can be kept nothing is ordered: nobody would know of it afterwards, and order again.
    store.keep_meta(&wish.names, &meta).map_err(unusable)?;
    match attempt(wish, store, host, &mut meta).await {
        Ok(pair) => Ok(pair),
        Err(failure) => {
            if !is_waiting(wish, &meta, host.now()) {
                meta.failures = meta.failures.saturating_add(1);
            }
            meta.wanted = wish.fingerprint();
            meta.error = Some(failure.cause.clone());
            meta.next_try = match failure.retry {
                Retry::At(time) => {
                    Some(plan::next_try(time, pair.as_ref().map(|pair| &pair.facts), host.now()))
                }
                Retry::Never => None,
            };
            store.keep_meta(&wish.names, &meta).map_err(unusable)?;
            Err(failure)
        }
    }
}

async fn attempt(wish: &Wish, store: &Store, host: &dyn Host, meta: &mut Meta) -> Result<Pair, Failure> {
    let rounds = rounds(wish).map_err(|cause| Failure { cause, retry: Retry::Never })?;
    lead_here(wish, &rounds, host, meta).await?;
    // Who was asked already is asked first: its order goes on.
    let mut authorities: Vec<&AuthoritySpec> = wish.acme.authorities.iter().collect();
    authorities.sort_by_key(|authority| {
        meta.order.as_ref().is_none_or(|order| order.directory != authority.directory)
    });
    let mut troubles: Vec<Trouble> = Vec::new();
    for authority in authorities {
        match at(authority, &rounds, wish, store, host, meta).await {
            Ok(pair) => return Ok(pair),
            Err(trouble) => {
                let text = format!("{}: {}", account::host(&authority.directory), trouble.text);
                let goes_on = matches!(trouble.kind, Kind::Unreachable | Kind::Refused | Kind::Limited);
                troubles.push(Trouble { text, ..trouble });
                if !goes_on {
                    break;
                }
            }
        }
    }
    let cause = troubles.iter().map(|trouble| trouble.text.as_str()).collect::<Vec<_>>().join("; ");
    let wait = troubles.iter().map(|trouble| trouble.wait.unwrap_or_default()).min();
    Err(Failure { cause, retry: failure::again(host.now(), meta.failures.saturating_add(1), wait) })
}

/// Whether the names that an authority would come to by their address lead here. One that was asked already is not kept waiting.
async fn lead_here(
    wish: &Wish,
    rounds: &[Vec<ChallengeKind>],
    host: &dyn Host,
    meta: &mut Meta,
) -> Result<(), Failure> {
    if !wish.acme.check_names || wish.has_begun(meta) {
        return Ok(());
    }
    let by_address = |name: &&str| {
        let first =
            rounds.first().and_then(|kinds| kinds.iter().find(|kind| challenge::can_prove(**kind, name)));
        first != Some(&ChallengeKind::Dns01) && address(name).is_none()
    };
    let names: Vec<&str> = wish.names.iter().map(String::as_str).filter(by_address).collect();
    let Err(cause) = preflight::look(&names, wish, host).await else {
        meta.waiting_since = None;
        return Ok(());
    };
    let now = host.now();
    // What a wrong clock noted did not begin later than now.
    let since = meta.waiting_since.map_or(now, |since| since.min(now));
    meta.waiting_since = Some(since);
    if !is_waiting(wish, meta, now) {
        return Err(Failure { cause, retry: failure::again(now, meta.failures.saturating_add(1), None) });
    }
    // Every 30 seconds, rarer after five minutes: a tenth of what was waited for already, five minutes at most.
    let waited = now.duration_since(since).unwrap_or_default();
    let minutes = wish.acme.wait.as_secs().div_ceil(60);
    Err(Failure {
        cause: format!("{cause}; waited for, up to {minutes} minutes"),
        retry: Retry::At(now + (waited / 10).clamp(LOOK, LOOK * 10)),
    })
}

/// Whether names are waited for: that is no failure.
fn is_waiting(wish: &Wish, meta: &Meta, now: SystemTime) -> bool {
    meta.waiting_since.is_some_and(|since| now < since + wish.acme.wait)
}

/// The ways of proof for each order: where the first way of a name fails, the next order takes its next one.
fn rounds(wish: &Wish) -> Result<Vec<Vec<ChallengeKind>>, String> {
    if wish.acme.authorities.is_empty() {
        return Err("no authority is named: give one as `authority`".to_owned());
    }
    let kinds = wish.challenges();
    for name in &wish.names {
        if !kinds.iter().any(|kind| challenge::can_prove(*kind, name)) {
            let needed = if name.starts_with("*.") {
                "DNS-01: give `dns`, the command that makes records"
            } else {
                "HTTP-01 or TLS-ALPN-01"
            };
            return Err(format!("{name} can only be proved by {needed}"));
        }
    }
    if kinds.contains(&ChallengeKind::Dns01) && wish.acme.dns.is_none() {
        return Err("DNS-01 needs `dns`, the command that makes records".to_owned());
    }
    let mut tried = BTreeSet::new();
    let turned = (0..kinds.len()).map(|first| {
        let (later, sooner) = kinds.split_at(first);
        sooner.iter().chain(later).copied().collect::<Vec<ChallengeKind>>()
    });
    // Where no name has another way, the next turn would be the same order again.
    Ok(turned
        .filter(|kinds| {
            let chosen = wish
                .names
                .iter()
                .map(|name| kinds.iter().find(|kind| challenge::can_prove(**kind, name)).copied());
            tried.insert(chosen.collect::<Vec<_>>())
        })
        .collect())
}

/// Orders at one authority, with each way of proof that the names have.
async fn at(
    authority: &AuthoritySpec,
    rounds: &[Vec<ChallengeKind>],
    wish: &Wish,
    store: &Store,
    host: &dyn Host,
    meta: &mut Meta,
) -> Result<Pair, Trouble> {
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut forgotten = false;
    let mut rounds = rounds.iter();
    let mut kinds = rounds.next();
    while let Some(now) = kinds {
        let ours = account::open(authority, store, Clock::new(host.now())).await?;
        let job = Job { wish, authority, store, host, kinds: now };
        match job.run(&ours, meta).await {
            Ok(pair) => {
                upkeep::keep(&job, &ours, &pair, meta).await?;
                return Ok(pair);
            }
            Err(trouble) if trouble.kind == Kind::Gone && !forgotten => {
                forgotten = true;
                account::forget(authority, store)?;
            }
            Err(trouble) if trouble.kind == Kind::Validation => {
                troubles.push(trouble);
                kinds = rounds.next();
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let text = troubles.iter().map(|trouble| trouble.text.as_str()).collect::<Vec<_>>().join("; ");
    let names = troubles.iter().flat_map(|trouble| trouble.names.clone()).collect();
    let wait = troubles.iter().filter_map(|trouble| trouble.wait).max();
    Err(Trouble { kind: Kind::Validation, text, wait, names })
}
