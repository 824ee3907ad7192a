//! `mainstay history`: when instances changed their state, and why. Survives keepers; of each app the latest 200, for 90 days.

use crate::args::HistoryArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::target;
use crate::ui::{Style, Table};
use keeper::api::{HistoryEntry, HistoryQuery};
use std::io::{self, Write};
use std::time::SystemTime;

/// Shows it, oldest first.
pub fn run(context: &Context, args: &HistoryArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let since = args.since.and_then(|since| SystemTime::now().checked_sub(since));
    let since = since.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let since_ms = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let query = HistoryQuery { since_ms, limit: Some(args.lines), ..HistoryQuery::default() };
    let mut entries = Vec::new();
    if args.names.is_empty() {
        entries = client.history(&query)?;
    } else {
        for it in target::apps(context, &client.status()?, &args.names)? {
            let query = HistoryQuery { stack: Some(it.stack), app: Some(it.app), ..query.clone() };
            entries.extend(client.history(&query)?);
        }
        entries.sort_by(|one, other| one.change.at.cmp(&other.change.at));
        let first = entries.len().saturating_sub(usize::try_from(args.lines).unwrap_or(usize::MAX));
        entries.drain(..first);
    }
    let mut out = io::stdout().lock();
    match (context.json, entries.is_empty()) {
        (true, _) => writeln!(out, "{}", serde_json::to_string_pretty(&entries).unwrap_or_default())?,
        (_, true) => writeln!(out, "nothing changed its state")?,
        _ => write!(out, "{}", text(&entries, context.style()))?,
    }
    Ok(())
}

fn text(entries: &[HistoryEntry], style: Style) -> String {
    let several = entries.iter().any(|entry| entries.first().is_some_and(|first| first.stack != entry.stack));
    let mut table = Table::new(&["TIME", "INSTANCE", "STATE", "WHY"]);
    for HistoryEntry { stack, change, .. } in entries {
        let instance = if several { format!("{stack}/{}", change.instance) } else { change.instance.clone() };
        let reason = change.reason.lines().next().unwrap_or_default().to_owned();
        let state = (change.state.clone(), Some(change.state.clone()));
        table.row(vec![(change.at.clone(), None), (instance, None), state, (reason, None)]);
    }
    table.render(style, "")
}
