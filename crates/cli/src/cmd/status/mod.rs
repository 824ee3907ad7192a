//! `mainstay status`: what runs, and what is wrong with it; of one app all there is to know ([`detail`]).

mod detail;
mod table;
mod trouble;

use super::{data, scale, task};
use crate::args::StatusArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::logs;
use crate::ui::words::{count, duration, size};
use crate::ui::{Style, Table};
use keeper::api::{
    Alert, AppStatus, Detail, EdgeStatus, KeeperStatus, ReservedStatus, SecondEdge, StackStatus, Status,
    StatusQuery,
};
use keeper::home::Home;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;
use table::Look;

/// Last lines of output that a failed app shows.
const LAST_LINES: usize = 10;

/// Shows it.
pub fn run(context: &Context, args: &StatusArgs) -> Result<(), Failure> {
    let (home, client) = context.keeper()?;
    let named = !args.names.is_empty();
    let status = client.status_with(StatusQuery {
        usage: Detail::Exact,
        settings: named,
        ..StatusQuery::default()
    })?;
    let style = context.style();
    let look = Look { style, columns: context.columns(), workers: args.workers };
    if named {
        return detail::show(context, &home, &status, &args.names, look);
    }
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status).unwrap_or_default())?;
        return Ok(());
    }
    for stack in &status.stacks {
        let alerts = status.alerts.iter().filter(|alert| alert.stack == stack.name);
        write!(out, "{}", show_stack(stack, alerts, &home, look))?;
    }
    if status.stacks.is_empty() {
        writeln!(out, "no stack runs")?;
    }
    for it in status.certificates.iter().filter(|it| !it.problems.is_empty()) {
        let what = format!("{}: the certificate {}", it.hosts.join(", "), it.problems.join("; "));
        writeln!(out, "{} {what}", style.state("failed", "✗"))?;
    }
    writeln!(out, "{}", show_edge(status.edge.as_ref(), style))?;
    if let Some(second) = status.edge.as_ref().and_then(|edge| edge.beside.as_ref()) {
        writeln!(out, "{}", style.yellow(&show_second(second)))?;
    }
    if !status.certificates.is_empty() || status.bans > 0 {
        writeln!(out, "{}", show_doors(&status, style))?;
    }
    if let Some(reserved) = status.reserved {
        writeln!(out, "{}", style.dim(&show_reserved(reserved)))?;
    }
    writeln!(out, "{}", show_keeper(&status.keeper, style))?;
    Ok(())
}

fn show_stack<'a>(
    stack: &StackStatus,
    alerts: impl Iterator<Item = &'a Alert>,
    home: &Home,
    look: Look,
) -> String {
    let style = look.style;
    let state = style.state(&stack.state, &stack.state);
    let mut out = format!("{}  {state}  {}\n", style.bold(&stack.name), stack.urls.join("  "));
    let from = format!("revision {} of {}", stack.revision, stack.manifest.display());
    out += &format!("{}\n", style.dim(&from));
    for problem in &stack.problems {
        out += &format!("{} {problem}\n", style.state("failed", "✗"));
    }
    alerts.for_each(|alert| out += &trouble::alert(alert, style));
    out.push('\n');
    out += &table::render(stack.apps.iter(), look);
    for notes in [descriptions(stack), queues(stack), services(stack)] {
        if !notes.is_empty() {
            out += &(notes.render(style, "  ") + "\n");
        }
    }
    let change = stack.change.as_ref().filter(|change| change.state != "committed");
    if let Some(change) = change {
        let what = format!("revision {} {}", change.revision, change.state);
        out += &trouble::of(&what, &change.state, change.reason.as_deref().unwrap_or_default(), style);
    }
    out += &scale::show(stack, style);
    out += &task::show(stack, style);
    for app in &stack.apps {
        out += &trouble::of_app(&with_last_lines(app, stack, home), style);
    }
    out
}

/// What the apps are, for people.
fn descriptions(stack: &StackStatus) -> Table {
    let mut table = Table::new(&["NAME", "DESCRIPTION"]);
    for (name, text) in stack.apps.iter().filter_map(|app| Some((&app.name, app.description.as_ref()?))) {
        table.row(vec![(name.clone(), None), (text.clone(), None)]);
    }
    table
}

/// Apps whose requests do not meet an instance at once.
fn queues(stack: &StackStatus) -> Table {
    let mut table = Table::new(&["NAME", ">WAITING", ">HELD SO FAR", ">TOO MANY OR TOO LONG", ">SENT AGAIN"]);
    for app in &stack.apps {
        let it = app.traffic;
        let figures = [it.waiting, it.held, it.overflowed, it.retried];
        if figures.iter().any(|figure| *figure > 0) {
            let cells = figures.map(|figure| (figure.to_string(), None));
            table.row(std::iter::once((app.name.clone(), None)).chain(cells).collect());
        }
    }
    table
}

/// Which servers the data services are, and where.
fn services(stack: &StackStatus) -> Table {
    let mut table = Table::new(&["SERVICE", "SERVER", "ADDRESS", "SOCKET"]);
    for (name, service) in stack.apps.iter().filter_map(|app| Some((&app.name, app.service.as_ref()?))) {
        let cells = [
            name.clone(),
            service.server.clone(),
            data::address(service),
            service.socket.display().to_string(),
        ];
        table.row(cells.map(|text| (text, None)).into());
    }
    table
}

/// A failed app whose reason has no lines of its output gets the last ones.
fn with_last_lines(app: &AppStatus, stack: &StackStatus, home: &Home) -> AppStatus {
    let mut app = app.clone();
    if let Some(reason) = app.reason.as_mut().filter(|reason| reason.lines().count() == 1)
        && app.state == "failed"
    {
        for line in logs::last_lines(home, &stack.name, &app.name, LAST_LINES) {
            *reason += &format!("\n{line}");
        }
    }
    app
}

fn show_edge(edge: Option<&EdgeStatus>, style: Style) -> String {
    let Some(edge) = edge else { return style.yellow("edge    is being started") };
    let shown = |at: &SocketAddr| if edge.tls.contains(at) { format!("{at} (TLS)") } else { at.to_string() };
    let listen: Vec<String> = edge.listen.iter().map(shown).collect();
    let lost = if edge.log_lost > 0 { format!(", {} log lines lost", edge.log_lost) } else { String::new() };
    let nameless = edge.user.bytes().all(|byte| byte.is_ascii_digit());
    let fallback =
        if nameless { " (a user without a name; `useradd --system mainstay` gives it one)" } else { "" };
    format!(
        "edge    pid {} as {}{fallback}, on {}, {}, {} in flight, {} served{lost}",
        edge.pid,
        edge.user,
        listen.join(" "),
        count(usize::try_from(edge.connections).unwrap_or(usize::MAX), "connection"),
        edge.in_flight,
        edge.requests,
    )
}

/// While one front door takes over from another.
fn show_second(edge: &SecondEdge) -> String {
    let connections = count(usize::try_from(edge.connections).unwrap_or(usize::MAX), "connection");
    let since = edge.since.as_ref().map(|at| format!(" since {at}")).unwrap_or_default();
    let until = edge.until.as_ref().map(|at| format!(", cut at {at} at the latest")).unwrap_or_default();
    format!(
        "  and   pid {} is {}{since}, {connections}, {} in flight{until}",
        edge.pid, edge.state, edge.in_flight
    )
}

/// Certificates and bans, in a line.
fn show_doors(status: &Status, style: Style) -> String {
    let first = status.certificates.iter().filter_map(|it| it.not_after.as_deref()).min();
    let first = first.and_then(|at| at.split('T').next()).map(|day| format!(", the first expires on {day}"));
    let certificates = count(status.certificates.len(), "certificate");
    let bans = count(status.bans, "ban");
    style.dim(&format!("certs   {certificates}{}, {bans}", first.unwrap_or_default()))
}

/// What is reserved, and what is left.
fn show_reserved(it: ReservedStatus) -> String {
    let cpus = |thousandths: u64| thousandths as f64 / 1000.0;
    let ((cpu, cores), (memory, bytes)) = (it.cpus, it.memory);
    let left = |all: u64, used: u64| all.saturating_sub(used);
    let over = if cpu > cores || memory > bytes { ": more than there is" } else { "" };
    format!(
        "reserved  {} of {} processors, {} of {}; left: {} and {}{over}",
        cpus(cpu),
        cpus(cores),
        size(memory),
        size(bytes),
        cpus(left(cores, cpu)),
        size(left(bytes, memory)),
    )
}

fn show_keeper(keeper: &KeeperStatus, style: Style) -> String {
    let up = duration(Duration::from_millis(keeper.uptime_ms));
    let text =
        format!("keeper  pid {} for {up}, {}, home {}", keeper.pid, keeper.version, keeper.home.display());
    style.dim(&text)
}
