//! `hold`: where requests wait for an instance.

use super::Context;
use crate::file::{HoldFile, HoldTable};
use crate::place::Place;
use model::traffic::HoldSpec;

/// Bounds of waiting; none where nothing is said.
pub fn hold(context: &mut Context<'_>, place: Place<'_>, file: Option<&HoldFile>) -> Option<HoldSpec> {
    let table = match file? {
        HoldFile::Switch(false) => return Some(HoldSpec::OFF),
        HoldFile::Switch(true) => HoldTable::default(),
        HoldFile::Requests(requests) => HoldTable { requests: Some(*requests), ..HoldTable::default() },
        HoldFile::Table(table) => table.clone(),
    };
    let usual = HoldSpec::default();
    let requests = table.requests.and_then(|requests| u32::try_from(requests).ok());
    let bounds = HoldSpec {
        requests: requests.unwrap_or(usual.requests),
        bytes: context.size(place.key("bytes"), table.bytes.as_ref(), usual.bytes),
        wait: context.duration(place.key("wait"), table.wait.as_ref(), usual.wait, true),
    };
    Some(if bounds.is_on() { bounds } else { HoldSpec::OFF })
}
