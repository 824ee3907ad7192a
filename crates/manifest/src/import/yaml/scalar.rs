//! What a plain scalar is: the core schema of YAML 1.2 (section 10.3.2), and the octal and binary numbers of Go's parser, which Compose uses.

use crate::tree::Kind;

/// The value of a plain scalar, and how it was written where the value does not show it.
pub fn plain(text: &str) -> (Kind, Option<String>) {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return (Kind::Null, None),
        "true" | "True" | "TRUE" => return (Kind::Bool(true), None),
        "false" | "False" | "FALSE" => return (Kind::Bool(false), None),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return (Kind::Integer(number), Some(text.to_owned()));
    }
    match float(text) {
        Some(number) => (Kind::Float(number, text.to_owned()), None),
        None => (Kind::Text(text.to_owned()), None),
    }
}

/// `12`, `-1`, `0x1f`, `0o17`, `017`, `0b11`, with `_` between digits.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let radix = |prefix: &str, radix| digits.strip_prefix(prefix).map(|rest| (rest, radix));
    let (rest, base) = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0", 8).filter(|(rest, _)| !rest.is_empty()))
        .unwrap_or((&digits, 10));
    if !rest.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = i64::from_str_radix(rest, base).ok()?;
    Some(if negative { -number } else { number })
}

/// `1.0`, `.5`, `1e3`, and the words for what is no number.
fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    let like = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && bare.contains(|c: char| c.is_ascii_digit())
        && bare.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    text.parse().ok().filter(|_| like)
}
