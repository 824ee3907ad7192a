//! Masking of any text: no panic, no growth without bound, no secret left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::redact::RedactKind;
use telemetry::redact::Redactor;

const SECRET: &str = "hunter2hunter2";

fuzz_target!(|text: &[u8]| {
    let kinds = [
        RedactKind::Secrets,
        RedactKind::Email,
        RedactKind::Card,
        RedactKind::Phone,
        RedactKind::Ip,
        RedactKind::Token,
    ];
    let mut redactor = Redactor::new(&kinds, [SECRET]).unwrap().unwrap();
    let once = redactor.mask(text).into_owned();
    assert!(once.len() <= 3 * text.len() + 16);
    assert!(!once.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    if let Some(cut) = redactor.cut(text, text.len() / 2) {
        assert!(cut <= text.len());
    }
});
