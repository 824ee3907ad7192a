//! `mainstay bans`: who is refused for a while; `bans add`, `bans lift`.

use crate::args::{AddBanArgs, LiftBanArgs};
use crate::context::Context;
use crate::error::Failure;
use crate::ui::Table;
use crate::ui::words::count;
use keeper::api::{BanRequest, BanStatus, LiftRequest};
use serde_json::json;
use std::io::{self, Write};

/// Shows them.
pub fn list(context: &Context) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    show(context, &client.bans()?)
}

/// Refuses an address for a while.
pub fn add(context: &Context, args: AddBanArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let request = BanRequest { net: args.net, seconds: args.length.as_secs(), reason: args.reason };
    show(context, &client.ban(&request)?)
}

/// Refuses them no more.
pub fn lift(context: &Context, args: &LiftBanArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let lifted = client.lift_bans(&LiftRequest { net: args.net })?;
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", json!({ "lifted": lifted }))?;
        return Ok(());
    }
    writeln!(out, "{} lifted", count(lifted.len(), "ban"))?;
    for net in lifted {
        writeln!(out, "  {net}")?;
    }
    Ok(())
}

fn show(context: &Context, bans: &[BanStatus]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(bans).unwrap_or_default())?;
        return Ok(());
    }
    let mut table = Table::new(&["ADDRESS", "UNTIL", "FOR"]);
    for ban in bans {
        let cells = [ban.net.to_string(), ban.until.clone(), ban.reason.clone()];
        table.row(cells.into_iter().map(|text| (text, None)).collect());
    }
    match table.is_empty() {
        true => writeln!(out, "nobody is banned")?,
        false => write!(out, "{}", table.render(context.style(), ""))?,
    }
    Ok(())
}
