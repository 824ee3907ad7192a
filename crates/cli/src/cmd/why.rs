//! `mainstay why`: why a request failed, on one screen; without an id the latest that did. The keeper is asked if one lives; else what
//! it would read is read here.

use super::certs;
use crate::args::WhyArgs;
use crate::client::CallError;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::logs::printable;
use crate::ui::{Style, Table};
use keeper::home::Home;
use keeper::why::{self, Question, Row, Why};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest text in a column of the list.
const WIDTH: usize = 48;
/// After so long a failure is written down.
const WRITTEN: Duration = Duration::from_millis(700);
/// A request is new for so long.
const LATELY: Duration = Duration::from_secs(5);
/// Columns that the list can do without, the first of them first: what is copied is the id.
const DISPENSABLE: [&str; 2] = ["AT", "REQUEST"];

/// Answers.
pub fn run(context: &Context, args: &WhyArgs) -> Result<(), Failure> {
    let since = args.since.map(|since| {
        let then = SystemTime::now().checked_sub(since).unwrap_or(UNIX_EPOCH);
        let ms = then.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        u64::try_from(ms).unwrap_or(u64::MAX)
    });
    let question =
        Question { id: args.id.clone(), app: args.app.clone(), since_ms: since, limit: Some(args.lines) };
    let mut out = io::stdout().lock();
    let Some(id) = &args.id else {
        let rows = ask(context, |home| why::list(home, &question), |client| client.why(&question))?;
        if context.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&rows).unwrap_or_default())?;
            return Ok(());
        }
        if rows.is_empty() {
            let is_asked = args.app.is_some() || args.since.is_some();
            return Ok(writeln!(
                out,
                "{}",
                if is_asked { "no such request has failed" } else { "no request has failed" }
            )?);
        }
        return Ok(write!(out, "{}", list(&rows, context.style(), context.columns()))?);
    };
    if why::made_ms(id).is_none() && certs::why(context, id)? {
        return Ok(());
    }
    let look =
        || -> Result<Why, Failure> { ask(context, |home| why::of(home, id), |client| client.why(&question)) };
    let mut told = look()?;
    if told.found == "unknown" && is_of_now(id) {
        std::thread::sleep(WRITTEN);
        told = look()?;
    }
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&told).unwrap_or_default())?;
    } else {
        write!(out, "{}", show(&told, context.style()))?;
    }
    match told.found.as_str() {
        "failed" | "answered" => Ok(()),
        found => Err(Failure::new(Code::Usage, format!("{found}: {}", told.what)).next(told.next)),
    }
}

/// Whether a request of this id may have failed so lately that it is about to be written down.
fn is_of_now(id: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    why::made_ms(id).is_some_and(|made| now.abs_diff(Duration::from_millis(made)) < LATELY)
}

/// The keeper, or the files of a home in which one was.
fn ask<T>(
    context: &Context,
    read: impl FnOnce(&Home) -> T,
    call: impl FnOnce(&crate::client::Client) -> Result<T, CallError>,
) -> Result<T, Failure> {
    if let Some((_, client)) = context.find_keeper() {
        return Ok(call(&client)?);
    }
    let was_there = |home: &&std::path::PathBuf| home.join("logs").join("edge").is_dir();
    let homes = context.homes();
    match homes.iter().find(was_there).map(|home: &std::path::PathBuf| Home::open(Path::new(home))) {
        Some(home) => Ok(read(&home?)),
        None => context.keeper().and_then(|(_, client)| Ok(call(&client)?)),
    }
}

/// One screen: what, where, when, why, what to do.
fn show(told: &Why, style: Style) -> String {
    let clean = |text: &str| printable(text, false);
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            out += &format!("{} {}\n", style.bold(&format!("{name:<8}")), clean(text));
        }
    };
    match (&told.failure, told.found.as_str()) {
        (Some(failure), _) => {
            let status = if failure.status == 0 { String::new() } else { format!("{}: ", failure.status) };
            line("what", &format!("{status}{}", told.what));
            line("because", if told.because == told.what { "" } else { &told.because });
            line("where", &place(told));
        }
        (None, "answered") => line("what", &told.what),
        (None, _) => line("known", &told.because),
    }
    for (number, step) in told.timeline.iter().enumerate() {
        let name = if number == 0 { "when" } else { "" };
        let time = step.at.get(11..23).unwrap_or(&step.at);
        let time = if number == 0 { step.at.clone() } else { format!("{time} {:>+7} ms", step.after_ms) };
        line(name, &format!("{time}  {}", step.text));
    }
    if !told.output.is_empty() {
        line(
            "output",
            &format!(
                "the last {} lines of {}",
                told.output.len(),
                told.instance.as_deref().unwrap_or_default()
            ),
        );
        told.output.iter().for_each(|text| out += &format!("  {}\n", style.dim(&clean(text))));
    }
    if matches!(told.found.as_str(), "failed") {
        out += &format!("{} {}\n", style.bold(&format!("{:<8}", "to do")), clean(&told.next));
    }
    out
}

/// Site, route, instance, release.
fn place(told: &Why) -> String {
    let Some(failure) = &told.failure else { return String::new() };
    let mut words = Vec::new();
    let mut add = |name: &str, text: String| {
        if !text.is_empty() {
            words.push(format!("{name} {text}"));
        }
    };
    add("site", failure.host.clone());
    add("route", failure.route.clone().unwrap_or_default());
    add("app", failure.upstream.clone().unwrap_or_default());
    let pid = told.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    add("instance", told.instance.as_ref().map(|name| name.clone() + &pid).unwrap_or_default());
    let at = told.release_at.as_ref().map(|at| format!(" (of {at})")).unwrap_or_default();
    add("release", told.release.map(|release| format!("{release}{at}")).unwrap_or_default());
    words.join(", ")
}

fn list(rows: &[Row], style: Style, columns: usize) -> String {
    let mut table = Table::new(&["TIME", ">STATUS", "CAUSE", "REQUEST", "AT", "ID"]);
    for row in rows {
        let cause = serde_json::to_value(row.cause).ok();
        let cause = cause.as_ref().and_then(|cause| cause.as_str()).unwrap_or_default().replace('_', " ");
        let request = format!("{} {}{}", row.method, row.host, row.path);
        let at = row.instance.clone().or_else(|| row.upstream.clone()).unwrap_or_default();
        let time = row.at.get(..19).unwrap_or(&row.at).replace('T', " ");
        let cells = [time, row.status.to_string(), cause, short(request.trim()), at, row.id.clone()];
        table.row(cells.into_iter().map(|text| (printable(&text, false), None)).collect());
    }
    table.fit(columns, "", &DISPENSABLE);
    table.render(style, "") + "\nmainstay why ID says more\n"
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_eighty_columns_the_list_has_the_whole_id_on_one_line() {
        let row = serde_json::json!({
            "id": "01a2001e-b7ed-79c2-ba8b-7bb420c2b92c", "at": "2026-11-21T21:59:02.715Z", "method": "GET", "host": "shop.localhost",
            "path": "/orders/of/today", "status": 503, "cause": "hold_timeout", "upstream": "shop/web", "instance": null, "detail": "",
        });
        let rows: Vec<Row> = vec![serde_json::from_value(row).unwrap()];
        let narrow = list(&rows, Style::new(false), 80);
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.contains("01a2001e-b7ed-79c2-ba8b-7bb420c2b92c"), "{narrow}");
        assert!(list(&rows, Style::new(false), 200).contains("/orders/of/today"));
    }
}
