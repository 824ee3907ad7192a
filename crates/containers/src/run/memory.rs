//! Whether the kernel ended a container for want of memory: by the container's own control group, so that what becomes of others is never taken
//! for it.
//!
//! The group is gone a moment after the container. So its count is looked at when the kernel has news of it, not at the end alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use sys::cgroup::{Group, OomWatch};

/// The kernel tells first and kills then: time between two looks after it has told, and how many there are.
const LOOKS: (Duration, u32) = (Duration::from_millis(5), 100);
/// One inside may be killed long before its container ends by something else: longest time between the two where one is the other's cause.
const CAUSE: Duration = Duration::from_secs(10);

/// What is known of the kernel's last kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Killed {
    /// Most bytes that the container held at once.
    pub(crate) held: Option<u64>,
    /// Its limit, as the kernel had it.
    pub(crate) limit: Option<u64>,
    at: Instant,
}

type Last = Arc<Mutex<(u64, Option<Killed>)>>;

/// Watches one group as long as it is there, in a thread of its own that nobody waits for.
pub(crate) struct Memory {
    group: Group,
    last: Last,
}

impl Memory {
    /// Begins; in an empty group nobody is ever killed.
    pub(crate) fn watch(group: Group) -> Self {
        // A new group: what is counted already was counted since it began.
        let last = Last::default();
        if let Ok(news) = OomWatch::new(&group) {
            let (group, last) = (group.clone(), last.clone());
            let watch = move || {
                look(&group, &last);
                while group.exists() && news.wait().is_ok() {
                    for _ in 0..LOOKS.1 {
                        if look(&group, &last) || !group.exists() {
                            break;
                        }
                        std::thread::sleep(LOOKS.0);
                    }
                }
            };
            if let Err(error) = std::thread::Builder::new().name("memory".into()).spawn(watch) {
                tracing::warn!(%error, "nobody watches its memory");
            }
        }
        Self { group, last }
    }

    /// The kill that a container which has just ended may have ended of.
    pub(crate) fn killed(&self) -> Option<Killed> {
        look(&self.group, &self.last);
        let (_, last) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|killed| killed.at.elapsed() < CAUSE)
    }
}

/// True: there was one more.
fn look(group: &Group, last: &Last) -> bool {
    let Some((kills, killed)) = seen(group) else { return false };
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let more = kills > last.0;
    if more {
        *last = (kills, Some(killed));
    }
    more
}

fn seen(group: &Group) -> Option<(u64, Killed)> {
    let kills = group.oom_kills();
    (kills > 0)
        .then(|| (kills, Killed { held: group.peak(), limit: group.read().memory, at: Instant::now() }))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // of the test's own files none has to outlive a crash
mod tests {
    use super::*;

    fn memory(folder: &std::path::Path, kills: u32) {
        std::fs::write(folder.join("memory.max"), "1048576\n").unwrap();
        std::fs::write(folder.join("memory.peak"), "1048000\n").unwrap();
        std::fs::write(folder.join("memory.events"), format!("oom_kill {kills}\n")).unwrap();
    }

    #[test]
    fn only_its_own_group_is_believed_and_also_when_that_is_gone() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        [&own, &other].iter().for_each(|folder| memory(folder.path(), 0));
        let [of_own, of_other] =
            [&own, &other].map(|folder| Memory::watch(Group::of(vec![folder.path().to_owned()])));
        memory(own.path(), 1);
        while of_own.last.lock().unwrap().0 == 0 {
            std::thread::yield_now();
        }
        own.close().unwrap();
        let killed = of_own.killed().unwrap();
        assert_eq!((killed.held, killed.limit), (Some(1_048_000), Some(1 << 20)));
        assert_eq!(of_other.killed(), None);
        assert_eq!(Memory::watch(Group::default()).killed(), None);
    }
}
