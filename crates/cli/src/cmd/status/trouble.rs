//! What is wrong, and what to do about it: so that a 502 is explained by who is down, and why.

use crate::ui::{Style, plain};
use keeper::api::{Alert, AppStatus};

/// What Mainstay tries no more, since when, and what to do.
pub fn alert(alert: &Alert, style: Style) -> String {
    let since = alert.since.as_ref().map(|at| format!(" since {at}")).unwrap_or_default();
    let what = plain(alert.text.lines().next().unwrap_or_default());
    let of =
        if alert.instances.is_empty() { String::new() } else { format!(" ({})", alert.instances.join(", ")) };
    let text = format!("alert{since}: {what}{of}");
    format!("{} {text}\n{}", style.state("failed", "✗"), step(&alert.next, style))
}

/// Why an app is not well, with what it said last; nothing where it is.
pub fn of_app(app: &AppStatus, style: Style) -> String {
    if app.state == "stopped" {
        let next = format!("mainstay start {}", app.name);
        let text = "was stopped by hand: whoever asks for it gets 502";
        return line(&app.name, &app.state, text, style) + &step(&next, style) + "\n";
    }
    let Some(reason) = app.reason.as_deref().filter(|reason| !reason.is_empty()) else {
        return String::new();
    };
    let mut text = reason.to_owned();
    let sick = app.history.last().filter(|change| change.state == "unhealthy");
    if let Some(change) = sick.filter(|change| !reason.contains(&change.reason)) {
        text += &format!("\n{}: {} (since {})", change.instance, change.reason, change.at);
    }
    of(&app.name, &app.state, &text, style)
}

/// What is wrong with something: the first line, the others below it, and the next step where there is one.
pub fn of(what: &str, state: &str, reason: &str, style: Style) -> String {
    let mut lines = reason.lines();
    let mut out = line(what, state, lines.next().unwrap_or_default(), style);
    for line in lines {
        out += &format!("    {}\n", style.dim(&plain(line)));
    }
    if let Some(next) = after_build(reason) {
        out += &step(&next, style);
    }
    out + "\n"
}

fn line(what: &str, state: &str, text: &str, style: Style) -> String {
    format!("  {} {}\n", style.state(state, &format!("{what}:")), plain(text))
}

fn step(next: &str, style: Style) -> String {
    format!("  {} {next}\n", style.bold("next:"))
}

/// What to do about a build that failed.
fn after_build(reason: &str) -> Option<String> {
    let (app, _) = reason.strip_prefix("build of ")?.split_once(" failed: ")?;
    Some(format!(
        "put it right, then mainstay reload; mainstay logs {app}.build shows all that the steps printed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_an_app_move_no_cursor() {
        let text = of("a", "failed", "exited\x1b[2J\n\x1b]52;c;eA==\x07", Style::new(false));
        assert_eq!(text, "  a: exited\\u{1b}[2J\n    \\u{1b}]52;c;eA==\\u{7}\n\n");
    }
}
