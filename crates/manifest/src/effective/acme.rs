//! `[acme]`, and `tls` of a site that has its certificate from there.

use super::{duration, inline, inline_table, list, path, text, words};
use crate::interpolate::{RUNTIME, escape};
use model::acme::{AcmeSpec, AuthoritySpec, ChallengeKind, DnsSpec, KeyKind, SiteAcme};
use model::secret::MASK;
use model::spec::EnvValue;
use toml_edit::{Array, InlineTable, Item, Table, Value, value};

/// `[acme]`.
pub fn acme(spec: &AcmeSpec) -> Table {
    let mut table = Table::new();
    let mut authorities = spec.authorities.iter();
    for (key, own) in authorities.next().into_iter().flat_map(authority) {
        table[key] = value(own);
    }
    let fallback: Array = authorities.map(|own| Value::from(inline_table(authority(own)))).collect();
    if !fallback.is_empty() {
        table["fallback"] = value(fallback);
    }
    if !spec.challenges.is_empty() {
        table["challenge"] = value(challenges(&spec.challenges));
    }
    if let Some(own) = &spec.dns {
        table["dns"] = value(dns(own));
    }
    table["key"] = value(match spec.key {
        KeyKind::P256 => "p256",
        KeyKind::P384 => "p384",
        KeyKind::Rsa2048 => "rsa2048",
    });
    table["check_names"] = value(spec.check_names);
    table["wait"] = value(duration(spec.wait));
    if let Some(export) = &spec.export {
        table["export"] = value(path(export));
    }
    if !spec.hook.is_empty() {
        table["hook"] = value(words(&spec.hook));
    }
    if let Some(own) = &spec.on_demand {
        table["on_demand"] = inline([("ask", text(&own.ask).into())]);
    }
    table
}

/// `tls` of a site.
pub fn tls(site: &SiteAcme) -> Item {
    if *site == SiteAcme::default() {
        return value("acme");
    }
    let profile = site.profile.as_ref().map(|own| ("profile", text(own).into()));
    let kinds = (!site.challenges.is_empty()).then(|| ("challenge", challenges(&site.challenges).into()));
    inline(profile.into_iter().chain(kinds))
}

fn authority(own: &AuthoritySpec) -> impl Iterator<Item = (&'static str, Value)> {
    let eab = own.eab.as_ref().map(|eab| {
        let key = inline_table([("secret", MASK.into())]);
        Value::from(inline_table([("key_id", text(&eab.key_id).into()), ("hmac_key", key.into())]))
    });
    let entries = [
        Some(("authority", text(&own.directory).into())),
        own.email.as_ref().map(|email| ("email", text(email).into())),
        own.root.as_ref().map(|root| ("root", path(root).into())),
        eab.map(|eab| ("eab", eab)),
        own.profile.as_ref().map(|profile| ("profile", text(profile).into())),
    ];
    entries.into_iter().flatten()
}

fn dns(own: &DnsSpec) -> InlineTable {
    let env: InlineTable = own
        .env
        .iter()
        .map(|(name, own)| match own {
            EnvValue::Plain(plain) => (name.as_str(), Value::from(escape(plain, RUNTIME))),
            EnvValue::Secret(_) | EnvValue::Kept(_) => {
                (name.as_str(), inline_table([("secret", MASK.into())]).into())
            }
            EnvValue::Generate(bytes) => {
                (name.as_str(), inline_table([("generate", i64::from(*bytes).into())]).into())
            }
        })
        .collect();
    let mut table = inline_table([("command", words(&own.command).into())]);
    if !env.is_empty() {
        table.insert("env", env.into());
    }
    table.insert("propagation", duration(own.propagation).into());
    table.insert("timeout", duration(own.timeout).into());
    table
}

fn challenges(kinds: &[ChallengeKind]) -> Array {
    let name = |kind: &ChallengeKind| match kind {
        ChallengeKind::Http01 => "http-01",
        ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        ChallengeKind::Dns01 => "dns-01",
    };
    list(kinds.iter().map(|kind| name(kind).to_owned()))
}
