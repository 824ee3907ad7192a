//! `mainstay task`: commands by the clock; when they run next, how they ran, and running one now.

use crate::args::{TaskArgs, TaskVerb};
use crate::client::Client;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::logs::printable;
use crate::target;
use crate::ui::words::duration;
use crate::ui::{Progress, Style, Table};
use crate::wait;
use keeper::api::{StackStatus, Status, TaskRunStatus, TaskStatus};
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// Time between two looks at a run.
const LOOK: Duration = Duration::from_millis(200);

/// Does what was asked for.
pub fn run(context: &Context, args: TaskArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    match args.verb {
        None | Some(TaskVerb::List) => list(context, &client.status()?),
        Some(TaskVerb::History { name }) => history(context, &client.status()?, &name),
        Some(TaskVerb::Run { name }) => run_now(context, &client, &name),
    }
}

fn list(context: &Context, status: &Status) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if context.json {
        let tasks: Vec<_> =
            status.stacks.iter().flat_map(|stack| stack.tasks.iter().map(|task| of(stack, task))).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&tasks).unwrap_or_default())?;
        return Ok(());
    }
    let several = status.stacks.iter().filter(|stack| !stack.tasks.is_empty()).count() > 1;
    for stack in &status.stacks {
        if several && !stack.tasks.is_empty() {
            writeln!(out, "{}", context.style().bold(&stack.name))?;
        }
        let shown = show(stack, context.style());
        // The empty line between two stacks ends no list.
        write!(out, "{}", if several { shown.as_str() } else { shown.strip_suffix('\n').unwrap_or(&shown) })?;
    }
    if status.stacks.iter().all(|stack| stack.tasks.is_empty()) {
        writeln!(out, "no task")?;
    }
    Ok(())
}

/// A task as JSON, with its stack.
fn of(stack: &StackStatus, task: &TaskStatus) -> serde_json::Value {
    let mut value = json!(task);
    value["stack"] = json!(stack.name);
    value
}

/// For `status`: tasks in a table of their own, and what is wrong with them.
pub fn show(stack: &StackStatus, style: Style) -> String {
    if stack.tasks.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["TASK", "SCHEDULE", "NEXT RUN", "LAST RUN", "RESULT", ">TOOK"]);
    for task in &stack.tasks {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let last = task.runs.iter().find(|run| was_run(run));
        let result = last.map(|run| run.result.clone());
        let colour = result.as_deref().map(|result| colour(result).to_owned());
        let took = last.and_then(|run| run.took_ms).map(|took| duration(Duration::from_millis(took)));
        let next = or_dash(task.next.as_deref().map(shown));
        let next = if task.waits { format!("{next}, one waits") } else { next };
        table.row(vec![
            (task.name.clone(), None),
            (task.schedule.clone(), None),
            (next, None),
            (or_dash(last.map(|run| shown(&run.begun))), None),
            (or_dash(result), colour),
            (or_dash(took), None),
        ]);
    }
    let zone = stack.tasks.iter().find_map(|task| task.zone.as_deref());
    let zone = zone.map(|zone| style.dim(&format!("  times of {zone}\n"))).unwrap_or_default();
    let wrong: String = stack.tasks.iter().map(|task| trouble(task, style)).collect();
    table.render(style, "  ") + &zone + &wrong + "\n"
}

/// What has happened since a run went well.
fn trouble(task: &TaskStatus, style: Style) -> String {
    let since = task.runs.iter().take_while(|run| run.result != "ok");
    let mut out = String::new();
    for result in ["failed", "timed-out", "lost", "missed", "skipped"] {
        let Some(run) = since.clone().find(|run| run.result == result) else { continue };
        let mut lines = run.detail.lines().map(|line| printable(line, false));
        let first = lines.next().unwrap_or_default();
        let name = style.state(colour(result), &format!("{}:", task.name));
        out += &format!("  {name} {result} {}: {first}\n", shown(&run.begun));
        lines.for_each(|line| out += &format!("    {}\n", style.dim(&line)));
    }
    out
}

/// Whether it was a run, and not a moment at which nothing was run.
fn was_run(run: &TaskRunStatus) -> bool {
    !matches!(run.result.as_str(), "missed" | "skipped")
}

/// The state whose colour a result has.
fn colour(result: &str) -> &'static str {
    match result {
        "ok" => "ready",
        "running" => "starting",
        "replaced" | "stopped" => "stopped",
        "missed" | "skipped" => "degraded",
        _ => "failed",
    }
}

/// A time as the host's clocks show it, without the offset.
fn shown(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

fn find<'a>(
    context: &Context,
    status: &'a Status,
    name: &str,
) -> Result<(&'a StackStatus, &'a TaskStatus), Failure> {
    let (stack, task) = match name.split_once('/') {
        Some((stack, task)) => {
            let found = wait::find(status, stack);
            (found.ok_or_else(|| Failure::new(Code::Usage, format!("no stack {stack} runs")))?, task)
        }
        None => (target::stack(context, status)?, name),
    };
    let found = stack.tasks.iter().find(|known| known.name == task);
    let known: Vec<&str> = stack.tasks.iter().map(|task| task.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    found.map(|task| (stack, task)).ok_or_else(|| {
        Failure::new(Code::Usage, format!("the stack {} has no task {task}", stack.name))
            .next(format!("it has: {known}"))
    })
}

fn history(context: &Context, status: &Status, name: &str) -> Result<(), Failure> {
    let (_, task) = find(context, status, name)?;
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&task.runs).unwrap_or_default())?;
        return Ok(());
    }
    let mut table = Table::new(&["BEGUN", "DUE", "RESULT", ">TOOK", "HOW IT ENDED"]);
    for run in &task.runs {
        let took = run.took_ms.filter(|_| was_run(run)).map(|took| duration(Duration::from_millis(took)));
        let how = run.detail.lines().next().map(|line| printable(line, false)).unwrap_or_default();
        table.row(vec![
            (shown(&run.begun), None),
            (run.due.as_deref().map_or_else(|| "by hand".into(), shown), None),
            (run.result.clone(), Some(colour(&run.result).to_owned())),
            (took.unwrap_or_else(|| "-".into()), None),
            (how, None),
        ]);
    }
    match table.is_empty() {
        true => writeln!(out, "{} was never due yet", task.name)?,
        false => write!(out, "{}", table.render(context.style(), ""))?,
    }
    Ok(())
}

/// Starts a run and waits for its end.
fn run_now(context: &Context, client: &Client, name: &str) -> Result<(), Failure> {
    let status = client.status()?;
    let (stack, task) = find(context, &status, name)?;
    let started = client.run_task(&stack.name, &task.name)?;
    let progress = Progress::new(context);
    let run = loop {
        let status = client.status()?;
        let stack = wait::find(&status, &started.stack);
        let task = stack.and_then(|stack| stack.tasks.iter().find(|task| task.name == started.task));
        let run = task.and_then(|task| task.runs.iter().find(|run| run.id == started.run));
        match run.cloned() {
            Some(run) if run.result != "running" => break run,
            Some(_) => progress.now(format!("{} runs", started.task)),
            None => {
                progress.finish();
                return Err(Failure::new(Code::Unclean, format!("{} is gone", started.task)));
            }
        }
        std::thread::sleep(LOOK);
    };
    progress.finish();
    let took = duration(Duration::from_millis(run.took_ms.unwrap_or(0)));
    let (how, lines) = run.detail.split_once('\n').unwrap_or((&run.detail, ""));
    if run.result != "ok" {
        let failure = Failure::new(Code::Unhealthy, format!("{}: {}: {how}", started.task, run.result));
        return Err(failure.detail(lines).next(format!("mainstay logs {}", started.task)));
    }
    if context.json {
        println!("{}", json!(run));
    } else {
        println!("{}: ok, in {took}", started.task);
    }
    Ok(())
}
