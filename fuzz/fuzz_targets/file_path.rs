//! Any bytes as the path of a file: see `checks::file_path`.
#![no_main]

#[path = "../../crates/edge/tests/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::file_path(data));
