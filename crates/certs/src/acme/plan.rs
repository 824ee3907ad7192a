//! When a certificate is renewed: at a moment within the window that its authority suggests (RFC 9773 section 4.2), chosen once
//! by chance and kept; without such a word when two thirds of its life are over, or half of a life under ten days.

use super::Wish;
use super::meta::{Ari, Meta, Window};
use super::store::Held;
use crate::Facts;
use std::time::{Duration, SystemTime};

/// Lives below this are renewed at their half.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 24 * 3600);
/// Asked no more often (RFC 9773 section 4.3.2 leaves the bounds to us) …
const ASK_SOONEST: Duration = Duration::from_secs(60);
/// … and no more rarely than this.
const ASK_LATEST: Duration = Duration::from_secs(24 * 3600);
/// No failed try is put off for longer: what is later was written by a clock that was wrong.
const FARTHEST: Duration = Duration::from_secs(8 * 24 * 3600);
/// Who asked to be left alone for longer than a pair lasts is asked no more often than this.
const LEAST: Duration = Duration::from_secs(3600);

/// What a certificate needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// [`super::obtain`], now.
    Now,
    /// [`super::ask`], now.
    Ask,
    /// Nothing until then.
    At(SystemTime),
    /// Nothing until somebody changes what is wanted: the last failure says what.
    Never,
}

/// What this wish needs, by what there is.
pub fn due(wish: &Wish, held: Option<&Held>, now: SystemTime) -> Due {
    let Some(held) = held else { return Due::Now };
    let meta = &held.meta;
    let pair = held.pair.as_ref().filter(|pair| fits(wish, &pair.facts, meta));
    let good = pair.filter(|_| !meta.revoked && !wish.has_begun(meta));
    // Whatever was planned, by a clock that may have been wrong: a pair that is nearly over is renewed.
    let renew = good.and_then(|pair| Some(meta.renew?.min(latest(&pair.facts)))).unwrap_or(now);
    if renew <= now {
        // Who changed what is wanted need not wait for what was wanted before.
        if meta.error.is_none() || meta.wanted != wish.fingerprint() {
            return Due::Now;
        }
        return match meta.next_try {
            Some(next) if next > now && next <= now + FARTHEST => Due::At(next),
            Some(_) => Due::Now,
            None => Due::Never,
        };
    }
    match &meta.ari {
        Some(ari) if ari.ask <= now || ari.ask > now + ASK_LATEST => Due::Ask,
        Some(ari) => Due::At(ari.ask.min(renew)),
        None => Due::At(renew),
    }
}

/// Whether a pair is what is wanted: its names, by an authority that is still named, with the profile that is wanted of it.
fn fits(wish: &Wish, facts: &Facts, meta: &Meta) -> bool {
    let names = wish.names.iter().all(|name| facts.names.iter().any(|has| crate::covers(has, name)));
    let mut authorities = wish.acme.authorities.iter();
    let by = authorities.find(|authority| Some(&authority.directory) == meta.directory.as_ref());
    names && by.is_some_and(|authority| wish.profile(authority) == meta.profile.as_deref())
}

/// When a pair is renewed: within the window that its authority suggests, else by its life.
pub fn renewal(facts: &Facts, window: Option<Window>, now: SystemTime) -> SystemTime {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    let suggested = window.and_then(|window| {
        let length = window.end.duration_since(window.start).ok()?;
        Some(window.start + length.mul_f64(fastrand::f64()))
    });
    match suggested {
        // A window in the past means: at once (RFC 9773 section 4.2). One at the very end is an authority's mistake.
        Some(chosen) => chosen.min(latest(facts)).max(now),
        None => {
            let share = if life < SHORT_LIFE { 1.0 / 2.0 } else { 2.0 / 3.0 };
            // Earlier by up to a twentieth: not all that were made together are renewed together.
            facts.not_before + life.mul_f64(share - 0.05 * fastrand::f64())
        }
    }
}

/// The last moment to renew a pair: a tenth of its life is left.
fn latest(facts: &Facts) -> SystemTime {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    facts.not_after - life / 10
}

/// When a failed try is repeated: not so late that the stored pair is over before, whatever the authority asks for.
pub(super) fn next_try(wanted: SystemTime, pair: Option<&Facts>, now: SystemTime) -> SystemTime {
    let left = pair.and_then(|facts| facts.not_after.duration_since(now).ok());
    left.map_or(wanted, |left| wanted.min(now + (left / 2).max(LEAST)))
}

/// What is made of an authority's word: the moment that was chosen before stays as long as the window does.
pub(super) fn heard(meta: &mut Meta, facts: &Facts, word: Word, now: SystemTime) {
    let before = meta.ari.as_ref().and_then(|ari| ari.window);
    let window = word.window.or(before);
    if window != before || meta.renew.is_none_or(|renew| renew > latest(facts)) {
        meta.renew = Some(renewal(facts, window, now));
    }
    let ask = now + word.again.clamp(ASK_SOONEST, ASK_LATEST);
    meta.ari = word.supported.then_some(Ari { window, explanation: word.explanation, ask });
}

/// What an authority said when it was asked about renewal.
pub(super) struct Word {
    /// Whether it knows RFC 9773 at all.
    pub supported: bool,
    /// None: it gave no answer this time.
    pub window: Option<Window>,
    pub explanation: Option<String>,
    /// How long until it is asked again.
    pub again: Duration,
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
