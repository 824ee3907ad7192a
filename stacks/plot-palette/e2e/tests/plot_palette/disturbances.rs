//! Step 14: a part of the stack is taken away, and what the others do meanwhile and afterwards.

use crate::person::{Person, refused};
use crate::pictures;
use crate::stage::Stage;
use std::time::{Duration, Instant};
use testkit::{signal, wait_until, wait_within};

/// Statuses in their order, each once for every time it came up.
#[derive(Debug, Default)]
struct Seen(Vec<u16>);

impl Seen {
    fn add(&mut self, status: u16) {
        if self.0.last() != Some(&status) {
            self.0.push(status);
        }
    }
}

/// Without its database the application says so, and recovers by itself; what needs none is served on.
pub fn database(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let picture = pictures::read(stage, "bands.png");
    let (master, workers) = (stage.pid("web"), stage.workers());
    let counts = stage.database().counts();
    stage.mainstay(&["stop", "db"]).expect_code(0);
    let answer = stage.get("/api/health");
    assert_eq!(answer.status, 503, "{}", answer.text());
    let state = answer.json();
    assert!(state["error"].as_str().is_some_and(|error| !error.is_empty()), "{state}");
    assert_eq!(
        (&state["status"], &state["database"], &state["model"]),
        (&"failing".into(), &"down".into(), &"ok".into())
    );
    for path in ["/", "/script.js", "/styles.css", "/image/catalogue.json", "/api/emotions"] {
        assert_eq!(stage.get(path).status, 200, "{path}");
    }
    refused(&stage.get("/api/session"), 503, "database_unavailable");
    refused(&person.upload("a.png", &picture), 503, "database_unavailable");

    stage.mainstay(&["start", "db"]).expect_code(0);
    let begun = Instant::now();
    stage.wait_until_healthy(Duration::from_secs(15));
    let took = begun.elapsed();
    assert_eq!((stage.pid("web"), stage.workers()), (master, workers), "Gunicorn was restarted");
    assert_eq!(stage.database().counts(), counts, "rows are lost, or too many");
    person.palette("after.png", &picture); // the same session, the same pool
    format!("503 with {}; healthy {} ms after its start, same Gunicorn", state["error"], took.as_millis())
}

/// The master ends by SIGKILL: no worker stays, the supervisor brings all of it back, and requests that come meanwhile wait for it.
pub fn master(stage: &Stage) -> String {
    let (master, workers) = (stage.pid("web"), stage.workers());
    assert!(!workers.is_empty());
    let begun = Instant::now();
    signal(master, "KILL");
    let mut seen = Seen::default();
    wait_within(Duration::from_secs(60), "the application answers again", || {
        let status = stage.get("/api/health").status;
        seen.add(status);
        (status == 200 && stage.pid("web") != master).then_some(())
    });
    let took = begun.elapsed();
    let Seen(statuses) = seen;
    // nobody who asks while the new master starts is sent away: a read that a worker had begun is asked again
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(stage.get("/").status, 200);
    let count = workers.len();
    for worker in workers {
        wait_until("the former master's workers have ended", || (!testkit::is_alive(worker)).then_some(()));
    }
    // the first answer comes from the first worker
    wait_until("all workers are there again", || (stage.workers().len() == count).then_some(()));
    let restarts = stage.app("web")["instances"][0]["restarts"].clone();
    format!("{statuses:?} within {took:.1?}; no orphan; restarts: {restarts}")
}

/// Workers that do not answer: unhealthy, and from then on 503 at once; afterwards all is well by itself.
pub fn stuck(stage: &Stage) -> String {
    let workers = stage.workers();
    for worker in &workers {
        signal(*worker, "STOP");
    }
    let unhealthy = wait_within_or(Duration::from_secs(60), || {
        (stage.app("web")["instances"][0]["state"] == "unhealthy").then_some(())
    });
    let begun = Instant::now();
    let answer = unhealthy.map(|()| stage.get("/api/emotions"));
    let took = begun.elapsed();
    for worker in &workers {
        signal(*worker, "CONT");
    }
    let answer = answer.expect("it became unhealthy");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(took < Duration::from_secs(1), "503 after {took:?}");
    stage.wait_until_healthy(Duration::from_secs(30));
    assert_eq!(stage.workers(), workers, "the workers are others");
    format!("503 in {} ms while all are unhealthy, then 200", took.as_millis())
}

/// None where it takes too long: something has to be put right before it may fail.
fn wait_within_or<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(value) = condition() {
            return Some(value);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// Without the story service only stories are missing.
pub fn storyteller(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let palette = person.chooses(&pictures::read(stage, "bands.png"), 5);
    stage.mainstay(&["stop", "storyteller"]).expect_code(0);
    let stories = stage.database().counts()["stories"];
    let answer = person.story(palette);
    assert!([502, 503].contains(&answer.status), "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert!(["story_unavailable", "story_failed"].iter().any(|code| error == *code), "{}", answer.text());
    assert_eq!(stage.database().counts()["stories"], stories);
    for path in ["/", "/api/health", "/api/emotions", "/api/session", &format!("/api/palettes/{palette}")] {
        assert_eq!(person.get(path).status, 200, "{path}");
    }
    stage.mainstay(&["start", "storyteller"]).expect_code(0);
    let told = person.story(palette);
    assert_eq!(told.status, 201, "{}", told.text());
    format!("{} {error}, no row, others 200; then 201", answer.status)
}
