//! Replays the corpus of the fuzz target `file_path`, and tries pieces of paths in many orders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checks;

use std::path::Path;

#[test]
fn what_fuzzing_found_stays_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/file_path");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(!files.is_empty());
    for file in files {
        checks::file_path(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

#[test]
fn pieces_of_paths_in_many_orders() {
    const PIECES: [&str; 14] =
        ["/", "a", ".", "..", "%2e", "%2F", "%5c", "%25", "%00", "%", "%7f", "\\", "%c3%bc", "%ff"];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..100_000 {
        let path: String = (0..random.usize(0..9)).map(|_| *random.choice(&PIECES).unwrap()).collect();
        checks::file_path(format!("/{path}").as_bytes());
        checks::file_path(path.as_bytes());
    }
}
