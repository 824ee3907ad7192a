//! `mainstay top`: what the host and each instance use, looked at once a second. Rates are the difference of two looks.

mod view;

use crate::args::{Sort, TopArgs};
use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::ui::Style;
use keeper::api::{Detail, Status, StatusQuery};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use sys::terminal::{Event, Screen};
use view::View;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A look, and when it was taken.
struct Taken {
    at: Instant,
    status: Status,
}

impl Taken {
    fn now(client: &Client) -> Result<Self, Failure> {
        let status = client.status_with(StatusQuery { usage: Detail::Quick, ..StatusQuery::default() })?;
        Ok(Self { at: Instant::now(), status })
    }
}

/// Shows it: live in a terminal, until `q` or Ctrl-C; once where there is none.
pub fn run(context: &Context, args: &TopArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let is_live = !args.once && !context.json && io::stdin().is_terminal() && io::stdout().is_terminal();
    if is_live { live(context, &client, args.sort) } else { once(context, &client, args.sort) }
}

fn once(context: &Context, client: &Client, sort: Sort) -> Result<(), Failure> {
    let before = Taken::now(client)?;
    std::thread::sleep(LOOK);
    let now = Taken::now(client)?;
    let view = View::of(&before.status, &now.status, now.at - before.at);
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&view).unwrap_or_default())?;
    } else {
        write!(out, "{}", view.text(sort, context.style(), context.columns()))?;
    }
    Ok(())
}

fn live(context: &Context, client: &Client, mut sort: Sort) -> Result<(), Failure> {
    let style = context.style();
    let mut before = Taken::now(client)?;
    let screen = Screen::take()?;
    let mut view = View::of(&before.status, &before.status, Duration::ZERO);
    let mut due = Instant::now() + LOOK;
    loop {
        draw(&screen, &view, sort, style)?;
        match screen.wait(due.saturating_duration_since(Instant::now()))? {
            Event::End | Event::Key(b'q' | b'Q' | 0x1b) => return Ok(()),
            Event::Key(b'c') => sort = Sort::Cpu,
            Event::Key(b'm') => sort = Sort::Memory,
            Event::Key(b'r') => sort = Sort::Requests,
            Event::Key(b'n') => sort = Sort::Name,
            Event::Key(_) | Event::Resized | Event::Nothing => {}
        }
        if Instant::now() >= due {
            let now = Taken::now(client)?;
            view = View::of(&before.status, &now.status, now.at - before.at);
            before = now;
            due = Instant::now() + LOOK;
        }
    }
}

/// As much of it as there is room for, over what was there, without a flicker.
fn draw(screen: &Screen, view: &View, sort: Sort, style: Style) -> io::Result<()> {
    let (columns, rows) = sys::terminal::size().unwrap_or((80, 24));
    let (columns, rows) = (usize::from(columns), usize::from(rows));
    let text = view.text(sort, style, columns);
    let help = style.dim("q ends; first by: c cpu, m memory, r requests, n name");
    let shown = text.lines().take(rows.saturating_sub(1)).chain([help.as_str()]);
    let lines: Vec<String> = shown.map(|line| cut(line, columns).to_owned() + "\x1b[0m\x1b[K").collect();
    screen.write(format!("\x1b[H{}\x1b[J", lines.join("\r\n")).as_bytes())
}

/// So many characters of a line, its end left free; colours take no room.
fn cut(line: &str, columns: usize) -> &str {
    let (mut shown, mut in_colour) = (0, false);
    for (at, c) in line.char_indices() {
        match c {
            '\x1b' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if in_colour => {}
            _ if shown + 1 >= columns => return line.get(..at).unwrap_or_default(),
            _ => shown += 1,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_terminal_ends_and_colours_take_no_room() {
        assert_eq!(cut("\x1b[31mready\x1b[0m and more", 80), "\x1b[31mready\x1b[0m and more");
        assert_eq!(cut("\x1b[31mready\x1b[0m and more", 9), "\x1b[31mready\x1b[0m an");
        assert_eq!(cut("größer", 4), "grö");
    }
}
