//! Answers a request for a file, once its head was read.

use super::asset::{Asset, Body, Variant};
use super::condition::{Extent, Verdict};
use super::head::{self, Form};
use super::listing::{self, Entry};
use super::lookup::{Found, Spelling, look_up};
use super::redirect::location;
use super::send::{self, Segment, SendError};
use super::{FileRequest, INLINE, Name, millis};
use crate::answer::{Answer, answer, refuse};
use crate::connection::{Client, Next};
use crate::error_page::Refusal;
use crate::metrics::CacheStatus;
use crate::policy::response::change_head;
use crate::record::Record;
use http1::Method;
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Cause;

/// Longest wait for a coding that is being prepared; then the file goes as it is.
const PREPARING: Duration = Duration::from_millis(400);
/// The same for a client that does not take it as it is.
const PREPARING_ANYHOW: Duration = Duration::from_secs(10);
/// Vectors that are kept for the next head.
const KEEP: usize = 2 * INLINE as usize;

/// Answers with the file.
pub async fn run(client: &mut Client, record: &mut Record, request: &FileRequest) -> Next {
    let Some(bytes) = hot(client, record, request) else {
        return Box::pin(cold(client, record, request)).await;
    };
    let sent = send::bytes(client, &bytes, false, &mut record.sent).await;
    if bytes.capacity() <= KEEP {
        client.worker.scratch.set(bytes);
    }
    end(client, record, request, sent)
}

/// The whole answer, where it lies in memory.
fn hot(client: &Client, record: &mut Record, request: &FileRequest) -> Option<Vec<u8>> {
    let Name::Hit(asset) = &request.name else { return None };
    if request.conditions.is_some() || !matches!(request.method, Method::Get | Method::Head) {
        return None;
    }
    let variant = asset.choose(&request.weights).ok()?;
    let body: &[u8] = match &variant.body {
        _ if request.method == Method::Head => &[],
        Body::Memory(bytes) if bytes.len() as u64 <= INLINE => bytes,
        _ => return None,
    };
    record.cache = Some(CacheStatus::Hit);
    record.status = 200;
    let mut out = client.worker.scratch.take();
    out.clear();
    head::whole(&mut out, asset, variant, record);
    finish(&mut out, client, record, request);
    out.extend_from_slice(body);
    Some(out)
}

/// Everything else.
async fn cold(client: &mut Client, record: &mut Record, request: &FileRequest) -> Next {
    if !matches!(request.method, Method::Get | Method::Head) {
        let refusal = Refusal::method("GET, HEAD", "not a method for files");
        return refuse(client, record, &Refusal { close: request.has_body, ..refusal }, request.json).await;
    }
    let found = match &request.name {
        Name::Hit(asset) => {
            record.cache = Some(CacheStatus::Hit);
            Ok(Found::Asset(Arc::clone(asset)))
        }
        Name::Path(path) if request.root.rules.refuse(path) => {
            return missing(client, record, request, "refused: not a file for browsers (`allow` opens it)")
                .await;
        }
        Name::Path(path) => find(client, record, request, path).await,
        Name::Refused => {
            return missing(client, record, request, "no such file that the edge may read").await;
        }
    };
    match found {
        Ok(Found::Asset(asset)) => send_asset(client, record, request, asset, false).await,
        Ok(Found::Moved(spelling)) => {
            let name = if let Name::Path(path) = &request.name { path } else { "" };
            let place = location(record.get(record.target), name, spelling);
            let lines = format!("Location: {place}\r\nCache-Control: no-cache\r\n");
            let close = request.has_body;
            answer(
                client,
                record,
                Answer { status: 301, lines: lines.as_bytes(), close, ..Answer::default() },
            )
            .await
        }
        Ok(Found::Folder(entries)) => list(client, record, request, &entries).await,
        Ok(Found::Missing) => missing_but_spa(client, record, request).await,
        Err(error) => failed(client, record, request, &error).await,
    }
}

/// What lies at a path that the rules let pass.
async fn find(client: &Client, record: &mut Record, request: &FileRequest, path: &str) -> io::Result<Found> {
    let worker = &client.worker;
    let cache = &worker.files.cache;
    let now = millis(record.started);
    let known = cache.get(request.root.id, path);
    let (fresh, known) = match known {
        Some(known) if known.is_fresh(now) => (Some(known), None),
        known => (None, known),
    };
    record.cache = Some(if fresh.is_some() { CacheStatus::Hit } else { CacheStatus::Miss });
    if let Some(asset) = fresh {
        return Ok(Found::Asset(asset));
    }
    let (root, path) = (Arc::clone(&request.root), Box::<str>::from(path));
    let (cache, kept) = (Arc::clone(cache), known.clone());
    let look = move || {
        let now = millis(Instant::now());
        let found = look_up(&root, &path, known.as_ref(), now);
        match &found {
            Ok(Found::Asset(asset)) if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, asset)) => {
                asset.checked(now)
            }
            Ok(Found::Asset(asset)) => cache.insert(asset),
            _ if known.is_some() => cache.remove(root.id, &path),
            _ => {}
        }
        found
    };
    let found = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
    if let (Ok(Found::Asset(asset)), Some(kept)) = (&found, &kept)
        && Arc::ptr_eq(asset, kept)
    {
        // It was only asked whether it has changed: what is sent was kept.
        record.cache = Some(CacheStatus::Hit);
    }
    found
}

/// Sends a file, or what its conditions make of it. `not_found`: as the page of a 404.
async fn send_asset(
    client: &mut Client,
    record: &mut Record,
    request: &FileRequest,
    asset: Arc<Asset>,
    not_found: bool,
) -> Next {
    let chosen = prepared(client, request, &asset).await;
    let variant = chosen.map_or(&asset.plain, |coding| asset.coded(coding).unwrap_or(&asset.plain));
    let (form, segments) =
        if not_found { (Form::NotFound, all(variant)) } else { form(request, &asset, variant) };
    record.status = form.status();
    let mut out = Vec::with_capacity(1024);
    if form == Form::Whole {
        head::whole(&mut out, &asset, variant, record);
    } else {
        head::write(&mut out, &asset, variant, &form);
        change_head(record, &mut out, 0);
    }
    finish(&mut out, client, record, request);
    let segments = if request.method == Method::Head { &[][..] } else { &segments };
    let sent = match send::bytes(client, &out, !segments.is_empty(), &mut record.sent).await {
        Ok(()) => send::segments(client, variant, segments, &mut record.sent).await,
        error => error,
    };
    end(client, record, request, sent)
}

/// The coding to send, prepared for this client if it can be had soon. `None`: the file as it is.
async fn prepared(
    client: &Client,
    request: &FileRequest,
    asset: &Arc<Asset>,
) -> Option<model::policy::Coding> {
    let patience = if request.weights.refuses_plain() { PREPARING_ANYHOW } else { PREPARING };
    let deadline = Instant::now() + patience;
    loop {
        // Listening begins before looking: what is added in between is not missed.
        let ready = asset.prepared.notified();
        match asset.choose(&request.weights) {
            Ok(variant) => return variant.coding,
            Err(coding) => client.worker.files.compressor.prepare(asset, coding),
        }
        tokio::time::timeout_at(deadline.into(), ready).await.ok()?;
    }
}

/// What the client's conditions and ranges make of the answer.
fn form(request: &FileRequest, asset: &Asset, variant: &Variant) -> (Form, Vec<Segment>) {
    let Some(conditions) = &request.conditions else { return (Form::Whole, all(variant)) };
    let modified = variant.stamp.modified();
    match conditions.judge(&variant.tag, modified) {
        Verdict::Go => {}
        Verdict::Unchanged => return (Form::Unchanged, Vec::new()),
        Verdict::Failed => return (Form::Failed, Vec::new()),
    }
    if request.method != Method::Get {
        return (Form::Whole, Vec::new());
    }
    match conditions.extent(&variant.tag, modified, variant.length) {
        Extent::Whole => (Form::Whole, all(variant)),
        Extent::None => (Form::NoSuchRange, Vec::new()),
        Extent::Parts(parts) => match &*parts {
            [part] => (Form::Part(part.clone()), vec![Segment::Slice(part.clone())]),
            parts => head::multipart(asset, variant, parts),
        },
    }
}

fn all(variant: &Variant) -> Vec<Segment> {
    if variant.length == 0 { Vec::new() } else { vec![Segment::Slice(0..variant.length)] }
}

/// A page that the manifest names by its file. With clean URLs it is found under its other spelling: nobody is led there.
async fn own_page(
    client: &Client,
    record: &mut Record,
    request: &FileRequest,
    file: &str,
) -> io::Result<Found> {
    let file = file.trim_start_matches('/');
    match find(client, record, request, file).await? {
        Found::Moved(Spelling::Shorter(less)) => {
            let clean = file.get(..file.len().saturating_sub(less)).unwrap_or_default();
            find(client, record, request, clean).await
        }
        found => Ok(found),
    }
}

/// A navigation gets the site's one page, where it has one; all else 404.
async fn missing_but_spa(client: &mut Client, record: &mut Record, request: &FileRequest) -> Next {
    if let Some(page) = request.root.spec.spa.as_deref().filter(|_| request.navigation) {
        match own_page(client, record, request, page).await {
            Ok(Found::Asset(asset)) => return send_asset(client, record, request, asset, false).await,
            Ok(_) => {}
            Err(error) => return failed(client, record, request, &error).await,
        }
    }
    missing(client, record, request, "no such file that the edge may read").await
}

/// 404, with the site's own page for people.
async fn missing(
    client: &mut Client,
    record: &mut Record,
    request: &FileRequest,
    cause: &'static str,
) -> Next {
    record.cause.get_or_insert(Cow::Borrowed(cause));
    record.why.get_or_insert(Cause::NoFile);
    let page = request.root.spec.not_found.as_deref().unwrap_or("404.html");
    if !request.json && !request.root.spec.inert && !request.has_body {
        match own_page(client, record, request, page).await {
            Ok(Found::Asset(asset)) => return send_asset(client, record, request, asset, true).await,
            Ok(_) => {}
            Err(error) => return failed(client, record, request, &error).await,
        }
    }
    let refusal = Refusal { close: request.has_body, ..Refusal::new(404, Cause::NoFile, cause) };
    refuse(client, record, &refusal, request.json).await
}

async fn list(client: &mut Client, record: &mut Record, request: &FileRequest, entries: &[Entry]) -> Next {
    let path = if let Name::Path(path) = &request.name { path } else { "" };
    let (kind, body) = listing::render(path, entries, request.json);
    let lines = format!("Content-Type: {kind}\r\nCache-Control: no-cache\r\nVary: Accept\r\n");
    let (lines, body, close) = (lines.as_bytes(), body.as_bytes(), request.has_body);
    answer(client, record, Answer { status: 200, lines, body, close, fixed: b"" }).await
}

async fn failed(client: &mut Client, record: &mut Record, request: &FileRequest, error: &io::Error) -> Next {
    record.cause = Some(format!("file: {error}").into());
    let refusal = Refusal { close: request.has_body, ..Refusal::new(500, Cause::FileFailed, "") };
    refuse(client, record, &refusal, request.json).await
}

/// Whether the connection goes on behind this answer.
fn keeps(client: &Client, record: &Record, request: &FileRequest) -> bool {
    record.facts.keep_alive && !request.has_body && !client.worker.is_leaving()
}

fn finish(out: &mut Vec<u8>, client: &Client, record: &Record, request: &FileRequest) {
    head::finish(out, record, client.worker.log.wall(record.started), keeps(client, record, request));
}

/// What becomes of the connection after the answer.
fn end(client: &Client, record: &mut Record, request: &FileRequest, sent: Result<(), SendError>) -> Next {
    match sent {
        Ok(()) if keeps(client, record, request) => Next::Again,
        Ok(()) => Next::Linger,
        Err(error) => {
            // Only the connection's end can tell that the rest is missing.
            record.cut(if matches!(error, SendError::Client) {
                Cause::ClientGone
            } else {
                Cause::FileFailed
            });
            record.cause = Some(error.to_string().into());
            Next::Close
        }
    }
}
