//! Certificates from authorities that speak ACME (RFC 8555): ordered, proved, kept, renewed, revoked.
//!
//! | file | what it keeps |
//! |---|---|
//! | [`store`], [`meta`] | what lies on the disk: accounts, pairs, what is known of each, what authorities were asked for |
//! | `order` | **begin here**: from a [`Wish`] to a pair; authorities in turn, an order under way goes on |
//! | `issue`, `prove` | one order at one authority, step by step; its names proved |
//! | `challenge`, `dns` | answers to challenges, and the user's command for records |
//! | `account`, `client` | who one is to an authority; HTTP to it and nothing else |
//! | [`plan`] | when a pair is renewed: by the authority's own word (RFC 9773), else by its life |
//! | [`limits`] | what an authority is not asked for, because it would refuse |
//! | `preflight` | whether a name leads to this host |
//! | `backoff`, [`failure`] | what went wrong, in words, and when it is tried again |
//! | `upkeep` | revocation, another account key, the authority's word on renewal |
//!
//! ```text
//! due(wish, held, now) ─▶ Now ─▶ obtain(wish, store, host) ─▶ Pair, or Failure with the next try; both are in the store
//!                      ─▶ Ask ─▶ ask(wish, store, host): another moment of renewal
//!                      ─▶ At(time): nothing until then
//! ```
//!
//! - The clock is the [`Host`]'s, here and in the check of an authority's own certificate.
//! - Each step is in the store before the next one is taken, so a task may be dropped anywhere: the next call goes on.
//! - A failure changes nothing of what is stored to be served.
//! - One task at a time for one certificate: the caller sees to that.

/// What an authority answers with `badNonce` it has not looked at (RFC 8555 section 6.5): asked again, as often as it takes. The library
/// tries three times itself, which is not enough where half of the nonces are refused.
macro_rules! nonced {
    ($call:expr) => {{
        let mut left = 40_u8;
        loop {
            match $call.await {
                Err(instant_acme::Error::Api(problem))
                    if left > 0
                        && problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":badNonce")) =>
                {
                    left -= 1;
                }
                other => break other,
            }
        }
    }};
}

mod account;
mod backoff;
mod challenge;
mod client;
mod dns;
pub mod failure;
mod issue;
pub mod limits;
pub mod meta;
mod order;
pub mod plan;
mod preflight;
mod prove;
pub mod store;
mod upkeep;

pub use failure::{Failure, Retry};
pub use meta::Meta;
pub use order::obtain;
pub use plan::{Due, due};
pub use store::{Entry, Held, Store};
pub use upkeep::{RevocationReason, ask, revoke, roll_over};

use model::acme::{AcmeSpec, AuthoritySpec, ChallengeKind, SiteAcme};
use model::spec::EnvValue;
use std::io;
use std::net::IpAddr;
use std::time::SystemTime;
use wire::snapshot::{Certificate, HttpChallenge};

/// A certificate that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Host names, `*.example.com`, or addresses; all in one certificate. The first one names it in the store.
    pub names: Vec<String>,
    /// Of the stack.
    pub acme: AcmeSpec,
    /// Of the site.
    pub site: SiteAcme,
    /// Where the host is reached.
    pub doors: Doors,
}

/// Ports by which authorities reach this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    /// Plain HTTP: 80, but for authorities of tests. None: there is no such door.
    pub http: Option<u16>,
    /// TLS: 443, likewise.
    pub https: Option<u16>,
}

impl Wish {
    /// How names are proved, best first: what the site says, else what the stack says, else by the doors there are.
    fn challenges(&self) -> Vec<ChallengeKind> {
        let said = [&self.site.challenges, &self.acme.challenges].into_iter().find(|kinds| !kinds.is_empty());
        let by_doors = || {
            let door =
                if self.doors.http.is_some() { ChallengeKind::Http01 } else { ChallengeKind::TlsAlpn01 };
            let dns = self.acme.dns.is_some().then_some(ChallengeKind::Dns01);
            std::iter::once(door).chain(dns).collect()
        };
        said.cloned().unwrap_or_else(by_doors)
    }

    /// What is wanted and how, as a hash that says nothing of secrets.
    fn fingerprint(&self) -> String {
        // Secrets are masked in it: who mends one has them in the hash beside it.
        let text = serde_json::to_string(&(&self.names, &self.acme, &self.site)).unwrap_or_default();
        let bound = self.acme.authorities.iter().filter_map(|one| one.eab.as_ref()).map(|eab| &eab.hmac_key);
        let told = self.acme.dns.iter().flat_map(|dns| dns.env.values());
        let secrets: Vec<&str> = bound.chain(told).map(EnvValue::expose).collect();
        hash(&format!("{text}{secrets:?}"))
    }

    /// Whether an order for this was begun and not ended. One for other names, or at an authority that is not named any more, is none.
    fn has_begun(&self, meta: &Meta) -> bool {
        let at = |authority| meta.order.as_ref().is_some_and(|order| self.is_placed(authority, order));
        self.acme.authorities.iter().any(at)
    }

    /// Whether an order is one that would be placed for this at an authority.
    fn is_placed(&self, authority: &AuthoritySpec, order: &meta::UnderWay) -> bool {
        order.directory == authority.directory
            && order.email == authority.email
            && order.names == self.names
            && order.profile.as_deref() == self.profile(authority)
    }

    /// Which of an authority's profiles; none: its default.
    fn profile<'a>(&'a self, authority: &'a AuthoritySpec) -> Option<&'a str> {
        self.site.profile.as_deref().or(authority.profile.as_deref())
    }
}

/// The first 16 bytes of its SHA-256, in hexadecimal.
fn hash(text: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What has to be served so that an authority believes a name. DNS-01 is not among them: the user's command does it.
#[derive(Clone, PartialEq)]
pub enum Challenge {
    /// HTTP-01.
    Http(HttpChallenge),
    /// TLS-ALPN-01: for handshakes that offer nothing but `acme-tls/1`.
    Alpn(Certificate),
}

/// Who serves challenges, whose clock counts, and how this host sees itself.
#[async_trait::async_trait]
pub trait Host: Send + Sync {
    /// Has them served beside those there are; returns when they are. They are to be forgotten with the task, too: one that is
    /// dropped withdraws nothing.
    ///
    /// # Errors
    /// Why they cannot be served, for people.
    async fn present(&self, challenges: &[Challenge]) -> Result<(), String>;

    /// They need not be served any more.
    async fn withdraw(&self, challenges: &[Challenge]);

    /// The time. Nothing here looks at another clock.
    fn now(&self) -> SystemTime;

    /// Where a name leads, IPv4 and IPv6: what this host's own resolver says.
    ///
    /// # Errors
    /// It does not know the name, or cannot be asked.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect())
    }
}
