//! Runs named steps in order and reports each: its time, what it observed, or how it failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What has been done so far.
#[derive(Debug, Default)]
pub struct Scenario {
    failed: Vec<String>,
}

/// What a step observed, as one line; or something for later steps.
pub trait Observed {
    /// The line for the report; empty: nothing to say.
    fn line(&self) -> String {
        String::new()
    }
}

impl Observed for () {}

impl Observed for String {
    fn line(&self) -> String {
        self.clone()
    }
}

impl Scenario {
    /// Runs a step, unless `MAINSTAY_STEPS` asks for others (deploying and ending are always done). None: it failed, or was not asked for.
    pub fn step<T: Observed>(&mut self, name: &str, run: impl FnOnce() -> T) -> Option<T> {
        let wanted = std::env::var("MAINSTAY_STEPS").unwrap_or_default();
        let always = ["2: deploy", "7 to 11", "nothing stays"].iter().any(|begin| name.starts_with(begin));
        if !always && !name.contains(&wanted) {
            return None;
        }
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(run)); // a step that fails leaves nothing half done that others rely on
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok(value) => {
                eprintln!("ok     {took:5.1} s  {name}  {}", value.line());
                Some(value)
            }
            Err(_) => {
                eprintln!("FAILED {took:5.1} s  {name}");
                self.failed.push(name.to_owned());
                None
            }
        }
    }

    /// Whether no step has failed.
    pub fn is_well(&self) -> bool {
        self.failed.is_empty()
    }

    /// Panics with the names of the steps that failed.
    pub fn end(&self) {
        assert!(self.is_well(), "failed: {:#?}", self.failed);
    }
}
