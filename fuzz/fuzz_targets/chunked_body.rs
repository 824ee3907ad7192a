//! Any bytes as a chunked body: see `checks::chunked`.
#![no_main]

#[path = "../../crates/http1/tests/checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::chunked(data));
