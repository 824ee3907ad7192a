//! Step 12: every route that takes something judges it, and answers in JSON with 4xx.

use crate::database::growth;
use crate::person::{Person, form, form_type};
use crate::pictures;
use crate::stage::Stage;
use serde_json::{Value, json};
use testkit::http::Response;

const INJECTION: &str = "' OR 1=1 --";

#[track_caller]
fn is_refused(answer: &Response, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    let body = answer.json();
    assert!(body["error"].is_string() && body["message"].is_string(), "{what}: {body}");
}

/// Malformed, of wrong types, incomplete, too large: on every route that takes a body or an id.
pub fn all_are_judged(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let palette = person.chooses(&pictures::read(stage, "bands.png"), 1);
    let ids: Vec<Value> = person.recommendations(palette)[..3].iter().map(|one| one["id"].clone()).collect();
    let rows = stage.database().counts();
    let mut asked = bodies(&person, palette, &ids);
    asked += forms(stage, &person);
    asked += paths(&person);
    assert_eq!(growth(&rows, &stage.database().counts()), [], "something refused was stored");
    format!("{asked} requests: 4xx in JSON, no row")
}

/// JSON: texts that are none, and then each field of a good body with each wrong value.
fn bodies(person: &Person<'_>, palette: u64, ids: &[Value]) -> usize {
    let recommendations = format!("/api/palettes/{palette}/recommendations");
    let good = [
        ("/api/selections", json!({ "palette_id": palette, "painting_ids": ids, "emotion": 1 })),
        ("/api/stories", json!({ "palette_id": palette })),
        ("/api/analytics", json!({ "event": "ui.x", "props": {} })),
    ];
    let large = format!("{{\"event\":\"ui.x\",\"props\":{{\"text\":\"{}\"}}}}", "x".repeat(20 << 10));
    let deep = "[".repeat(5000);
    let texts = [
        "{",
        "",
        "nonsense",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{\"a\":1}",
        "{\"a\":NaN}",
        "{\"event\":\"ui.a\",\"props\":{\"a\":1e999}}",
        "\u{0}",
        &deep,
        &large,
    ];
    let mut asked = 0;
    for path in good.iter().map(|(path, _)| *path).chain([recommendations.as_str()]) {
        for text in texts {
            if text.is_empty() && path == recommendations {
                continue; // it needs no body
            }
            is_refused(&person.post_text(path, text), &format!("{path} {text:.20}"));
            asked += 1;
        }
    }
    let wrong = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!("1"),
        json!(INJECTION),
        json!([]),
        json!([1]),
        json!({ "a": 1 }),
        json!(9_223_372_036_854_775_808_u64),
        json!("x".repeat(5000)),
    ];
    for (path, body) in &good {
        for field in body.as_object().unwrap().keys() {
            for value in &wrong {
                if field == "props" && (value.is_object() || value.is_null())
                    || field == "palette_id" && *value == json!(palette)
                {
                    continue; // that is right
                }
                let mut other = body.clone();
                other[field] = value.clone();
                is_refused(&person.post(path, &other), &format!("{path} {field}={value:.40}"));
                asked += 1;
            }
            if field != "props" {
                let mut other = body.clone();
                other.as_object_mut().unwrap().remove(field);
                is_refused(&person.post(path, &other), &format!("{path} without {field}"));
                asked += 1;
            }
        }
        let mut more = body.clone();
        more["admin"] = json!(true);
        is_refused(&person.post(path, &more), &format!("{path} with a field too many"));
        asked += 1;
    }
    let choose = |paintings: Value, emotion: Value| json!({ "palette_id": palette, "painting_ids": paintings, "emotion": emotion });
    for body in [
        choose(json!([ids[0], ids[1]]), json!(1)),
        choose(json!([ids[0], ids[1], ids[1]]), json!(1)),
        choose(json!([ids[0], ids[1], 10_000]), json!(1)),
        choose(json!([ids[0], ids[1], ids[2], ids[0]]), json!(1)),
        choose(json!([ids[0], ids[1], "3"]), json!(1)),
        choose(json!(ids), json!(16)),
    ] {
        is_refused(&person.post("/api/selections", &body), &body.to_string());
        asked += 1;
    }
    asked
}

/// Forms that are none, or hold no picture; other types of bodies.
fn forms(stage: &Stage, person: &Person<'_>) -> usize {
    let picture = pictures::read(stage, "bands.png");
    let (kind, whole) = (form_type(), form("image", "a.png", &picture));
    let field = b"------a-picture-ends-here\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\ntext\r\n------a-picture-ends-here--\r\n";
    let requests: Vec<(&str, &str, Vec<u8>)> = vec![
        ("/api/palettes", "application/json", b"{}".to_vec()),
        ("/api/palettes", "multipart/form-data", whole.clone()),
        ("/api/palettes", "text/plain", whole.clone()),
        ("/api/palettes", "image/png", picture.clone()),
        ("/api/palettes", &kind, form("picture", "a.png", &picture)),
        ("/api/palettes", &kind, form("image", "", &picture)),
        ("/api/palettes", &kind, field.to_vec()),
        ("/api/palettes", &kind, whole[..whole.len() - 40].to_vec()),
        ("/api/palettes", &kind, b"no form".to_vec()),
        ("/api/palettes", &kind, Vec::new()),
        ("/api/selections", "text/plain", b"{}".to_vec()),
        ("/api/stories", &kind, whole.clone()),
        ("/api/analytics", "application/x-www-form-urlencoded", b"event=ui.x".to_vec()),
    ];
    for (path, kind, body) in &requests {
        let fields = format!("{}Content-Type: {kind}\r\n", person.fields());
        is_refused(&stage.ask("POST", path, &fields, body), &format!("{path} as {kind}"));
    }
    requests.len()
}

/// Ids in paths, and methods that a route does not have.
fn paths(person: &Person<'_>) -> usize {
    let ids = [
        "0",
        "-1",
        "1.5",
        "x",
        "999999999",
        "99999999999999999999",
        "1%20OR%201=1",
        "%27%20OR%201=1%20--",
        "1/2",
    ];
    for id in ids {
        is_refused(&person.get(&format!("/api/palettes/{id}")), id);
        is_refused(&person.get(&format!("/api/stories/{id}")), id);
        is_refused(&person.post(&format!("/api/palettes/{id}/recommendations"), &json!({})), id);
    }
    for path in ["/api/health", "/api/session", "/api/emotions", "/api/stories/1"] {
        is_refused(&person.post(path, &json!({})), path);
    }
    ids.len() * 3 + 4
}

/// SQL in every text that is stored or looked for is text: it changes no count, reaches nothing, and is read back as it was.
pub fn sql_is_text(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let picture = pictures::read(stage, "bands.png");
    let palette = person.chooses(&picture, 1);
    let database = stage.database();
    let rows = database.counts();
    for text in
        [INJECTION, "'; DROP TABLE users; --", "\" OR \"\"=\"", "1; DELETE FROM palettes", "\\' OR 1=1 #"]
    {
        is_refused(&person.post("/api/analytics", &json!({ "event": text })), text);
        is_refused(&person.post("/api/stories", &json!({ "palette_id": text })), text);
        for (field, value) in [
            ("palette_id", json!(text)),
            ("emotion", json!(text)),
            ("painting_ids", json!([text, text, text])),
        ] {
            let mut choice = json!({ "palette_id": palette, "painting_ids": [1, 2, 3], "emotion": 1 });
            choice[field] = value;
            is_refused(&person.post("/api/selections", &choice), text);
        }
        is_refused(&person.with_cookie(text).get(&format!("/api/palettes/{palette}")), text);
    }
    assert_eq!(growth(&rows, &database.counts()), [], "what was refused changed the tables");

    // what may be any text is kept as it is
    let name = format!("{INJECTION}.png");
    let mine = person.palette(&name, &picture);
    assert_eq!(mine["original_name"], name);
    let props = json!({ "text": INJECTION, "'; DROP TABLE users; --": 1 });
    let counted = person.post("/api/analytics", &json!({ "event": "ui.text", "props": props }));
    assert_eq!(counted.status, 201, "{}", counted.text());
    assert_eq!(growth(&rows, &database.counts()), [("palettes", 1), ("analytics", 2)]);
    let kept = database.value(&format!("SELECT original_name FROM palettes WHERE id = {}", mine["id"]));
    assert_eq!(kept, name);
    let kept = database.value(&format!("SELECT props FROM analytics WHERE id = {}", counted.json()["id"]));
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), props);
    "refused or kept as text; no other row".to_owned()
}
