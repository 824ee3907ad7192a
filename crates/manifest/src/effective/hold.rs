//! `hold`: where requests wait for an instance.

use super::{duration, inline, size};
use model::traffic::HoldSpec;
use toml_edit::{Item, value};

/// Bounds of waiting.
pub fn hold(hold: &HoldSpec) -> Item {
    if !hold.is_on() {
        return value(false);
    }
    inline([
        ("requests", i64::from(hold.requests).into()),
        ("bytes", size(hold.bytes)),
        ("wait", duration(hold.wait).into()),
    ])
}
