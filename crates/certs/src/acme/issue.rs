//! One order at one authority (RFC 8555 section 7.4), step by step. Each step's outcome is in the store before the next one is taken:
//!
//! ```text
//! newOrder ─ URL stored ─▶ answers served ─▶ authority looks ─▶ key stored ─▶ finalise ─▶ pair stored
//! ```
//! An order that was begun before is asked for its state, and goes on from there.

use super::account::Ours;

use super::failure::{Kind, Trouble, quoted};
use super::limits::{self, Counted};
use super::meta::{Meta, UnderWay};
use super::prove::give_up;
use super::store::Store;
use super::{Host, Wish, account};
use crate::{Pair, covers, files};
use instant_acme::{CertificateIdentifier, Error, Identifier, NewOrder, Order, OrderStatus};
use model::acme::{AuthoritySpec, ChallengeKind, KeyKind};
use model::site::address;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long an authority may take to look at names, and to sign.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// First wait between two looks at an order.
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(250);
/// Longest one.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// What one order is about.
pub(super) struct Job<'a> {
    pub wish: &'a Wish,
    pub authority: &'a AuthoritySpec,
    pub store: &'a Store,
    pub host: &'a dyn Host,
    /// For each name the first of these that can prove it.
    pub kinds: &'a [ChallengeKind],
}

impl Job<'_> {
    /// Places an order, or goes on with the one under way, until there is a pair.
    pub(super) async fn run(&self, ours: &Ours, meta: &mut Meta) -> Result<Pair, Trouble> {
        let mut order = match self.under_way(ours, meta).await? {
            Some(order) => order,
            None => self.begin(ours, meta).await?,
        };
        let pair = self.steps(ours, &mut order).await;
        if let (Err(trouble), Some(counted)) = (&pair, self.counted()) {
            counted.failed(&trouble.names)?;
        }
        if pair
            .as_ref()
            .is_err_and(|trouble| matches!(trouble.kind, Kind::Validation | Kind::Refused | Kind::Gone))
        {
            give_up(&mut order).await;
            meta.order = None;
            self.store.keep_meta(&self.wish.names, meta)?;
            self.store.keep_order_key(&self.wish.names, None)?;
        }
        pair
    }

    /// The order that was begun before, if it is for the same and the authority still knows it.
    async fn under_way(&self, ours: &Ours, meta: &mut Meta) -> Result<Option<Order>, Trouble> {
        let Some(begun) = meta.order.as_ref().filter(|order| self.wish.is_placed(self.authority, order))
        else {
            return Ok(None);
        };
        match nonced!(ours.account.order(begun.url.clone())) {
            Ok(mut order) => {
                let key = self.store.order_key(&self.wish.names)?;
                let goes_on = match order.state().status {
                    OrderStatus::Pending | OrderStatus::Ready => true,
                    OrderStatus::Processing | OrderStatus::Valid => key.is_some(),
                    OrderStatus::Invalid => false,
                };
                Ok(goes_on.then_some(order))
            }
            Err(error) => {
                let trouble = self.trouble(ours, &error);
                // What it does not know is not waited for: a new one takes its place.
                match trouble.kind {
                    Kind::Unreachable | Kind::Limited => Err(trouble),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Places an order, and keeps its URL.
    async fn begin(&self, ours: &Ours, meta: &mut Meta) -> Result<Order, Trouble> {
        let identifiers: Vec<Identifier> = self.wish.names.iter().map(|name| identifier(name)).collect();
        let profile = self.wish.profile(self.authority);
        if let Some(profile) = profile {
            has_profile(ours, profile)?;
        }
        let new = |replaces: Option<CertificateIdentifier<'static>>| {
            let mut new = NewOrder::new(&identifiers);
            if let Some(profile) = profile {
                new = new.profile(profile);
            }
            if let Some(replaces) = replaces {
                new = new.replaces(replaces);
            }
            new
        };
        let replaces = self.replaced(meta)?;
        if let Some(counted) = self.counted() {
            counted.order(self.class(meta))?;
        }
        let mut placed = nonced!(ours.account.new_order(&new(replaces.clone())));
        if replaces.is_some() && placed.as_ref().is_err_and(is_about_replacement) {
            // It was replaced already, or is none of this authority's: that is no reason to have none.
            placed = nonced!(ours.account.new_order(&new(None)));
        }
        let order = placed.map_err(|error| self.trouble(ours, &error))?;
        meta.order = Some(UnderWay {
            directory: self.authority.directory.clone(),
            email: self.authority.email.clone(),
            url: order.url().to_owned(),
            names: self.wish.names.clone(),
            profile: profile.map(str::to_owned),
        });
        self.store.keep_order_key(&self.wish.names, None)?;
        self.store.keep_meta(&self.wish.names, meta)?;
        Ok(order)
    }

    /// The books of this authority's limits, if it has any.
    pub(super) fn counted(&self) -> Option<Counted<'_>> {
        let limits = self.store.limits(&self.authority.directory)?;
        let (store, names, now) = (self.store, &self.wish.names, self.host.now());
        Some(Counted { store, limits, who: account::file(self.authority), names, now })
    }

    /// What the next order is to this authority, by what is stored.
    pub(super) fn class(&self, meta: &Meta) -> limits::Order {
        let same =
            |names: &[String]| names.iter().collect::<BTreeSet<_>>() == self.wish.names.iter().collect();
        match &meta.directory {
            Some(directory) if *directory != self.authority.directory => limits::Order::New,
            Some(_) if meta.ari.is_some() => limits::Order::Replacement,
            Some(_) if same(&meta.names) => limits::Order::Renewal,
            _ => limits::Order::New,
        }
    }

    /// The stored certificate, if this authority made it and speaks of renewal (RFC 9773 section 5).
    fn replaced(&self, meta: &Meta) -> Result<Option<CertificateIdentifier<'static>>, Trouble> {
        if meta.ari.is_none() || meta.directory.as_ref() != Some(&self.authority.directory) {
            return Ok(None);
        }
        let held = self.store.look(&self.wish.names)?;
        Ok(held.and_then(|held| held.pair).and_then(|pair| identified(&pair)))
    }

    /// From whatever state the order is in to the pair.
    async fn steps(&self, ours: &Ours, order: &mut Order) -> Result<Pair, Trouble> {
        let trouble = |error: Error| self.trouble(ours, &error);
        let mut deadline = None;
        let mut pause = FIRST_LOOK;
        let mut asked = false;
        loop {
            let status = order.state().status;
            // Names may take long to prove; from then on it is the authority's turn.
            if !matches!(status, OrderStatus::Pending | OrderStatus::Valid | OrderStatus::Invalid)
                && Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + PATIENCE)
            {
                return Err(Trouble::new(
                    Kind::Unreachable,
                    "it has not signed yet; the order goes on with the next try",
                ));
            }
            match status {
                OrderStatus::Pending => self.prove(ours, order).await?,
                // It was asked and says that it was not: once more, and not at once.
                OrderStatus::Ready if std::mem::take(&mut asked) => {
                    self.look_again(ours, order, &mut pause).await?;
                }
                OrderStatus::Ready => {
                    asked = true;
                    let key = self.key().await?;
                    let request = request(&self.wish.names, &key).map_err(Trouble::own)?;
                    nonced!(order.finalize_csr(&request)).map_err(trouble)?;
                }
                OrderStatus::Valid => break,
                OrderStatus::Invalid => return Err(self.why_invalid(order).await),
                OrderStatus::Processing => self.look_again(ours, order, &mut pause).await?,
            }
        }
        let key = self.store.order_key(&self.wish.names)?;
        let key =
            key.ok_or_else(|| Trouble::own("the order's key is gone from the store: who removed it?"))?;
        let chain = nonced!(order.certificate()).map_err(trouble)?.unwrap_or_default();
        self.checked(chain, key)
    }

    pub(super) async fn look_again(
        &self,
        ours: &Ours,
        order: &mut Order,
        pause: &mut Duration,
    ) -> Result<(), Trouble> {
        let told = ours.client.retry_after().unwrap_or_default().min(LAST_LOOK);
        tokio::time::sleep((*pause).max(told)).await;
        *pause = (*pause * 3 / 2).min(LAST_LOOK);
        nonced!(refresh(order)).map_err(|error| self.trouble(ours, &error))
    }

    /// Key of this order: made once, and kept before the authority hears of it.
    async fn key(&self) -> Result<KeyPair, Trouble> {
        // One that cannot be read is of no order that goes on: nothing was finalised with it.
        let kept = self.store.order_key(&self.wish.names)?;
        if let Some(key) = kept.and_then(|key| KeyPair::from_pem(&key).ok()) {
            return Ok(key);
        }
        let kind = self.wish.acme.key;
        // Primes take a while.
        let made = tokio::task::spawn_blocking(move || generate(kind)).await.map_err(Trouble::own)?;
        let key = made.map_err(Trouble::own)?;
        self.store.keep_order_key(&self.wish.names, Some(&key.serialize_pem()))?;
        Ok(key)
    }

    /// What came is used only if it is a pair for what was ordered.
    fn checked(&self, chain: String, key: String) -> Result<Pair, Trouble> {
        let pair = files::parse(chain, key).map_err(|_| {
            Trouble::new(
                Kind::Refused,
                "what it gave is no certificate for the key it was asked for; ask who runs it",
            )
        })?;
        let missing: Vec<&str> = self
            .wish
            .names
            .iter()
            .filter(|name| !pair.facts.names.iter().any(|has| covers(has, name)))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Trouble::new(
                Kind::Refused,
                format!("it gave a certificate that does not name {missing}; ask who runs it"),
            ));
        }
        Ok(pair)
    }

    pub(super) fn trouble(&self, ours: &Ours, error: &Error) -> Trouble {
        Trouble::of(error, ours.client.retry_after())
    }
}

async fn refresh(order: &mut Order) -> Result<(), Error> {
    order.refresh().await.map(drop)
}

/// Who does not know profiles would take the order and give another certificate than the one that is wanted.
fn has_profile(ours: &Ours, wanted: &str) -> Result<(), Trouble> {
    let mut names: Vec<&str> = ours.account.profiles().map(|profile| profile.name).collect();
    if names.contains(&wanted) {
        return Ok(());
    }
    names.sort_unstable();
    let has = if names.is_empty() { "none".to_owned() } else { quoted(&names.join(", ")) };
    Err(Trouble::new(
        Kind::Refused,
        format!("it has no profile {wanted}; it has {has}: give one of those as `profile`"),
    ))
}

fn is_about_replacement(error: &Error) -> bool {
    match error {
        Error::Api(problem) => problem
            .r#type
            .as_deref()
            .is_some_and(|kind| kind.ends_with(":alreadyReplaced") || kind.ends_with(":malformed")),
        Error::Unsupported(_) => true,
        Error::Other(inner) => !inner.is::<super::client::Unreached>(),
        _ => false,
    }
}

/// How RFC 9773 section 4.1 names a certificate; none where its authority did not sign itself into it.
pub(super) fn identified(pair: &Pair) -> Option<CertificateIdentifier<'static>> {
    let leaf = CertificateDer::from_pem_slice(pair.chain.as_bytes()).ok()?;
    CertificateIdentifier::try_from(&leaf).ok().map(CertificateIdentifier::into_owned)
}

fn identifier(name: &str) -> Identifier {
    address(name).map_or_else(|| Identifier::Dns(name.to_owned()), Identifier::Ip)
}

fn generate(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    match kind {
        KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
}

/// The request for a certificate (RFC 2986), with nothing in it but the names.
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    // Without the brackets of IPv6.
    let plain = |name: &String| address(name).map_or_else(|| name.clone(), |own| own.to_string());
    let mut params = CertificateParams::new(names.iter().map(plain).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}
