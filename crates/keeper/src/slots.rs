//! What is remembered of slots outlives the keeper: restarts and their reasons, crashes in a row, programs that did their work and are not
//! to do it twice. It does not outlive the host, nor what `up` runs: it lies beside the sockets, and goes with them.

use crate::keeper::Keeper;
use model::AppId;
use model::observed::{Moment, SlotId, SlotRecord};
use std::collections::BTreeMap;
use std::path::Path;

/// As it stands in the file.
type Line = (AppId, u32, SlotRecord);

impl Keeper {
    /// What a former keeper remembered of stacks that there still are. When a run ended is not known on this keeper's clock: as it began.
    pub(crate) fn recall_slots(&mut self) {
        let mut slots = read(&self.home.slots());
        slots.retain(|(app, _), _| self.stacks.contains_key(&app.stack));
        slots.values_mut().for_each(|record| record.ended = Moment::ZERO);
        self.observed.slots.extend(slots);
    }

    /// Writes it down where it changed.
    pub(crate) fn keep_slots(&mut self) {
        if self.options.foreground || self.observed.slots == self.kept_slots {
            return;
        }
        if let Err(error) = write(&self.home.slots(), &self.observed.slots) {
            tracing::warn!(%error, "what is remembered of restarts is not written down");
        }
        // Tried once for each change: a full disk is no reason to try without end.
        self.kept_slots = self.observed.slots.clone();
    }
}

fn read(path: &Path) -> BTreeMap<SlotId, SlotRecord> {
    let Ok(text) = std::fs::read(path) else { return BTreeMap::new() };
    let lines: Vec<Line> = serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(file = %path.display(), %error, "what was remembered of restarts cannot be read");
        Vec::new()
    });
    lines.into_iter().map(|(app, slot, record)| ((app, slot), record)).collect()
}

fn write(path: &Path, slots: &BTreeMap<SlotId, SlotRecord>) -> std::io::Result<()> {
    let lines: Vec<Line> =
        slots.iter().map(|((app, slot), record)| (app.clone(), *slot, record.clone())).collect();
    sys::durable::write(path, &serde_json::to_vec(&lines)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::observed::End;

    #[test]
    fn it_is_read_as_it_was_written_and_rubbish_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slots.json");
        let record = SlotRecord {
            spec: u64::MAX,
            unstable: 2,
            restarts: 3,
            recycled: 1,
            worn: Some("it took 200 requests".into()),
            ended: Moment::from_millis(1500),
            end: End::OutOfMemory { held: Some(3), limit: None },
        };
        let app = AppId { stack: "shop".parse().unwrap(), app: "web".parse().unwrap() };
        let slots = BTreeMap::from([((app, 2), record)]);
        write(&path, &slots).unwrap();
        assert_eq!(read(&path), slots);
        sys::durable::write(&path, b"[[", 0o600).unwrap();
        assert!(read(&path).is_empty());
        assert!(read(folder.path()).is_empty());
    }
}
