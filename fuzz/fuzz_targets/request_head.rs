//! Any bytes as a request head: see `checks::request`.
#![no_main]

#[path = "../../crates/http1/tests/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::request(data));
