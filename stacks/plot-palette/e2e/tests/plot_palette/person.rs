//! Somebody who visits: a session's cookie and token, and what they send.

use crate::stage::Stage;
use serde_json::{Value, json};
use testkit::http::Response;

/// Name of the session's cookie.
pub const COOKIE: &str = "plot_palette_session";
const BOUNDARY: &str = "----a-picture-ends-here";

/// A session.
pub struct Person<'a> {
    stage: &'a Stage,
    /// Value of the cookie.
    pub cookie: String,
    /// The token against forged requests.
    pub token: String,
    /// `Set-Cookie` of the first answer.
    pub given: String,
}

impl<'a> Person<'a> {
    /// A first visit.
    #[track_caller]
    pub fn arrive(stage: &'a Stage) -> Self {
        let answer = stage.get("/api/session");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["new"], true);
        let given = answer.header("set-cookie").expect("a cookie").to_owned();
        let pair = given.split(';').next().unwrap();
        let cookie = pair.strip_prefix(&format!("{COOKIE}=")).expect("the session's cookie").to_owned();
        let token = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
        Self { stage, cookie, token, given }
    }

    /// The same person with another cookie.
    pub fn with_cookie(&self, cookie: &str) -> Self {
        let (token, given) = (self.token.clone(), self.given.clone());
        Self { stage: self.stage, cookie: cookie.to_owned(), token, given }
    }

    /// Fields of every request that changes something.
    pub fn fields(&self) -> String {
        format!("Cookie: {COOKIE}={}\r\nX-CSRF-Token: {}\r\n", self.cookie, self.token)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.stage.ask("GET", path, &format!("Cookie: {COOKIE}={}\r\n", self.cookie), b"")
    }

    /// `POST` of a text that is said to be JSON.
    #[track_caller]
    pub fn post_text(&self, path: &str, text: &str) -> Response {
        let fields = format!("{}Content-Type: application/json\r\n", self.fields());
        self.stage.ask("POST", path, &fields, text.as_bytes())
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.post_text(path, &body.to_string())
    }

    /// Uploads a file under this name.
    #[track_caller]
    pub fn upload(&self, name: &str, bytes: &[u8]) -> Response {
        let fields = format!("{}Content-Type: {}\r\n", self.fields(), form_type());
        self.stage.ask("POST", "/api/palettes", &fields, &form("image", name, bytes))
    }

    /// Uploads a picture; the palette.
    #[track_caller]
    pub fn palette(&self, name: &str, bytes: &[u8]) -> Value {
        let answer = self.upload(name, bytes);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Its recommendations.
    #[track_caller]
    pub fn recommendations(&self, palette: u64) -> Vec<Value> {
        let answer = self.post(&format!("/api/palettes/{palette}/recommendations"), &json!({}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["recommendations"].as_array().expect("recommendations").clone()
    }

    /// A palette with a selection, ready for its story.
    #[track_caller]
    pub fn chooses(&self, picture: &[u8], emotion: u64) -> u64 {
        let palette = self.palette("chosen.png", picture)["id"].as_u64().unwrap();
        let paintings: Vec<Value> =
            self.recommendations(palette)[..3].iter().map(|painting| painting["id"].clone()).collect();
        let choice = json!({ "palette_id": palette, "painting_ids": paintings, "emotion": emotion });
        let answer = self.post("/api/selections", &choice);
        assert_eq!(answer.status, 201, "{}", answer.text());
        palette
    }

    /// Asks for the story of a palette's selection.
    #[track_caller]
    pub fn story(&self, palette: u64) -> Response {
        self.post("/api/stories", &json!({ "palette_id": palette }))
    }
}

/// Media type of [`form`].
pub fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// A form of one file (RFC 7578).
pub fn form(field: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    let name = name.replace('"', "%22");
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    [head.as_bytes(), bytes, end.as_bytes()].concat()
}

/// Panics unless it is a refusal with this status, in the application's words: JSON with a code and a sentence.
#[track_caller]
pub fn refused(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{code}: {}", answer.text());
    assert_eq!(answer.json()["error"], code, "{}", answer.text());
    assert!(answer.json()["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text());
}
