//! Step 12: what must not be let in, and leaves nothing behind.

use crate::database::growth;
use crate::person::{COOKIE, Person, form, form_type, refused};
use crate::pictures;
use crate::stage::Stage;
use crate::visit::{lines_of, names};
use testkit::http::Response;

/// Files that are no pictures, in pictures' clothes; and too much of one.
pub fn no_pictures(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let folder = stage.sandbox.stack().join("uploads");
    let (rows, files) = (stage.database().counts(), names(&folder));
    let picture = pictures::read(stage, "bands.png");
    let php = b"<?php system($_GET['c']); ?>".as_slice();
    let html = b"<!doctype html><html><script>alert(1)</script></html>".as_slice();
    let half = &picture[..picture.len() / 2];
    let dressed = [b"\x89PNG\r\n\x1a\n".as_slice(), php].concat();
    for (name, bytes) in [
        ("shell.php.png", php),
        ("page.png", html),
        ("empty-of-sense.png", half),
        ("dressed.png", &dressed),
        ("picture.php", picture.as_slice()),
        ("picture.html", &picture),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("picture", &picture),
    ] {
        let answer = person.upload(name, bytes);
        assert_eq!(answer.status, 415, "{name}: {}", answer.text());
        refused(&answer, 415, "unsupported_image");
    }
    refused(&person.upload("empty.png", b""), 400, "empty_file");
    refused(&person.upload("many.png", &pictures::read(stage, "many-pixels.png")), 413, "too_many_pixels");
    let large = [picture.as_slice(), &vec![0; 10 << 20]].concat();
    refused(&person.upload("large.png", &large), 413, "too_large");

    // 30 MB end at the front door: the application never hears of it
    let answer = begin_of_upload(stage, &person, 30 << 20);
    assert_eq!(answer.status, 413);
    let id = answer.header("x-request-id").expect("a request id").to_owned();
    person.palette("small.png", &picture); // its line comes after those of everything before
    let heard = lines_of(stage, "web", &id);
    assert_eq!(heard, Vec::<String>::new(), "the application heard of it");

    let grown = growth(&rows, &stage.database().counts());
    assert_eq!(grown, [("palettes", 1), ("analytics", 1)], "something refused was stored");
    assert_eq!(names(&folder).len(), files.len() + 1, "a refused file stayed");
    "415, 413 and 400; no row, no file; 30 MB: 413 at the front door".to_owned()
}

/// Announces an upload of so many bytes, sends its beginning and reads the answer.
fn begin_of_upload(stage: &Stage, person: &Person<'_>, length: usize) -> Response {
    let mut connection = stage.connect();
    let host = stage.origin().replace("https://", "");
    connection.send(format!(
        "POST /api/palettes HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nContent-Type: {}\r\n{}\r\n",
        form_type(),
        person.fields()
    ));
    connection.response()
}

/// Every route that changes something, asked without the token, with another's, and from another site's page.
pub fn forged_requests(stage: &Stage) -> String {
    let (person, other) = (Person::arrive(stage), Person::arrive(stage));
    let picture = pictures::read(stage, "bands.png");
    let palette = person.chooses(&picture, 3);
    let rows = stage.database().counts();
    let cookie = format!("Cookie: {COOKIE}={}\r\n", person.cookie);
    let token = |value: &str| format!("X-CSRF-Token: {value}\r\n");
    let json = "Content-Type: application/json\r\n".to_owned();
    let choice = format!("{{\"palette_id\":{palette},\"painting_ids\":[1,2,3],\"emotion\":1}}");
    let routes = [
        (
            "/api/palettes".to_owned(),
            format!("Content-Type: {}\r\n", form_type()),
            form("image", "a.png", &picture),
        ),
        (format!("/api/palettes/{palette}/recommendations"), json.clone(), b"{}".to_vec()),
        ("/api/selections".to_owned(), json.clone(), choice.into_bytes()),
        ("/api/stories".to_owned(), json.clone(), format!("{{\"palette_id\":{palette}}}").into_bytes()),
        ("/api/analytics".to_owned(), json, b"{\"event\":\"ui.x\"}".to_vec()),
    ];
    for (path, kind, body) in &routes {
        let own = token(&person.token);
        let ask = |fields: String| stage.ask("POST", path, &format!("{kind}{fields}"), body);
        refused(&ask(cookie.clone()), 403, "csrf_failed");
        refused(&ask(format!("{cookie}{}", token("wrong"))), 403, "csrf_failed");
        refused(&ask(format!("{cookie}{}", token(&other.token))), 403, "csrf_failed");
        refused(&ask(own.clone()), 403, "csrf_failed"); // a token without its session
        for origin in ["https://evil.example", "null", &stage.origin().replace("https", "http")] {
            refused(&ask(format!("{cookie}{own}Origin: {origin}\r\n")), 403, "foreign_origin");
        }
    }
    assert_eq!(growth(&rows, &stage.database().counts()), [], "a forged request was carried out");
    // with the page's own origin all is well
    let fields =
        format!("{}Content-Type: application/json\r\nOrigin: {}\r\n", person.fields(), stage.origin());
    let answer = stage.ask("POST", "/api/analytics", &fields, b"{\"event\":\"ui.x\"}");
    assert_eq!(answer.status, 201, "{}", answer.text());
    format!("403 on {} routes, each in 7 ways", routes.len())
}

/// A cookie that was changed, cut, signed by nobody or made up.
pub fn tampered_cookies(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let palette = person.palette("mine.png", &pictures::read(stage, "bands.png"));
    let path = format!("/api/palettes/{}", palette["id"]);
    assert_eq!(person.get(&path).status, 200);
    refused(&Person::arrive(stage).get(&path), 404, "not_found"); // somebody else's
    let cookie = &person.cookie;
    let (payload, signature) = cookie.split_once('.').expect("payload and signature");
    let turned = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let tampered = [
        format!("{}.{signature}", turned(payload, payload.len() / 2)),
        turned(cookie, cookie.len() - 12),
        payload.to_owned(),
        format!("{payload}."),
        format!("{cookie}x"),
        "eyJpZCI6MX0.aaaa.bbbb".to_owned(),
        "' OR 1=1 --".to_owned(),
        String::new(),
    ];
    let users = stage.database().counts()["users"];
    for cookie in &tampered {
        let stranger = person.with_cookie(cookie);
        refused(&stranger.get(&path), 404, "not_found");
        refused(&stranger.post_text("/api/analytics", "{\"event\":\"ui.x\"}"), 403, "csrf_failed");
        let session = stranger.get("/api/session");
        assert_eq!((session.status, &session.json()["new"]), (200, &true.into()), "{cookie:?}");
        let given = session.header("set-cookie").expect("a new cookie");
        assert!(!given.contains(&person.cookie), "the old session again");
    }
    assert_eq!(stage.database().counts()["users"], users + tampered.len() as u64);
    format!("{} cookies: no session, a new one instead", tampered.len())
}
