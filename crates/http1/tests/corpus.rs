//! Replays the fuzz targets' corpora (`fuzz/corpus/`), so that what fuzzing once found stays found on the stable toolchain.

#![allow(clippy::expect_used)] // in the helpers of tests

mod checks;

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn request_heads() {
    replay("request_head", checks::request);
}

#[test]
fn response_heads() {
    replay("response_head", checks::response);
}

#[test]
fn chunked_bodies() {
    replay("chunked_body", checks::chunked);
}
