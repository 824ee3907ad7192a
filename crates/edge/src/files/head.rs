//! Heads of answers with files: what is constant of them is written once, when the file is loaded.

use super::asset::{Asset, Body, Stamp, Variant};
use super::send::Segment;
use crate::coding::token;
use crate::date;
use crate::policy::Policy;
use crate::policy::response::{Answering, change_head};
use crate::record::Record;
use model::policy::Coding;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

/// What a file's heads are made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `Content-Type`.
    pub kind: &'a str,
    /// `Cache-Control`.
    pub cache: &'a str,
    /// Another client could get another coding.
    pub varies: bool,
    /// Of an inert folder.
    pub inert: bool,
    /// There: a picture, to be shown.
    pub shown: bool,
}

/// A head that its policy has changed already, without what each request has for itself.
#[derive(Debug)]
pub struct Finished {
    policy: Option<Arc<Policy>>,
    /// Status line and header lines.
    pub bytes: Box<[u8]>,
}

impl Finished {
    /// Whether it was made with this policy.
    pub fn is_of(&self, policy: Option<&Arc<Policy>>) -> bool {
        match (&self.policy, policy) {
            (Some(own), Some(policy)) => Arc::ptr_eq(own, policy),
            (own, policy) => own.is_none() && policy.is_none(),
        }
    }
}

/// A representation with its lines. `modified` is the file's own time, also for what lies beside it.
pub fn variant(
    coding: Option<Coding>,
    body: Body,
    stamp: Stamp,
    modified: SystemTime,
    facts: &Facts<'_>,
) -> Variant {
    let length = stamp.size;
    let suffix = coding.map_or("", |coding| token(coding));
    let dash = if suffix.is_empty() { "" } else { "-" };
    let version = match &body {
        // Of what is here the content itself: true whatever the file's time is.
        Body::Memory(bytes) => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            digest.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
        }
        Body::Disk(_) => format!("{:x}-{length:x}", stamp.version()),
    };
    let tag = format!("\"{version}{dash}{suffix}\"");
    let mut lines = format!(
        "ETag: {tag}\r\nLast-Modified: {}\r\nCache-Control: {}\r\n",
        httpdate::fmt_http_date(modified),
        facts.cache
    );
    if facts.varies {
        lines.push_str("Vary: Accept-Encoding\r\n");
    }
    let mut about = String::from("Accept-Ranges: bytes\r\n");
    if let Some(coding) = coding {
        about.push_str(&format!("Content-Encoding: {}\r\n", token(coding)));
    }
    if facts.inert {
        about.push_str(
            "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; sandbox\r\n",
        );
        if !facts.shown {
            about.push_str("Content-Disposition: attachment\r\n");
        }
    }
    Variant {
        coding,
        tag: tag.into(),
        length,
        body,
        stamp,
        lines: lines.into(),
        about: about.into(),
        finished: Default::default(),
    }
}

/// What an answer says beside the file's own lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// 200.
    Whole,
    /// 404, with the site's page for it.
    NotFound,
    /// 206 of one range.
    Part(Range<u64>),
    /// 206 of several, of so many bytes in all.
    Parts(Box<str>, u64),
    /// 304.
    Unchanged,
    /// 412.
    Failed,
    /// 416.
    NoSuchRange,
}

impl Form {
    /// Its status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Whole => 200,
            Self::NotFound => 404,
            Self::Part(_) | Self::Parts(..) => 206,
            Self::Unchanged => 304,
            Self::Failed => 412,
            Self::NoSuchRange => 416,
        }
    }
}

/// Several ranges as parts of one body (RFC 9110 section 14.6).
pub fn multipart(asset: &Asset, variant: &Variant, parts: &[Range<u64>]) -> (Form, Vec<Segment>) {
    let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let (kind, length) = (&asset.kind, variant.length);
    let mut segments = Vec::with_capacity(2 * parts.len() + 1);
    for (place, part) in parts.iter().enumerate() {
        let line_end = if place == 0 { "" } else { "\r\n" };
        let last = part.end.saturating_sub(1);
        let head = format!(
            "{line_end}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{last}/{length}\r\n\r\n",
            part.start
        );
        segments.push(Segment::Bytes(head.into_bytes()));
        segments.push(Segment::Slice(part.clone()));
    }
    segments.push(Segment::Bytes(format!("\r\n--{boundary}--\r\n").into_bytes()));
    let total = segments.iter().map(Segment::length).sum();
    (Form::Parts(boundary.into(), total), segments)
}

/// Status line and header lines, without the empty line.
pub fn write(out: &mut Vec<u8>, asset: &Asset, variant: &Variant, form: &Form) {
    let (kind, lines, about, length) = (&asset.kind, &variant.lines, &variant.about, variant.length);
    let text = match form {
        Form::Whole => {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{lines}{about}")
        }
        Form::NotFound => {
            let coded = variant.coding.map_or(String::new(), |coding| {
                format!("Content-Encoding: {}\r\nVary: Accept-Encoding\r\n", token(coding))
            });
            format!(
                "HTTP/1.1 404 Not Found\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{coded}"
            )
        }
        Form::Part(part) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{}/{length}\r\n\
Content-Length: {}\r\n{lines}{about}",
            part.start,
            part.end.saturating_sub(1),
            part.end - part.start
        ),
        Form::Parts(boundary, total) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary={boundary}\r\n\
Content-Length: {total}\r\n{lines}{about}"
        ),
        Form::Unchanged => format!("HTTP/1.1 304 Not Modified\r\n{lines}"),
        Form::Failed => "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n".to_owned(),
        Form::NoSuchRange => format!(
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{length}\r\nContent-Length: 0\r\n"
        ),
    };
    out.extend_from_slice(text.as_bytes());
}

/// The head of a whole file, as its policy has it, from where it is kept if nothing in it depends on the request but its
/// path; it is kept only for the path that is the file's own (not for a fallback, nor where a policy has rewritten the path).
pub fn whole(out: &mut Vec<u8>, asset: &Asset, variant: &Variant, record: &Record) {
    let asked = Answering::of(record);
    let own = asked.path.strip_prefix(b"/").is_some_and(|path| path == asset.path.as_bytes());
    let keep = own && asked.origin.is_none();
    if keep && variant.finished(record.policy(), asked.https, out) {
        return;
    }
    let start = out.len();
    write(out, asset, variant, &Form::Whole);
    change_head(record, out, start);
    if let Some(slot) = variant.finished.get(usize::from(asked.https)).filter(|_| keep) {
        let bytes = out.get(start..).unwrap_or_default().into();
        slot.store(Some(Arc::new(Finished { policy: record.policy().cloned(), bytes })));
    }
}

/// What each answer says for itself, and the empty line.
pub fn finish(out: &mut Vec<u8>, record: &Record, now: SystemTime, keep: bool) {
    date::add(out, now);
    out.extend_from_slice(b"X-Request-Id: ");
    out.extend_from_slice(record.get(record.id));
    out.extend_from_slice(match (keep, record.facts.http10) {
        (false, _) => b"\r\nConnection: close\r\n\r\n",
        (true, true) => b"\r\nConnection: keep-alive\r\n\r\n",
        (true, false) => b"\r\n\r\n",
    });
}
