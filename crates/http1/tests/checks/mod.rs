//! What must hold for any bytes; shared by the property tests, the replay of the corpora and the fuzz targets.

#![allow(dead_code)] // each user takes what it needs
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // that is how a check fails

use http1::{
    BodyDecoder, BodyFraming, FieldId, FieldSet, HeadWriter, Limits, Method, Reject, RequestHead, Version,
    parse_request, parse_response,
};

/// Limits low enough for short inputs to meet every one of them.
pub const TIGHT: Limits = Limits { line: 48, fields: 3, head: 128, chunk_line: 12, trailers: 32 };

/// Longer inputs are split at this many of their first bytes only, so that a check stays quadratic in little.
const SPLITS: usize = 700;

/// Everything that must hold for `data` as a request head.
pub fn request(data: &[u8]) {
    for limits in [Limits::DEFAULT, TIGHT] {
        let whole = parse_request(data, &limits);
        same_in_pieces(data, &whole, |part| parse_request(part, &limits));
        if let Ok(Some(head)) = &whole {
            request_head(data, head, &limits);
        }
    }
}

/// Everything that must hold for `data` as a response head.
pub fn response(data: &[u8]) {
    for limits in [Limits::DEFAULT, TIGHT] {
        for to in [Method::Get, Method::Head, Method::Connect] {
            let whole = parse_response(data, &limits, to);
            same_in_pieces(data, &whole, |part| parse_response(part, &limits, to));
            let Ok(Some(head)) = &whole else { continue };
            assert!(head.len <= data.len());
            let mut out = Vec::new();
            HeadWriter::response(&mut out, data, head).keep(&head.fields, FieldSet::HOP_BY_HOP).finish();
            let again = parse_response(&out, &Limits::DEFAULT, to).expect("a spliced head is valid").unwrap();
            assert_eq!((again.status, again.body, again.len), (head.status, head.body, out.len()));
            assert_eq!(again.reason.of(&out), head.reason.of(data));
        }
    }
}

/// Everything that must hold for `data` as a chunked body with what follows it.
pub fn chunked(data: &[u8]) {
    for limits in [Limits::DEFAULT, TIGHT] {
        for framing in [BodyFraming::Chunked, BodyFraming::Length(7), BodyFraming::UntilClose] {
            body(data, framing, &limits);
        }
    }
}

fn body(data: &[u8], framing: BodyFraming, limits: &Limits) {
    let whole = decode(framing, limits, [data]);
    assert_eq!(whole, decode(framing, limits, data.chunks(1)), "byte by byte: {}", data.escape_ascii());
    for at in 0..data.len().min(SPLITS) {
        let (a, b) = data.split_at(at);
        assert_eq!(whole, decode(framing, limits, [a, b]), "split at {at}: {}", data.escape_ascii());
    }
    let mut raw = BodyDecoder::new(framing, limits);
    match (raw.advance(data), &whole) {
        (Ok(progress), Ok(outcome)) => {
            assert_eq!((progress.consumed, progress.done), (outcome.consumed, outcome.done));
            assert_eq!(raw.data_len(), outcome.data.len() as u64);
            assert!(progress.done || progress.consumed == data.len());
        }
        (Err(raw), Err(decoded)) => assert_eq!(raw, *decoded),
        (raw, decoded) => panic!("relayed {raw:?}, decoded {decoded:?}: {}", data.escape_ascii()),
    }
}

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub data: Vec<u8>,
    pub trailers: Vec<u8>,
    pub consumed: usize,
    pub done: bool,
}

/// Decodes a body fed in `pieces`.
pub fn decode<'d>(
    framing: BodyFraming,
    limits: &Limits,
    pieces: impl IntoIterator<Item = &'d [u8]>,
) -> Result<Outcome, Reject> {
    let mut decoder = BodyDecoder::new(framing, limits);
    let mut outcome =
        Outcome { data: Vec::new(), trailers: Vec::new(), consumed: 0, done: decoder.is_done() };
    for mut piece in pieces {
        while !outcome.done && !piece.is_empty() {
            let step = decoder.decode(piece)?;
            assert!(step.consumed > 0 || step.done, "no progress");
            outcome.data.extend_from_slice(&piece[step.data.clone()]);
            outcome.consumed += step.consumed;
            outcome.done = step.done;
            piece = &piece[step.consumed..];
        }
    }
    assert_eq!(outcome.done, decoder.is_done());
    if outcome.done {
        outcome.trailers = decoder.trailers().to_vec();
    }
    Ok(outcome)
}

/// The first answer given to a growing prefix is the answer to the whole.
fn same_in_pieces<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    whole: &Result<Option<T>, Reject>,
    parse: impl Fn(&[u8]) -> Result<Option<T>, Reject>,
) {
    let first = (0..data.len().min(SPLITS)).map(|end| parse(&data[..end])).find(|r| !matches!(r, Ok(None)));
    if let Some(first) = first {
        assert_eq!(&first, whole, "{}", data.escape_ascii());
    }
}

/// An accepted head lies inside its buffer, and spliced it is again an accepted head that means the same.
fn request_head(data: &[u8], head: &RequestHead, limits: &Limits) {
    assert!(head.len <= data.len() && head.len <= limits.head && head.fields.len() <= limits.fields);
    let mut at = head.target.end() + " HTTP/1.x\r\n".len();
    for field in &head.fields {
        assert_eq!(field.line.start(), at, "lines touch");
        assert!(field.name.end() < field.value.start() || field.value.is_empty());
        assert!(field.value.end() + 2 <= field.line.end());
        assert_eq!(FieldId::of(field.name.of(data)), field.id);
        at = field.line.end();
    }
    assert_eq!(at + 2, head.len);

    let mut out = Vec::new();
    let mut writer = HeadWriter::request(&mut out, data, head)
        .keep(&head.fields, FieldSet::HOP_BY_HOP.with(FieldId::Upgrade));
    if head.host.is_none() {
        writer = writer.field("Host", b"h");
    } else if head.field(FieldId::Host).is_none() {
        writer = writer.field("Host", host_port(data, head));
    }
    writer.finish();
    let again = parse_request(&out, &Limits::DEFAULT)
        .unwrap_or_else(|why| panic!("{why}: {} from {}", out.escape_ascii(), data.escape_ascii()))
        .unwrap();
    assert_eq!((again.method, again.body, again.len), (head.method, head.body, out.len()));
    assert_eq!(again.version, Version::Http11);
    assert_eq!(again.query.map(|q| q.of(&out)), head.query.map(|q| q.of(data)));
    if let Some(host) = head.host {
        assert!(again.host.unwrap().of(&out).eq_ignore_ascii_case(host.of(data)));
    }
}

/// Host and port as they stand in the target.
fn host_port<'d>(data: &'d [u8], head: &RequestHead) -> &'d [u8] {
    let host = head.host.unwrap();
    let end = head.path.start().min(head.query.map_or(usize::MAX, |q| q.start() - 1));
    let end = if end < host.end() { host.end() } else { end };
    &data[host.start()..end.min(head.target.end())]
}
