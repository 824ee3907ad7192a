//! Whether containers really ended with their stack. An engine that is silent leaves them running though their runners are gone; the kernel
//! knows better. So who stops something notes the main processes of its containers first, and looks at them afterwards.
//!
//! Reads only, and asks no engine: it may be the one that is silent. Of an engine on another host nothing is known here.

use crate::error::{Code, Failure};
use keeper::home::Home;
use std::path::Path;
use std::time::{Duration, Instant};
use wire::container::{LABEL_APP, LABEL_STACK, RunnerSpec, confined};

/// Time for what a keeper that lives sweeps behind a runner that was killed.
const SWEPT: Duration = Duration::from_secs(15);
/// Time for a process that was killed to be gone.
const KILLED: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A container that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Container {
    /// What the engine calls it.
    name: String,
    /// Its main process, and that one's birth in the kernel's ticks.
    pid: u32,
    born: u64,
}

/// Containers of a home that ran when it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Remains(Vec<Container>);

impl Remains {
    /// Those whose stack and app are wanted.
    pub fn note(home: &Home, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let folders = std::fs::read_dir(home.run().join("app")).into_iter().flatten().flatten();
        let of = |folder: std::fs::DirEntry| container(&folder.path(), &wanted);
        Self(folders.filter_map(of).filter(Container::runs).collect())
    }

    /// Waits a moment for all of them to be gone; a longer one while a keeper lives, which looks after them.
    ///
    /// # Errors
    /// When some run on: which.
    pub fn gone(mut self, keeper_lives: bool) -> Result<(), Failure> {
        let patience = if keeper_lives { SWEPT } else { KILLED };
        let begun = Instant::now();
        loop {
            self.0.retain(Container::runs);
            if self.0.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(self.failure());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What is to be said while there is no keeper that could stop them; nothing if none runs.
    ///
    /// # Errors
    /// When some run: which.
    pub fn none(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(self.failure()) }
    }

    fn failure(&self) -> Failure {
        let named = |it: &Container| format!("{} (pid {})", it.name, it.pid);
        let names: Vec<String> = self.0.iter().map(named).collect();
        let cause =
            format!("not everything is stopped; in containers there still runs: {}", names.join(", "));
        Failure::new(Code::Unclean, cause).next(
            "see whether the engine answers: mainstay doctor; the next mainstay start removes what is left of it",
        )
    }
}

impl Container {
    fn runs(&self) -> bool {
        sys::proc::lives(self.pid, self.born)
    }
}

/// The container of an instance, by its folder.
fn container(folder: &Path, wanted: &impl Fn(&str, &str) -> bool) -> Option<Container> {
    let spec: RunnerSpec = wire::decode(&std::fs::read(RunnerSpec::file(folder)).ok()?).ok()?;
    if !wanted(spec.labels.get(LABEL_STACK)?, spec.labels.get(LABEL_APP)?) {
        return None;
    }
    let confined = confined(folder)?;
    Some(Container { name: spec.name, pid: confined.pid, born: confined.born })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_on_is_named_and_who_took_a_number_over_is_not() {
        let pid = std::process::id();
        let born = sys::proc::start_time(pid).unwrap();
        let one = |name: &str, born| Container { name: name.into(), pid, born };
        let mut all = vec![one("shop-web-1", born), one("shop-db-1", born + 1)];
        all.retain(Container::runs);
        let failure = Remains(all).none().unwrap_err();
        assert_eq!(failure.code, Code::Unclean);
        assert!(failure.cause.contains("shop-web-1") && !failure.cause.contains("shop-db-1"));
        assert!(Remains::default().gone(true).is_ok());
    }
}
