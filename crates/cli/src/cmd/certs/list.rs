//! `mainstay certs`: a table of all.

use crate::context::Context;
use crate::error::Failure;
use crate::ui::Table;
use keeper::api::CertificateStatus;
use std::io::{self, Write};

/// Columns that the table can do without on a narrow terminal, the first of them first.
const DISPENSABLE: [&str; 3] = ["STACK", "RENEWAL", "FROM"];

/// Shows them.
pub fn run(context: &Context) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let certificates = client.status()?.certificates;
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&certificates).unwrap_or_default())?;
        return Ok(());
    }
    if certificates.is_empty() {
        writeln!(out, "no site has HTTPS")?;
        return Ok(());
    }
    let style = context.style();
    let mut table = Table::new(&["NAMES", "STACK", "FROM", "EXPIRES", "RENEWAL", "STATE"]);
    for it in &certificates {
        let cells =
            [names(it), stack(it), from(it), expires(it), day(it.renewal.as_deref()), it.state.clone()];
        let mut row: Vec<_> = cells.into_iter().map(|text| (text, None)).collect();
        if let Some(last) = row.last_mut() {
            last.1 = Some(colour(it).to_owned());
        }
        table.row(row);
    }
    table.fit(context.columns(), "", &DISPENSABLE);
    write!(out, "{}", table.render(style, ""))?;
    for it in &certificates {
        for problem in &it.problems {
            writeln!(
                out,
                "{} {}: the certificate {problem}",
                style.state("failed", "✗"),
                it.hosts.join(", ")
            )?;
        }
    }
    Ok(())
}

fn names(it: &CertificateStatus) -> String {
    if it.hosts.is_empty() { it.names.join(" ") } else { it.hosts.join(" ") }
}

fn stack(it: &CertificateStatus) -> String {
    if it.stack.is_empty() { "-".to_owned() } else { it.stack.clone() }
}

fn from(it: &CertificateStatus) -> String {
    let file = it.file.as_ref().map(|file| file.display().to_string());
    file.or_else(|| it.issuer.clone()).or_else(|| it.authority.clone()).unwrap_or_else(|| "-".into())
}

/// The date, and how far away it is.
fn expires(it: &CertificateStatus) -> String {
    let at = it.not_after.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let Some(at) = at else { return "-".to_owned() };
    let hours = at.duration_since(jiff::Timestamp::now()).as_hours();
    let left = match hours {
        ..0 => "over".to_owned(),
        0..72 => format!("{hours} h"),
        _ => format!("{} d", hours / 24),
    };
    format!("{} ({left})", day(it.not_after.as_deref()))
}

fn day(at: Option<&str>) -> String {
    at.and_then(|at| at.split('T').next()).unwrap_or("-").to_owned()
}

/// As states of apps are coloured.
pub fn colour(it: &CertificateStatus) -> &'static str {
    match it.state.as_str() {
        "valid" if it.problems.is_empty() => "ready",
        "valid" | "waiting" => "degraded",
        "ordering" => "starting",
        _ => "failed",
    }
}
