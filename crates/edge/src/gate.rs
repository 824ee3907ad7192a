//! What has to be waited for before a request may reach its handler: a password's hash, another server's word.
//!
//! Its head is kept meanwhile, and the table it was routed by: what was decided stays decided. A client that goes is noticed while
//! another server is asked, unless it still sends a body.

use crate::admit::{Step, closing_with_body, json_wanted, path_of};
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::error_page::Refusal;
use crate::guard::{ClientKey, Offence};
use crate::headers::Peer;
use crate::policy::request::Granted;
use crate::policy::request::basic_auth::Credentials;
use crate::policy::request::forward_auth::Said;
use crate::prepare::{Entry, finish, prepare};
use crate::record::Record;
use crate::table::{Found, Table};
use crate::when::Seen;
use http1::{FieldId, RequestHead};
use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use wire::failure::Cause;

/// A request that waits.
pub struct Waiting {
    /// It was routed by this.
    pub table: Arc<Table>,
    /// Its head.
    pub text: Box<[u8]>,
    /// The head, taken apart.
    pub head: RequestHead,
    /// What came of its body. A request without one has left what came behind it with the client.
    pub rest: Option<Buffer>,
    /// The peer's forwarded fields are believed.
    pub trusted: bool,
    /// Who asks.
    pub address: IpAddr,
    /// The request's id.
    pub id: Box<[u8]>,
    /// To be checked.
    pub credentials: Option<Credentials>,
    /// What is known already.
    pub granted: Granted,
}

/// Why a request goes no further.
enum Stop {
    Refused(Refusal),
    ClientGone,
}

/// Waits; none: the client has gone.
pub async fn pass(client: &mut Client, record: &mut Record, waiting: &mut Waiting) -> Option<Step> {
    let table = Arc::clone(&waiting.table);
    let path = path_of(&waiting.text, &waiting.head).to_vec();
    let host = waiting.head.host.map(|host| host.of(&waiting.text).to_vec());
    // It was found there before.
    let seen = Seen { buf: &waiting.text, head: &waiting.head, client: waiting.address };
    let found = table.find(*client.door, host.as_deref(), &path, Some(&seen))?;
    let asked = ask(client, record, waiting, found).await;
    let Waiting { text, head, rest, trusted, address, id, granted, .. } = waiting;
    match asked {
        Ok(()) => {
            record.text.clear();
            let entry = Entry { found, trusted: *trusted, address: *address, id };
            let prepared = prepare(client, record, text, head, entry, std::mem::take(granted));
            Some(finish(client, record, prepared, head, rest.take()))
        }
        Err(Stop::Refused(refusal)) => {
            Some(Step::refuse(closing_with_body(refusal, head), json_wanted(text, head)))
        }
        Err(Stop::ClientGone) => {
            record.why = Some(Cause::ClientGone);
            record.cause = Some(Cow::Borrowed("the client closed the connection"));
            None
        }
    }
}

/// Name and password, then the other server.
async fn ask(
    client: &mut Client,
    record: &Record,
    waiting: &mut Waiting,
    found: Found<'_>,
) -> Result<(), Stop> {
    let Some(rules) = found.route.policy.request.rules() else { return Ok(()) };
    if let (Some(auth), Some(credentials)) = (&rules.basic_auth, waiting.credentials.take()) {
        let user = auth.check(credentials, ClientKey::of(waiting.address)).await.map_err(|refusal| {
            if refusal.status == 401 {
                client.worker.offend(waiting.address, Offence::Authentication);
            }
            Stop::Refused(refusal)
        })?;
        waiting.granted.user = Some(user);
    }
    let Some(auth) = &rules.forward_auth else { return Ok(()) };
    let nobody =
        || Stop::Refused(Refusal::new(502, Cause::AuthServer, "the server that signs in is not there"));
    let server = found.auth.ok_or_else(nobody)?;
    let peer = Rc::clone(&client.peer_text);
    let https = record.facts.https;
    let who = Peer {
        peer: &peer,
        trusted: waiting.trusted,
        https,
        client: &record.client,
        id: &waiting.id,
        certificate: client.certificate(found.asks),
    };
    let question = auth.question(&waiting.text, &waiting.head, who);
    match auth.ask(client, server, &question, waiting.head.body.is_empty()).await {
        Said::Passed(lines) => {
            waiting.granted.lines = lines;
            Ok(())
        }
        Said::Refused(refusal) => {
            // Who shows nothing is only asked to sign in; who shows what is not believed may be guessing.
            let shown = waiting.head.value(FieldId::Authorization, &waiting.text).is_some();
            if shown && matches!(refusal.status, 401 | 403) {
                client.worker.offend(waiting.address, Offence::Authentication);
            }
            Err(Stop::Refused(refusal))
        }
        Said::ClientGone => Err(Stop::ClientGone),
    }
}
