//! Who one is to an authority (RFC 8555 section 7.3): an account with a key of its own, made once and kept, one for each
//! directory, e-mail and external account.

use super::client::{Client, Clock};
use super::failure::{Kind, Trouble};
use super::store::Store;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use model::acme::{AuthoritySpec, EabSpec};
use serde::{Deserialize, Serialize};

/// An account that can be used, and the client it uses.
pub(super) struct Ours {
    pub account: Account,
    pub client: Client,
}

/// What lies on the disk. It holds the key: never shown.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    directory: String,
    email: Option<String>,
    credentials: AccountCredentials,
}

/// The account at this authority, made if there is none yet.
pub(super) async fn open(authority: &AuthoritySpec, store: &Store, clock: Clock) -> Result<Ours, Trouble> {
    let client = Client::new(authority, clock)?;
    let found = match saved(authority, store)? {
        Some(found) => found,
        None => {
            // Whoever came first makes it for all.
            let _alone = store.accounts.lock().await;
            match saved(authority, store)? {
                Some(found) => found,
                None => return make(authority, store, client).await,
            }
        }
    };
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let account = builder.from_credentials(found.credentials).await;
    let account = account.map_err(|error| Trouble::of(&error, client.retry_after()))?;
    Ok(Ours { account, client })
}

/// The authority does not know the account any more: another one is made by the next [`open`].
pub(super) fn forget(authority: &AuthoritySpec, store: &Store) -> Result<(), Trouble> {
    Ok(store.remove_other(&file(authority))?)
}

/// Keeps the account's key.
pub(super) fn keep(
    authority: &AuthoritySpec,
    store: &Store,
    credentials: AccountCredentials,
) -> Result<(), Trouble> {
    let saved = Saved { directory: authority.directory.clone(), email: authority.email.clone(), credentials };
    let text = serde_json::to_string_pretty(&saved).map_err(Trouble::own)?;
    Ok(store.keep_other(&file(authority), &text)?)
}

async fn make(authority: &AuthoritySpec, store: &Store, client: Client) -> Result<Ours, Trouble> {
    let contact = authority.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = authority.eab.as_ref().map(external).transpose()?;
    let made = nonced!(Account::builder_with_http(Box::new(client.clone())).create(
        &new,
        authority.directory.clone(),
        external.as_ref()
    ));
    let (account, credentials) = made.map_err(|error| Trouble::of(&error, client.retry_after()))?;
    keep(authority, store, credentials)?;
    Ok(Ours { account, client })
}

fn saved(authority: &AuthoritySpec, store: &Store) -> Result<Option<Saved>, Trouble> {
    let name = file(authority);
    let Some(text) = store.other(&name)? else { return Ok(None) };
    // What the parser says could quote the key.
    let broken = |_| {
        let next = "restore it, or remove it: another account is made then";
        store.broken(&name, "is not the account that was written there", next)
    };
    Ok(Some(serde_json::from_str(&text).map_err(broken)?))
}

/// `accounts/<host of the authority>-<hash of who one is there>.json`.
pub(super) fn file(authority: &AuthoritySpec) -> String {
    let external = authority.eab.as_ref().map(|eab| eab.key_id.as_str());
    let who = format!("{:?}", (&authority.directory, &authority.email, external));
    let host = super::store::folder_name(&[host(&authority.directory).to_owned()]);
    format!("accounts/{host}-{}.json", super::hash(&who))
}

/// What an authority is called here: its host, with the port where it says one.
pub(super) fn host(directory: &str) -> &str {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

fn external(eab: &EabSpec) -> Result<ExternalAccountKey, Trouble> {
    let text = eab.hmac_key.expose().trim().trim_end_matches('=');
    let key = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).map_err(|_| {
        Trouble::new(
            Kind::Own,
            "its `eab` has an `hmac_key` that is no base64url: copy it as the authority shows it",
        )
    })?;
    Ok(ExternalAccountKey::new(eab.key_id.clone(), &key))
}
