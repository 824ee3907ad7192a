//! Step 18: everything ends at once, as at a power cut, and comes back by one start.

use crate::stage::Stage;
use crate::visit::Visit;
use std::time::{Duration, Instant};
use testkit::{signal, wait_until};

/// Ends keeper, edge, shims, database and applications with SIGKILL, then starts the stack again.
pub fn everything_comes_back(stage: &Stage, visit: &mut Visit<'_>) -> String {
    let database = stage.database();
    let (counts, checksums) = (database.counts(), sums(stage));
    let mut ended = 0;
    wait_until("nothing of the stack lives", || {
        let left = stage.sandbox.processes();
        for pid in &left {
            // it may have ended just now, by its parent's end
            if testkit::is_alive(*pid) {
                signal(*pid, "KILL");
                ended += 1;
            }
        }
        left.is_empty().then_some(())
    });
    let begun = Instant::now();
    stage.mainstay(&["start"]).expect_code(0);
    stage.wait_until_healthy(Duration::from_secs(30));
    let took = begun.elapsed();
    for name in ["web", "storyteller", "db"] {
        assert_eq!(stage.app(name)["instances"][0]["state"], "ready", "{name}");
    }
    assert_eq!(stage.database().counts(), counts, "rows are lost, or too many");
    assert_eq!(sums(stage), checksums, "rows are others");
    visit.is_readable();
    assert_eq!(visit.is_still_somebody(), counts["users"]);
    format!("{ended} processes ended, all back in {took:.1?}; {} rows", counts.values().sum::<u64>())
}

/// Contents of the six tables.
fn sums(stage: &Stage) -> Vec<Vec<String>> {
    let tables = crate::database::TABLES.join(", ");
    stage.database().query(&format!("CHECKSUM TABLE {tables}"))
}
