//! Resolvers of certificates → `[acme]`: which authority, who one is to it, how names are proved. A stack has one authority: the first resolver that
//! a router names.

use super::node;
use super::settings::{Setting, Settings};
use crate::diagnostic::Report;
use crate::tree::{Node, Span};
use crate::{values, web};
use std::collections::BTreeSet;

/// Names of authorities that everybody may ask; of others nothing is known, such as one for trials.
const PUBLIC: [&str; 4] = ["letsencrypt.org", "zerossl.com", "pki.goog", "buypass.com"];

/// The resolver that is used.
#[derive(Debug)]
pub struct Resolver {
    /// `[acme]`.
    pub node: Node,
    /// It certifies public names only.
    is_public: bool,
}

impl Resolver {
    /// Whether a site of this host has its certificate from there. A name of examples, or of this machine, is none that it would certify.
    pub fn certifies(&self, host: &str) -> bool {
        host != "*" && !(self.is_public && (values::is_placeholder(host) || web::is_local(host)))
    }
}

/// Reads them. `named`: those that a router names, in any order. `variables` know `ACME_EMAIL`, without which there is no HTTPS that a variable
/// switches on.
pub fn read(
    settings: &Settings,
    named: &BTreeSet<String>,
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Resolver> {
    let mut used: Option<(String, Resolver)> = None;
    for (name, first) in settings.names("certificatesresolvers") {
        let resolver = resolver(settings, &name, &first.span, variables, report);
        settings.take(&format!("certificatesresolvers.{name}")).for_each(drop);
        if !named.contains(&name) {
            let found = report.info("traefik::acme", format!("no router names resolver `{name}`"));
            found.at(first.span.clone(), "no certificate is ordered from it");
        } else if let Some((other, _)) = &used {
            let message = format!("all certificates come from resolver `{other}`, and none from `{name}`");
            let found = report.warning("traefik::acme", message);
            found.at(first.span.clone(), "a stack has one authority");
            found.help("parts with another one are a stack of their own");
        } else {
            used = Some((name, resolver));
        }
    }
    used.map(|(_, resolver)| resolver)
}

fn resolver(
    settings: &Settings,
    name: &str,
    span: &Span,
    variables: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Resolver {
    let at = format!("certificatesresolvers.{name}.acme");
    let get = |key: &str| settings.get(&format!("{at}.{key}")).filter(|own| !own.text().is_empty());
    let has =
        |key: &str| settings.below(&at).any(|(own, _)| own == key || own.starts_with(&format!("{key}.")));
    let mut entries = Vec::new();
    let mut filled = Vec::new();
    let server = get("caserver");
    let of = |own: &Setting| (own.text().to_owned(), own.span.clone());
    entries.extend(server.map(|own| ("authority", node::text(own.text(), &own.span))));
    let (email, email_span) = get("email").map_or_else(
        || (variables("ACME_EMAIL").filter(|mail| !mail.is_empty()).unwrap_or_default(), span.clone()),
        of,
    );
    if get("email").is_none() {
        filled.push(match &*email {
            "" => "there is no e-mail: set ACME_EMAIL".to_owned(),
            mail => format!("the e-mail is {mail}, from ACME_EMAIL"),
        });
    }
    if email.is_empty() && super::fixed::https(variables) == Some(true) {
        let message = format!("HTTPS is enabled, and resolver `{name}` has no e-mail");
        let found = report.error("traefik::acme", message);
        found.at(span.clone(), "its authority has nobody to warn").help("set ACME_EMAIL");
    }
    if !email.is_empty() {
        entries.push(("email", node::text(email, &email_span)));
    }
    if has("httpchallenge") && !has("httpchallenge.entrypoint") {
        filled.push("the challenge is answered on every plain entry point".to_owned());
    }
    if !has("storage") {
        filled.push(
            "certificates are kept in Mainstay's home, where Traefik would need `/letsencrypt/acme.json`"
                .to_owned(),
        );
    }
    let kinds = [("httpchallenge", "http-01"), ("tlschallenge", "tls-alpn-01")];
    let kinds: Vec<&str> = kinds.iter().filter(|(key, _)| has(key)).map(|(_, kind)| *kind).collect();
    if !kinds.is_empty() {
        entries.push(("challenge", node::texts(kinds, span)));
    }
    if let Some(provider) = get("dnschallenge.provider") {
        let message = format!("records of DNS are not made by `{}`", provider.text());
        let found = report.warning("traefik::dns", message);
        found.at(provider.span.clone(), "names are proved in other ways");
        found.help("Mainstay runs a command of yours: `dns = { command = [\"./records.sh\"] }` of `[acme]`");
    }
    if let (Some(id), Some(key)) = (get("eab.kid"), get("eab.hmacencoded")) {
        let secret = node::table(vec![("secret", node::text(key.text(), &key.span))], &key.span);
        let eab = vec![("key_id", node::text(id.text(), &id.span)), ("hmac_key", secret)];
        entries.push(("eab", node::table(eab, &id.span)));
    }
    if let Some(kind) = get("keytype") {
        let ours = match kind.text().to_ascii_uppercase().as_str() {
            "EC384" => "p384",
            "EC256" => "p256",
            _ => "rsa2048",
        };
        entries.push(("key", node::text(ours, &kind.span)));
    }
    for key in ["preferredchain", "certificatesduration", "cacertificates", "caservername"] {
        if let Some(own) = get(key) {
            let found = report.warning("traefik::acme", format!("`{key}` is not taken over"));
            found.at(own.span.clone(), "not used");
            found.help("`root` of `[acme]` names the file of an authority's own root");
        }
    }
    if !filled.is_empty() {
        let message = format!("resolver `{name}` says less than Traefik needs");
        let found = report.warning("traefik::acme", message);
        found.at(span.clone(), format!("what was missing: {}", filled.join("; ")));
    }
    let is_public = server.is_none_or(|own| PUBLIC.iter().any(|name| own.text().contains(name)));
    Resolver { node: node::table(entries, span), is_public }
}
