//! Where a stack's requests are logged, and what is masked there: numbered once, so that a line carries no more than a number.

use model::redact::RedactKind;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use wire::snapshot::LogPlace;

/// Which place a line goes to. The default one: with everybody's, what any stack wants masked is masked. For a request of which it
/// is not known whose it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Place in [`Places::known`], from 1 on; 0: the default one.
    number: u32,
    /// Nothing is masked.
    plain: bool,
}

impl Lane {
    /// Nothing is masked in its lines.
    pub fn is_plain(self) -> bool {
        self.plain
    }
}

/// Lanes by the name of the stack.
#[derive(Debug, Default)]
pub struct Lanes(HashMap<String, Lane>);

impl Lanes {
    /// That of this stack.
    pub fn of(&self, stack: &str) -> Lane {
        self.0.get(stack).copied().unwrap_or_default()
    }
}

/// All places that were ever named, so that a number means the same for as long as a line with it may be under way.
#[derive(Debug, Clone, Default)]
pub struct Places {
    known: Vec<LogPlace>,
    /// Folders that are in use now.
    pub live: Vec<PathBuf>,
    /// What any stack wants masked.
    pub strictest: Vec<RedactKind>,
}

impl Places {
    /// With those of a new snapshot.
    pub fn with(&self, logs: &BTreeMap<String, LogPlace>) -> (Self, Lanes) {
        let mut places = Self { known: self.known.clone(), ..Self::default() };
        let mut lanes = HashMap::new();
        for (stack, place) in logs {
            let redact = kinds(&place.redact);
            places.live.extend(place.dir.clone());
            places.strictest.extend(&redact);
            lanes.insert(stack.clone(), places.lane(LogPlace { redact, ..place.clone() }));
        }
        places.strictest = kinds(&places.strictest);
        (places, Lanes(lanes))
    }

    fn lane(&mut self, place: LogPlace) -> Lane {
        let plain = place.redact.is_empty();
        let found = self.known.iter().position(|known| *known == place).unwrap_or_else(|| {
            self.known.push(place);
            self.known.len() - 1
        });
        Lane { number: u32::try_from(found + 1).unwrap_or_default(), plain }
    }

    /// Folder of a lane's file (none: everybody's), and what is masked.
    pub fn place(&self, lane: Lane) -> (Option<&PathBuf>, &[RedactKind]) {
        let known = lane.number.checked_sub(1).and_then(|at| self.known.get(at as usize));
        match known {
            Some(place) => (place.dir.as_ref(), &place.redact),
            None => (None, &self.strictest),
        }
    }
}

/// In order, each once, without what means nothing here.
fn kinds(redact: &[RedactKind]) -> Vec<RedactKind> {
    let mut kinds: Vec<RedactKind> =
        redact.iter().copied().filter(|kind| *kind != RedactKind::Secrets).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
