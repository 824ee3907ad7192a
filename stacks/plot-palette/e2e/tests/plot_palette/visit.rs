//! Steps 6 to 11: one person's way, each step by what it leaves in the answer, in the tables and in the folder.

use crate::database::{Counts, growth};
use crate::person::Person;
use crate::pictures::{self, BANDS};
use crate::scenario::Observed;
use crate::stage::{Stage, WORKERS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use testkit::wait_until;

/// The emotion of step 9.
const EMOTION: u64 = 7;

/// Step 6.
pub fn health(stage: &Stage) -> String {
    let answer = stage.get("/api/health");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let state = answer.json();
    for (part, expected) in [("status", "ok"), ("database", "ok"), ("model", "ok")] {
        assert_eq!(state[part], expected, "{part}: {state}");
    }
    assert!(state["version"].as_str().is_some_and(|version| !version.is_empty()), "{state}");
    // everything below /api/ is the application's, everything else is not
    assert_eq!(stage.get("/api/nothing").json()["error"], "not_found");
    assert_eq!(stage.get("/health").status, 404);
    answer.text().trim().to_owned()
}

/// One visit.
pub struct Visit<'a> {
    stage: &'a Stage,
    person: Person<'a>,
    before: Counts,
    palette: Value,
    paintings: Vec<Value>,
    story: Value,
    calls: usize,
}

impl Observed for Visit<'_> {}

impl<'a> Visit<'a> {
    /// The counts before it, and the person.
    pub fn begin(stage: &'a Stage) -> Self {
        let before = stage.database().counts();
        let person = Person::arrive(stage);
        let calls = stories_told(stage).len();
        let (palette, story) = (Value::Null, Value::Null);
        Self { stage, person, before, palette, paintings: Vec::new(), story, calls }
    }

    /// Rows that are there since `before`, which becomes now.
    fn grown(&mut self) -> Vec<(&'static str, i64)> {
        let now = self.stage.database().counts();
        let grown = growth(&self.before, &now);
        self.before = now;
        grown
    }

    fn id(&self) -> u64 {
        self.palette["id"].as_u64().expect("a palette's id")
    }

    /// Step 7: one row, bound to a signed cookie, used again by later requests.
    pub fn is_one_user(&mut self) -> String {
        assert_eq!(self.grown(), [("users", 1), ("analytics", 1)]);
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            let has = self.person.given.split("; ").any(|part| part.eq_ignore_ascii_case(attribute));
            assert!(has, "{attribute}: {}", self.person.given);
        }
        let again = self.person.get("/api/session");
        assert_eq!(again.status, 200);
        assert_eq!(again.json()["new"], false, "{}", again.text());
        assert_eq!(again.json()["csrf_token"], self.person.token.as_str());
        assert_eq!(self.grown(), []);
        let others = Person::arrive(self.stage);
        assert!(others.cookie != self.person.cookie && others.token != self.person.token);
        assert_eq!(self.grown(), [("users", 1), ("analytics", 1)]);
        "users +1, again: +0".to_owned()
    }

    /// Step 7: colours, shares, rows and the file.
    pub fn uploads(&mut self) -> String {
        let folder = self.stage.sandbox.stack().join("uploads");
        let files = names(&folder);
        self.grown();
        let bytes = pictures::read(self.stage, "bands.png");
        let palette = self.person.palette("five bands.png", &bytes);
        assert_eq!(self.grown(), [("palettes", 1), ("analytics", 1)]);
        let expected: Vec<Value> = BANDS
            .iter()
            .map(|(hex, width)| json!({ "hex": hex, "share": f64::from(*width) / 100.0 }))
            .collect();
        assert_eq!(palette["colors"], Value::from(expected));
        assert_eq!((&palette["width"], &palette["height"]), (&json!(100), &json!(100)));
        assert_eq!(
            (&palette["mime"], &palette["original_name"]),
            (&json!("image/png"), &json!("five bands.png"))
        );
        // one new file, under a name of our own; the other name is in the row only
        let after = names(&folder);
        let new: Vec<&String> = after.difference(&files).collect();
        assert!(new.len() == 1 && !new[0].contains("five") && !new[0].contains("bands"), "{new:?}");
        assert_eq!(palette["image_url"], format!("/uploads/{}", new[0]));
        let row = self.stage.database().query(&format!(
            "SELECT file_name, original_name, mime FROM palettes WHERE id = {}",
            palette["id"]
        ));
        assert_eq!(row, [[new[0].as_str(), "five bands.png", "image/png"]]);
        assert_eq!(self.stage.get(palette["image_url"].as_str().unwrap()).body, bytes);
        assert_eq!(self.person.get(&format!("/api/palettes/{}", palette["id"])).json(), palette);

        let same = self.person.palette("bands.jpg", &pictures::read(self.stage, "bands.jpg"));
        for ((hex, _), color) in BANDS.iter().zip(same["colors"].as_array().unwrap()) {
            let found = color["hex"].as_str().unwrap();
            for (one, other) in channels(hex).into_iter().zip(channels(found)) {
                assert!(one.abs_diff(other) <= 4, "{hex} became {found} as JPEG");
            }
        }
        for name in ["bands.gif", "bands.webp"] {
            let same = self.person.palette(name, &pictures::read(self.stage, name));
            assert_eq!(same["colors"], palette["colors"], "{name}");
        }
        self.palette = palette;
        format!("{} of {}", self.palette["colors"].as_array().unwrap().len(), self.palette["colors"])
    }

    /// Step 8: ten of sixty, the nearest first; asked again: the same, and no row more.
    pub fn is_recommended(&mut self) -> String {
        self.grown();
        let recommended = self.person.recommendations(self.id());
        assert_eq!(self.grown(), [("recommendations", 10), ("analytics", 1)]);
        let positions: Vec<u64> = recommended.iter().filter_map(|one| one["position"].as_u64()).collect();
        assert_eq!(positions, (1..=10).collect::<Vec<_>>());
        let scores: Vec<f64> = recommended.iter().filter_map(|one| one["score"].as_f64()).collect();
        assert!(scores.len() == 10 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        let first = &recommended[0];
        let hexes: Vec<&str> =
            first["colors"].as_array().unwrap().iter().filter_map(|color| color["hex"].as_str()).collect();
        assert_eq!(hexes, BANDS.map(|(hex, _)| hex), "{first}");
        assert_eq!(self.person.recommendations(self.id()), recommended, "another order when repeated");
        assert_eq!(self.grown(), [("analytics", 1)]);
        let rows = self.stage.database().query(&format!(
            "SELECT painting_id FROM recommendations WHERE palette_id = {} ORDER BY position",
            self.id()
        ));
        let ids: Vec<Vec<String>> = recommended.iter().map(|one| vec![one["id"].to_string()]).collect();
        assert_eq!(rows, ids);
        self.model_is_loaded_once();
        format!("first is {} with {}, last has {}", first["title"], scores[0], scores[9])
    }

    /// Every worker has said so exactly once.
    fn model_is_loaded_once(&self) {
        let loads = lines_of(self.stage, "web", "model loaded");
        for worker in self.stage.workers() {
            let own = loads.iter().filter(|line| line.contains(&format!("pid={worker} "))).count();
            assert_eq!(own, 1, "loads of worker {worker} in {loads:?}");
        }
        assert!(loads.len() as u64 >= WORKERS, "{loads:?}");
    }

    /// Step 9, for a palette that leads to a painting whose title has a character of four bytes.
    pub fn selects(&mut self) -> String {
        let emotions = self.person.get("/api/emotions").json()["emotions"].clone();
        assert_eq!(emotions.as_array().map(Vec::len), Some(15));
        self.palette = self.person.palette("night.png", &pictures::read(self.stage, "night.png"));
        let recommended = self.person.recommendations(self.id());
        assert!(recommended[0]["title"].as_str().unwrap().contains('🎨'), "{}", recommended[0]["title"]);
        self.paintings = vec![recommended[4].clone(), recommended[0].clone(), recommended[9].clone()];
        let ids: Vec<Value> = self.paintings.iter().map(|painting| painting["id"].clone()).collect();
        self.grown();
        let choice = json!({ "palette_id": self.id(), "painting_ids": ids, "emotion": EMOTION });
        let answer = self.person.post("/api/selections", &choice);
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(self.grown(), [("user_selections", 3), ("analytics", 1)]);
        assert_eq!(answer.json()["emotion"], emotions[6]);
        let rows = self.stage.database().query(&format!(
            "SELECT painting_id, emotion FROM user_selections WHERE palette_id = {} ORDER BY id",
            self.id()
        ));
        let expected: Vec<Vec<String>> =
            ids.iter().map(|id| vec![id.to_string(), EMOTION.to_string()]).collect();
        assert_eq!(rows, expected);
        let picture = self.stage.get(emotions[6]["image_url"].as_str().unwrap());
        assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/png")));
        format!("three rows, {}", emotions[6]["name"])
    }

    /// Step 10: told, kept, and asked for once.
    pub fn is_told(&mut self) -> String {
        self.grown();
        let answer = self.person.story(self.id());
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(self.grown(), [("stories", 1), ("analytics", 1)]);
        self.story = answer.json();
        let narrative = self.story["narrative"].as_str().unwrap();
        for painting in &self.paintings {
            let title = painting["title"].as_str().unwrap();
            assert!(narrative.contains(title), "{title} is not in: {narrative}");
        }
        assert_eq!(self.story["counterpart"], true, "it passes for the provider's");
        assert_eq!(self.story["emotion"]["id"], EMOTION);
        self.is_readable();
        let row = self.stage.database().value(&format!(
            "SELECT COUNT(*) FROM stories WHERE id = {} AND narrative LIKE '%🎨%' COLLATE utf8mb4_bin",
            self.story["id"]
        ));
        assert_eq!(row, "1", "the title with a character of four bytes");
        let calls = wait_until("the counterpart has logged its call", || {
            let calls = stories_told(self.stage);
            (calls.len() > self.calls).then_some(calls)
        });
        assert_eq!(calls.len(), self.calls + 1, "one call");
        let call = calls.last().unwrap();
        for color in self.palette["colors"].as_array().unwrap() {
            assert!(call.contains(color["hex"].as_str().unwrap()), "{} is not in {call}", color["hex"]);
        }
        format!("{} by {}", self.story["title"], self.story["model"])
    }

    /// The story of step 10 is what it was.
    #[track_caller]
    pub fn is_readable(&self) {
        let again = self.person.get(&format!("/api/stories/{}", self.story["id"]));
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(again.json(), self.story);
    }

    /// The session is known as before; how many users there are.
    #[track_caller]
    pub fn is_still_somebody(&self) -> u64 {
        assert_eq!(self.person.get("/api/session").json()["new"], false, "the session is forgotten");
        self.stage.database().counts()["users"]
    }

    /// Step 11: a row of each kind for this person, and what the page itself tells.
    pub fn is_counted(&mut self) -> String {
        let seen = json!({ "event": "ui.page_view", "props": { "step": "story" } });
        let answer = self.person.post("/api/analytics", &seen);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let rows = self.stage.database().query(&format!(
            "SELECT event, COUNT(*) FROM analytics WHERE user_id = \
             (SELECT user_id FROM palettes WHERE id = {}) GROUP BY event ORDER BY event",
            self.id()
        ));
        for event in ["session", "upload", "recommendation", "selection", "story", "ui.page_view"] {
            assert!(rows.iter().any(|row| row[0] == event), "no {event} in {rows:?}");
        }
        rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join(", ")
    }
}

/// Names in a folder.
pub fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Lines that an app has printed with this in them.
#[track_caller]
pub fn lines_of(stage: &Stage, app: &str, part: &str) -> Vec<String> {
    let printed = stage.mainstay(&["logs", app, "-n", "100000"]).expect_code(0).stdout;
    printed.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
}

/// Lines of the counterpart's request log, one for each story asked for.
fn stories_told(stage: &Stage) -> Vec<String> {
    lines_of(stage, "storyteller", "request_id")
}

fn channels(hex: &str) -> [u8; 3] {
    [1, 3, 5].map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
}
