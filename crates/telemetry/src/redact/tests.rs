//! What is masked, what is not, and that no input breaks it.

use super::*;
use proptest::prelude::*;

const ALL: [RedactKind; 6] = [
    RedactKind::Secrets,
    RedactKind::Email,
    RedactKind::Card,
    RedactKind::Phone,
    RedactKind::Ip,
    RedactKind::Token,
];

fn redactor(kinds: &[RedactKind], secrets: &[&str]) -> Redactor {
    Redactor::new(kinds, secrets.iter().copied()).unwrap().unwrap()
}

/// With only this kind.
fn masked(kind: RedactKind, text: &str) -> String {
    String::from_utf8(redactor(&[kind], &[]).mask(text.as_bytes()).into_owned()).unwrap()
}

fn all(cases: &[(&str, &str)], kind: RedactKind) {
    for (text, expected) in cases {
        assert_eq!(masked(kind, text), *expected, "{text}");
    }
}

#[test]
fn email_addresses() {
    let cases = [
        ("mail to ada@example.com.", "mail to [email]."),
        ("<ada.l+x@mail.example.co.uk>", "<[email]>"),
        ("/u?mail=ada%40example.com&x=1", "/u?mail=[email]&x=1"),
        (r#"{"msg":"hi\nada@example.com\n"}"#, r#"{"msg":"hi\n[email]\n"}"#),
        (r#"{"mail":"m\u00fcller@b\u00fccher.example"}"#, r#"{"mail":"[email]"}"#),
        ("müller@bücher.example!", "[email]!"),
        ("a@b.xn--p1ai", "[email]"),
        (
            "lodash@4.17.21, /img/logo@2x.png, a@b, @x.com, a@.com",
            "lodash@4.17.21, /img/logo@2x.png, a@b, @x.com, a@.com",
        ),
    ];
    all(&cases, RedactKind::Email);
}

#[test]
fn cards() {
    let cases = [
        ("card 4111111111111111 ok", "card [card] ok"),
        ("4111 1111 1111 1111 12/27", "[card] 12/27"),
        ("12 4111-1111-1111-1111", "12 [card]"),
        ("amex 3782 822463 10005", "amex [card]"),
        ("?n=4111+1111+1111+1111&n=5555%205555%205555%204444", "?n=[card]&n=[card]"),
        ("n%3D4111111111111111", "n%3D[card]"),
        (r#""x\n4111111111111111""#, r#""x\n[card]""#),
        ("4111111111111112", "4111111111111112"),
        (
            "0.4111111111111111 1763712000007 41111111111111111111111",
            "0.4111111111111111 1763712000007 41111111111111111111111",
        ),
        ("12345678-1234-7123-8123-123456789012", "12345678-1234-7123-8123-123456789012"),
        ("2026-11-21 08:22:47", "2026-11-21 08:22:47"),
    ];
    all(&cases, RedactKind::Card);
}

#[test]
fn phone_numbers() {
    let cases = [
        ("call +49 (0)30 / 123456-78 now", "call [phone] now"),
        ("+14155552671", "[phone]"),
        ("tel=%2B1-415-555-2671&x", "tel=[phone]&x"),
        (
            "+1 day, 1+1, 10:00:00+0100, [21/Nov/2026:10:00:00 +0000] 12345678",
            "+1 day, 1+1, 10:00:00+0100, [21/Nov/2026:10:00:00 +0000] 12345678",
        ),
    ];
    all(&cases, RedactKind::Phone);
}

#[test]
fn network_addresses() {
    let cases = [
        ("from 203.0.113.7.", "from 203.0.113.0."),
        ("203.0.113.7:4711 -> face:198.51.100.200", "203.0.113.0:4711 -> face:198.51.100.0"),
        (
            "x=%3D203.0.113.7 /ip/203.0.113.7 http://203.0.113.7/",
            "x=%3D203.0.113.0 /ip/203.0.113.0 http://203.0.113.0/",
        ),
        ("[2001:db8:1:2::7]:443 2001:DB8:1:2:3:4:5:6", "[2001:db8:1::]:443 2001:db8:1::"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.0"),
        ("q=2001%3Adb8%3A1%3A2%3A%3A7", "q=2001:db8:1::"),
        (
            "Chrome/99.0.48.51 v1.2.3.4 version 1.2.3.4 1.2.3 1.2.3.4.5 999.1.1.1 1.2.3.4x",
            "Chrome/99.0.48.51 v1.2.3.4 version 1.2.3.4 1.2.3 1.2.3.4.5 999.1.1.1 1.2.3.4x",
        ),
        (
            "127.0.0.1 ::1 0.0.0.0 :: 08:22:47 aa:bb:cc:dd:ee:ff std::fed",
            "127.0.0.1 ::1 0.0.0.0 :: 08:22:47 aa:bb:cc:dd:ee:ff std::fed",
        ),
    ];
    all(&cases, RedactKind::Ip);
}

#[test]
fn tokens() {
    let cases = [
        ("/a?token=abc,d;e&x=1", "/a?token=[token]&x=1"),
        ("/a?token=abc%26def&x=1", "/a?token=[token]&x=1"),
        ("token%3Dabc next", "token%3D[token] next"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [token]"),
        ("authorization: abcdef", "authorization: [token]"),
        ("got Bearer abcdefgh123, fine", "got Bearer [token], fine"),
        ("jwt eyJhbGciOi.eyJzdWIi.c2ln!", "jwt [token]!"),
        (r#"{"password": "a\"b", "n": 1}"#, r#"{"password": "[token]", "n": 1}"#),
        (r#"{"api_key":12345,"n":{"secret":null}}"#, r#"{"api_key":"[token]","n":{"secret":null}}"#),
        (
            r#"{"body":"{\"password\":\"hunter2\",\"n\":1}"}"#,
            r#"{"body":"{\"password\":\"[token]\",\"n\":1}"}"#,
        ),
        ("{'client_secret': 'x y', 'Api-Key': 'z'}", "{'client_secret': '[token]', 'Api-Key': '[token]'}"),
        (
            "user[password]=hunter2 user%5Bpassword%5D=hunter2",
            "user[password]=[token] user%5Bpassword%5D=[token]",
        ),
        ("mysql://shop:p%40ss@db:3306/x", "mysql://shop:[token]@db:3306/x"),
        ("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=[token]"),
        ("/f?q=%7B%22password%22%3A%22x%22%7D", "/f?q=%7B%22password%22%3A%22[token]%22%7D"),
        (
            "tokens: 12, max_tokens=5, a token was made; http://host:80/x@y",
            "tokens: 12, max_tokens=5, a token was made; http://host:80/x@y",
        ),
        (r#"{"tokens":12,"token":null,"secret":{"a":1}}"#, r#"{"tokens":12,"token":null,"secret":{"a":1}}"#),
    ];
    all(&cases, RedactKind::Token);
}

#[test]
fn secrets_as_they_are_and_as_they_are_written() {
    let secrets =
        ["s3cr3t\"p/ss w", "first line of it\nsecond line", "short", "production", "abcdefgh", "efghijkl"];
    let mut redactor = redactor(&[RedactKind::Secrets], &secrets);
    for (text, expected) in [
        ("x s3cr3t\"p/ss w y", "x [secret] y"),
        (r#"{"p":"s3cr3t\"p/ss w"}"#, r#"{"p":"[secret]"}"#),
        ("?p=s3cr3t%22p%2Fss%20w&q=s3cr3t%22p%2fss+w", "?p=[secret]&q=[secret]"),
        ("second line", "[secret]"),
        ("xabcdefghijkly", "x[secret]y"),
        ("short production ada@example.com", "short production ada@example.com"),
    ] {
        assert_eq!(String::from_utf8_lossy(&redactor.mask(text.as_bytes())), expected);
    }
    assert_eq!(format!("{redactor:?}"), "Redactor { .. }");
}

/// Each sign had the rest of the line looked through: a request's address of 64 KiB took seconds.
#[test]
fn a_line_of_signs_takes_no_longer_than_another() {
    let mut redactor = redactor(&[RedactKind::Token, RedactKind::Email], &[]);
    for sign in ["%3A%2F%2F", "%3A%2F%2Fa%3A", "a@"] {
        let text = sign.repeat((256 << 10) / sign.len());
        let begun = std::time::Instant::now();
        assert_eq!(redactor.mask(text.as_bytes()), text.as_bytes());
        let took = begun.elapsed();
        assert!(took < std::time::Duration::from_secs(10), "{sign}: {took:?}");
    }
    let last = "http%3A%2F%2Fa http://b%3A%2F%2Fname:hunter2@host";
    assert_eq!(masked(RedactKind::Token, last), "http%3A%2F%2Fa http://b%3A[token]@host");
}

#[test]
fn without_anything_to_look_for_there_is_no_redactor() {
    assert!(Redactor::new(&[RedactKind::Secrets], ["short"]).unwrap().is_none());
    assert!(Redactor::new(&[], ["long enough"]).unwrap().is_none());
    let mut redactor = redactor(&ALL, &["long enough"]);
    assert!(matches!(redactor.mask(b"nothing at all, 100% of it \\ ok"), Cow::Borrowed(_)));
}

/// Pieces that hits are made of.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "ada@example.com",
        "4111111111111111",
        "4111 1111 1111 1111",
        "+49 30 123456",
        "203.0.113.7",
        "2001:db8::7",
        "token",
        "password",
        "secret",
        "eyJ",
        "Bearer ",
        "://",
        "=",
        ":",
        "\"",
        "'",
        "\\",
        "%",
        "%40",
        "%3D",
        "\\n",
        "\\u00e4",
        "[",
        "]",
        ".",
        " ",
        "&",
        "a",
        "1",
        "@",
        "+",
        "-",
        "hunter2hunter2",
        "[token]",
        "[secret]",
        "é",
    ]);
    let piece = prop_oneof![4 => pieces.prop_map(|piece| piece.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_mask_that_a_bracket_ends_does_not_grow() {
    let mut redactor = redactor(&ALL, &[]);
    assert_eq!(redactor.mask(br#"token"=Bearer a"#).as_ref(), br#"token"=Bearer [token]"#);
}

#[test]
fn a_password_like_the_programs_own_name_was_masked_in_its_paths() {
    let mut redactor = redactor(&[RedactKind::Secrets], &["postgres", "password", "correct-horse"]);
    let text = b"/var/lib/postgresql/15: password authentication failed for correct-horse";
    let masked = String::from_utf8(redactor.mask(text).into_owned()).unwrap();
    assert_eq!(masked, "/var/lib/postgresql/15: password authentication failed for [secret]");
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in text()) {
        let mut redactor = redactor(&ALL, &["hunter2hunter2"]);
        let once = redactor.mask(&text).into_owned();
        prop_assert!(once.len() <= 3 * text.len() + 16);
        let has = |what: &[u8]| once.windows(what.len()).any(|window| window == what);
        prop_assert!(!has(b"hunter2hunter2"));
        let twice = redactor.mask(&once).into_owned();
        prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    }

    #[test]
    fn json_stays_json(text in "[ -~é\n]{0,40}", value in "[ -~é\n]{1,20}") {
        let mut redactor = redactor(&ALL, &["hunter2hunter2"]);
        let object = serde_json::json!({ "msg": text, "password": value, "n": 4111, "card": format!("{text} 4111111111111111") });
        let masked = redactor.mask(object.to_string().as_bytes()).into_owned();
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&masked);
        prop_assert!(read.is_ok(), "{}", String::from_utf8_lossy(&masked));
    }
}
