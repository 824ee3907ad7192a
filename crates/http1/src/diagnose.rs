//! Why the tokenizer refused: `httparse` says what kind of byte was wrong, the log should say what was wrong with the line. Runs only
//! for refused heads.

use httparse::Error;

use crate::scan::is_tchar;
use crate::{Limits, Reject};

/// The reason for `error`; `head` is complete and every line of it ends in CRLF.
pub(crate) fn diagnose(error: Error, head: &[u8], first: Reject) -> Reject {
    match error {
        Error::Token if first == Reject::RequestLine => target_or_line(head),
        Error::Version => version(head, first),
        Error::HeaderName | Error::HeaderValue => {
            field_lines(head).find_map(field_line).unwrap_or(Reject::FieldName)
        }
        Error::TooManyHeaders => Reject::TooManyFields,
        Error::NewLine | Error::Status | Error::Token => first,
    }
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end()
}

fn target_or_line(head: &[u8]) -> Reject {
    let words: Vec<&[u8]> = first_line(head).split(|&b| b == b' ').collect();
    match words.as_slice() {
        [_, target, _] if !target.is_empty() => Reject::TargetChar,
        _ => Reject::RequestLine,
    }
}

/// A well-formed version that is not ours, or no version at all (RFC 9112 §2.3).
fn version(head: &[u8], first: Reject) -> Reject {
    let line = first_line(head);
    let word = match first {
        Reject::StatusLine => line.split(|&b| b == b' ').next(),
        _ => line.rsplit(|&b| b == b' ').next(),
    };
    match word {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit()
                && minor.is_ascii_digit()
                && !matches!((major, minor), (b'1', b'0' | b'1')) =>
        {
            Reject::Version
        }
        _ => first,
    }
}

fn field_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|&b| b == b'\n').skip(1).map(|line| line.strip_suffix(b"\r\n").unwrap_or(line))
}

/// What is wrong with a field line, if anything is (RFC 9112 §5).
fn field_line(line: &[u8]) -> Option<Reject> {
    if line.is_empty() {
        return None;
    }
    let name_end = line.iter().position(|&b| !is_tchar(b)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(name_end)?;
    match rest {
        [b':', value @ ..] if !name.is_empty() => {
            let wrong = value.iter().find(|&&b| b < 0x20 && b != b'\t' || b == 0x7f)?;
            Some(if *wrong == b'\r' { Reject::BareCr } else { Reject::FieldValue })
        }
        [b' ' | b'\t', after @ ..] if !name.is_empty() && after.trim_ascii_start().starts_with(b":") => {
            Some(Reject::SpaceBeforeColon)
        }
        [b'\r', ..] => Some(Reject::BareCr),
        _ => Some(Reject::FieldName),
    }
}

/// Room for the tokenizer's fields.
pub(crate) type Tokens<'b> = [std::mem::MaybeUninit<httparse::Header<'b>>; Limits::MAX_FIELDS];
