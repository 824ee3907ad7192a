//! `mainstay status`: what runs, and what is wrong with it.

use super::{data, scale};
use crate::context::Context;
use crate::error::Failure;
use crate::logs;
use crate::ui::words::{count, duration, size};
use crate::ui::{Style, Table};
use keeper::api::{AppStatus, EdgeStatus, InstanceStatus, KeeperStatus, StackStatus, Status};
use keeper::home::Home;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Last lines of output that a failed app shows.
const LAST_LINES: usize = 10;

/// Shows it.
pub fn run(context: &Context) -> Result<(), Failure> {
    let (home, client) = context.keeper()?;
    let status = client.status_with_memory()?;
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status).unwrap_or_default())?;
        return Ok(());
    }
    let style = context.style();
    for stack in &status.stacks {
        write!(out, "{}", show_stack(stack, &home, style))?;
    }
    if status.stacks.is_empty() {
        writeln!(out, "no stack runs")?;
    }
    for it in status.certificates.iter().filter(|it| !it.problems.is_empty()) {
        let what = format!("{}: the certificate {}", it.hosts.join(", "), it.problems.join("; "));
        writeln!(out, "{} {what}", style.state("failed", "✗"))?;
    }
    writeln!(out, "{}", show_edge(status.edge.as_ref(), style))?;
    if !status.certificates.is_empty() || status.bans > 0 {
        writeln!(out, "{}", show_doors(&status, style))?;
    }
    writeln!(out, "{}", show_keeper(&status.keeper, style))?;
    Ok(())
}

fn show_stack(stack: &StackStatus, home: &Home, style: Style) -> String {
    let state = style.state(&stack.state, &stack.state);
    let mut out = format!("{}  {state}  {}\n", style.bold(&stack.name), stack.urls.join("  "));
    let from = format!("revision {} of {}", stack.revision, stack.manifest.display());
    out += &format!("{}\n", style.dim(&from));
    for problem in &stack.problems {
        out += &format!("{} {problem}\n", style.state("failed", "✗"));
    }
    out.push('\n');
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        ">PID",
        ">UPTIME",
        ">RESTARTS",
        ">MEMORY",
        ">REQUESTS",
        ">IN FLIGHT",
        "LAST END",
    ]);
    for app in &stack.apps {
        app.instances.iter().for_each(|instance| table.row(instance_row(instance, app)));
        if app.instances.is_empty() {
            table.row(vec![(app.name.clone(), None), (app.state.clone(), Some(app.state.clone()))]);
        }
    }
    if !table.is_empty() {
        out += &(table.render(style, "  ") + "\n");
    }
    let services = services(stack);
    if !services.is_empty() {
        out += &(services.render(style, "  ") + "\n");
    }
    let change = stack.change.as_ref().filter(|change| change.state != "committed");
    if let Some(change) = change {
        let what = format!("revision {} {}", change.revision, change.state);
        out += &trouble(&what, &change.state, change.reason.as_deref().unwrap_or_default(), style);
    }
    out += &scale::show(stack, style);
    for app in &stack.apps {
        out += &show_trouble(app, stack, home, style);
    }
    out
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

fn instance_row(instance: &InstanceStatus, app: &AppStatus) -> Vec<(String, Option<String>)> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    // what is spoken to a data service are no requests of the edge's
    let requests = |number: u64| or_dash(app.service.is_none().then(|| number.to_string()));
    let last_end = instance.last_end.as_deref().and_then(|text| text.lines().next()).map(str::to_owned);
    let cells = [
        instance.label.clone(),
        instance.state.clone(),
        or_dash(instance.pid.map(|pid| pid.to_string())),
        or_dash(instance.uptime_ms.map(|millis| duration(Duration::from_millis(millis)))),
        instance.restarts.to_string(),
        or_dash(instance.memory.map(size)),
        requests(instance.requests),
        requests(instance.in_flight),
        or_dash(last_end),
    ];
    let coloured = |(column, text): (usize, String)| (text, (column == 1).then(|| instance.state.clone()));
    cells.into_iter().enumerate().map(coloured).collect()
}

/// Why an app is not well, with what it said last.
fn show_trouble(app: &AppStatus, stack: &StackStatus, home: &Home, style: Style) -> String {
    let Some(reason) = app.reason.as_deref().filter(|reason| !reason.is_empty()) else {
        return String::new();
    };
    let mut text = reason.to_owned();
    let sick = app.history.last().filter(|change| change.state == "unhealthy");
    if let Some(change) = sick.filter(|change| !reason.contains(&change.reason)) {
        text += &format!("\n{}: {} (since {})", change.instance, change.reason, change.at);
    }
    if app.state == "failed" && reason.lines().count() == 1 {
        for line in logs::last_lines(home, &stack.name, &app.name, LAST_LINES) {
            text += &format!("\n{line}");
        }
    }
    trouble(&app.name, &app.state, &text, style)
}

fn trouble(what: &str, state: &str, reason: &str, style: Style) -> String {
    let mut lines = reason.lines();
    let mut out =
        format!("  {} {}\n", style.state(state, &format!("{what}:")), lines.next().unwrap_or_default());
    for line in lines {
        out += &format!("    {}\n", style.dim(line));
    }
    if let Some(next) = after_build(reason) {
        out += &format!("  {} {next}\n", style.bold("next:"));
    }
    out + "\n"
}

/// What to do about a build that failed.
fn after_build(reason: &str) -> Option<String> {
    let (app, _) = reason.strip_prefix("build of ")?.split_once(" failed: ")?;
    Some(format!(
        "put it right, then mainstay reload; mainstay logs {app}.build shows all that the steps printed"
    ))
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

/// Certificates and bans, in a line.
fn show_doors(status: &Status, style: Style) -> String {
    let first = status.certificates.iter().filter_map(|it| it.not_after.as_deref()).min();
    let first = first.and_then(|at| at.split('T').next()).map(|day| format!(", the first expires on {day}"));
    let certificates = count(status.certificates.len(), "certificate");
    let bans = count(status.bans, "ban");
    style.dim(&format!("certs   {certificates}{}, {bans}", first.unwrap_or_default()))
}

fn show_keeper(keeper: &KeeperStatus, style: Style) -> String {
    let up = duration(Duration::from_millis(keeper.uptime_ms));
    let text =
        format!("keeper  pid {} for {up}, {}, home {}", keeper.pid, keeper.version, keeper.home.display());
    style.dim(&text)
}
