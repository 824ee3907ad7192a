//! Step 15: many uploads at once.

use crate::person::Person;
use crate::pictures;
use crate::stage::{Stage, WORKERS};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
const UPLOADS: usize = 25; // each
/// Connections that each worker may have (`DB_POOL_SIZE`).
const POOL: u64 = 4;

/// What the watcher saw meanwhile.
struct Watched {
    connections: usize,
    health: Duration,
    asked: usize,
}

/// 200 of 200 are stored; connections and health stay within their bounds meanwhile.
pub fn uploads(stage: &Stage) -> String {
    let pictures: Vec<Vec<u8>> =
        (0..20).map(|at| pictures::read(stage, &format!("noise-{at}.png"))).collect();
    let before = stage.database().counts();
    let (begun, done) = (Instant::now(), AtomicBool::new(false));
    let (statuses, watched) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(stage, &done));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let pictures = &pictures;
                    move || uploaded_by(stage, client, pictures)
                })
            })
            .collect();
        let statuses: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        done.store(true, Ordering::Relaxed);
        (statuses, watcher.join().unwrap())
    });
    let statuses: Vec<u16> = statuses.into_iter().flat_map(|client| client.unwrap()).collect();
    let took = begun.elapsed();
    let created = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(created, CLIENTS * UPLOADS, "{statuses:?}");
    let after = stage.database().counts();
    assert_eq!(after["palettes"] - before["palettes"], (CLIENTS * UPLOADS) as u64);
    let most = WORKERS * POOL;
    assert!(watched.connections as u64 <= most, "{} connections, at most {most}", watched.connections);
    assert!(watched.asked > 3 && watched.health < Duration::from_secs(2), "health took {:?}", watched.health);
    let (asked, slowest) = (watched.asked, watched.health.as_millis());
    let connections = watched.connections;
    format!(
        "{created} x 201 in {took:.1?}; at most {connections} of {most} connections; health {slowest} ms at worst of {asked}"
    )
}

fn uploaded_by(stage: &Stage, client: usize, pictures: &[Vec<u8>]) -> Vec<u16> {
    let person = Person::arrive(stage);
    let picture = |number: usize| &pictures[(client * UPLOADS + number) % pictures.len()];
    (0..UPLOADS)
        .map(|number| person.upload(&format!("{client}-{number}.png"), picture(number)).status)
        .collect()
}

/// Asks health and counts connections until it is over.
fn watch(stage: &Stage, done: &AtomicBool) -> Watched {
    let database = stage.database();
    let mut watched = Watched { connections: 0, health: Duration::ZERO, asked: 0 };
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let answer = stage.get("/api/health");
        watched.health = watched.health.max(begun.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.text());
        watched.connections = watched.connections.max(database.connections());
        watched.asked += 1;
        std::thread::sleep(Duration::from_millis(400)); // it watches, it is no load of its own
    }
    watched
}
