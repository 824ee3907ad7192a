//! `mainstay status NAME`: one app or service, with all that is set, what is enforced, what it went through and what it said last.

use super::table::{self, Look};
use super::trouble;
use crate::context::Context;
use crate::error::Failure;
use crate::logs;
use crate::target;
use crate::ui::words::{duration, short_size};
use crate::ui::{Style, plain};
use keeper::api::{AppStatus, EnforcedStatus, Status, TrafficStatus, Transition};
use keeper::home::Home;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Last lines of output.
const LAST_LINES: usize = 10;
/// Last changes of state.
const LAST_CHANGES: usize = 5;

/// Shows those of these names.
pub fn show(
    context: &Context,
    home: &Home,
    status: &Status,
    names: &[String],
    look: Look,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut objects = Vec::new();
    for it in target::apps(context, status, names)? {
        let Some(app) = it.find(status) else { continue };
        let lines = logs::last_lines(home, &it.stack, &it.app, LAST_LINES);
        if context.json {
            let mut object = serde_json::to_value(app).unwrap_or_default();
            object["stack"] = json!(it.stack);
            object["last_lines"] = json!(lines);
            objects.push(object);
            continue;
        }
        writeln!(out, "{}", text(&it.stack, app, &lines, look))?;
    }
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&objects).unwrap_or_default())?;
    }
    Ok(())
}

fn text(stack: &str, app: &AppStatus, lines: &[String], look: Look) -> String {
    let style = look.style;
    let name = style.bold(&format!("{stack}/{}", app.name));
    let what = app.description.as_ref().map(|text| format!("  {}", plain(text))).unwrap_or_default();
    let mut out = format!("{name}  {}{what}\n\n", style.state(&app.state, &app.state));
    out += &table::render(std::iter::once(app), Look { workers: true, ..look });
    out += &trouble::of_app(app, style);
    let mut facts = settings(app);
    facts.extend(enforced(app));
    facts.extend(seen(app));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in facts {
        out += &format!("  {}  {}\n", style.dim(&format!("{name:<width$}")), plain(&value));
    }
    let changes = || app.history.iter().rev().take(LAST_CHANGES).rev();
    let width = changes().map(|change| change.instance.chars().count()).max().unwrap_or(0);
    out += &section("latest changes", changes().map(|it| change(it, width)), style);
    out + &section("last lines", lines.iter().cloned(), style)
}

fn section(title: &str, lines: impl Iterator<Item = String>, style: Style) -> String {
    let lines: String = lines.map(|line| format!("    {}\n", plain(&line))).collect();
    if lines.is_empty() { lines } else { format!("\n  {}\n{lines}", style.dim(title)) }
}

/// One line; `width`: of the names above each other.
fn change(change: &Transition, width: usize) -> String {
    let reason = change.reason.lines().next().unwrap_or_default();
    format!("{}  {:<width$}  {}: {reason}", change.at, change.instance, change.state)
}

/// As the manifest would say it: what is run first, the others by name.
fn settings(app: &AppStatus) -> Vec<(String, String)> {
    let Some(Value::Object(settings)) = &app.settings else { return Vec::new() };
    let said = settings.iter().filter_map(|(key, value)| Some((key.clone(), words(value)?)));
    let mut said: Vec<_> = said.collect();
    said.sort_by_key(|(key, _)| key != "run");
    said
}

/// `a b` of a list, `key value, key value` of a table; none of what is empty.
fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(words).collect::<Vec<_>>().join(" "),
        Value::Object(entries) => {
            let pairs = entries.iter().filter_map(|(key, value)| Some(format!("{key} {}", words(value)?)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// Limits that hold, by whoever sees to them. Nothing stands here that is only written.
fn enforced(app: &AppStatus) -> Vec<(String, String)> {
    let mut limits = Vec::new();
    if let Some(bytes) = app.memory_recycle {
        limits.push(format!("memory {}: looked at once a second, recycled beyond it", short_size(bytes)));
    }
    let usage = app.instances.iter().find_map(|instance| instance.usage.as_ref());
    if let Some(files) = usage.and_then(|usage| usage.files_limit) {
        limits.push(format!("open files {files}: the kernel refuses more to a process"));
    }
    let held = app.instances.iter().find(|instance| !instance.enforced.is_empty());
    limits.extend(held.into_iter().flat_map(|instance| &instance.enforced).map(line));
    let name = |at: usize| if at == 0 { "enforced".to_owned() } else { String::new() };
    limits.into_iter().enumerate().map(|(at, text)| (name(at), text)).collect()
}

/// One of them: what was asked for, what holds, by whom; or that it does not.
fn line(it: &EnforcedStatus) -> String {
    let problem = it.problem.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    match (&it.holds, &it.by) {
        (Some(holds), Some(by)) => format!("{} {}: {holds} ({by}{problem})", it.key, it.asked),
        _ => format!("{} {}: NOT ENFORCED{problem}", it.key, it.asked),
    }
}

/// What is known of its instances beyond the table.
fn seen(app: &AppStatus) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let it = app.traffic;
    if it != TrafficStatus::default() {
        let text = format!(
            "{} wait now, {} waited before, {} too many or too long, {} sent again",
            it.waiting, it.held, it.overflowed, it.retried
        );
        facts.push(("requests".to_owned(), text));
    }
    for instance in &app.instances {
        let mut fact = |name: &str, text: String| facts.push((format!("{} {name}", instance.label), text));
        if let Some(address) = &instance.address {
            fact("listens on", address.clone());
        }
        if !instance.networks.is_empty() {
            let networks = instance.networks.iter().map(|(name, address)| format!("{name} {address}"));
            fact("networks", networks.collect::<Vec<_>>().join(", "));
        }
        if let (Some(end), restarts) = (&instance.last_end, instance.restarts) {
            let end = end.lines().next().unwrap_or_default();
            fact("last end", format!("the run before {end}; started again {restarts} times"));
        }
        if instance.left_alone {
            fact("circuit", "open: after failures in a row it gets nothing but a trial now and then".into());
        }
        if instance.failures > 0 {
            fact("failures", format!("{} requests were refused, reset or timed out", instance.failures));
        }
        for (name, path) in ["output", "errors"].iter().zip(&instance.logs) {
            fact(name, path.display().to_string());
        }
        if let Some(usage) = &instance.usage {
            let time = duration(Duration::from_millis(usage.sum.cpu_ms));
            let processes = usage.processes.len();
            fact("processes", format!("{processes}, {} threads, {time} on processors", usage.sum.threads));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_said_in_words() {
        let restart = json!({ "policy": "always", "delay": "10s", "max_restarts": 10 });
        assert_eq!(words(&restart).unwrap(), "delay 10s, max_restarts 10, policy always");
        assert_eq!(words(&json!(["gunicorn", "--workers", "2"])).unwrap(), "gunicorn --workers 2");
        assert_eq!((words(&json!([])), words(&json!({})), words(&json!(""))), (None, None, None));
        assert_eq!(words(&json!(false)).unwrap(), "false");
    }
}
