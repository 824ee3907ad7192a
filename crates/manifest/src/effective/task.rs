//! Tasks.

use super::{app, duration, text};
use model::upkeep::{Missed, Overlap, TaskSpec};
use toml_edit::{Table, value};

/// Keys of an app that a task has too.
const SHARED: [&str; 9] = ["description", "run", "dir", "needs", "stop", "user", "logs", "writable", "env"];

/// `[task.NAME]`.
pub fn task(spec: &TaskSpec) -> Table {
    let mut table = Table::new();
    table["schedule"] = value(text(&spec.schedule));
    table["overlap"] = value(match spec.overlap {
        Overlap::Skip => "skip",
        Overlap::Wait => "wait",
        Overlap::Replace => "replace",
    });
    table["missed"] = value(match spec.missed {
        Missed::Report => "report",
        Missed::Run => "run",
    });
    if let Some(timeout) = spec.timeout {
        table["timeout"] = value(duration(timeout));
    }
    let own = app(&spec.app);
    for key in SHARED {
        if let Some(item) = own.get(key) {
            table.insert(key, item.clone());
        }
    }
    table
}
