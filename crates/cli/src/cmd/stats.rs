//! `mainstay stats`: processors, memory and network of each instance, looked at once a second. Of a container the engine is asked, of processes
//! the keeper, which has looked already.

use crate::args::StatsArgs;
use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::target::{self, Target};
use crate::ui::Table;
use crate::ui::words::{percent, short_size};
use containers::stats;
use keeper::api::{AppStatus, Detail, ExecRequest, InstanceStatus, StatusQuery};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use sys::terminal::{Event, Screen};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// What one instance has used so far, and uses.
#[derive(Debug, Clone, Serialize)]
struct Used {
    name: String,
    #[serde(skip)]
    cpu_ms: u64,
    /// Of one processor, since the last look.
    cpu_percent: Option<f64>,
    memory: u64,
    memory_limit: Option<u64>,
    /// Bytes over its own network since it began; none: it is on the host's.
    received: Option<u64>,
    sent: Option<u64>,
    processes: Option<u64>,
}

/// Shows it: live in a terminal, until `q` or Ctrl-C; once where there is none.
pub fn run(context: &Context, args: &StatsArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let mut seen = Seen { context, client, names: &args.names, before: BTreeMap::new(), at: Instant::now() };
    seen.look()?;
    let is_live = !args.no_stream && !context.json && io::stdin().is_terminal() && io::stdout().is_terminal();
    if is_live {
        return seen.live();
    }
    std::thread::sleep(LOOK);
    let used = seen.look()?;
    let mut out = io::stdout().lock();
    match context.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&used).unwrap_or_default())?,
        false => write!(out, "{}", seen.text(&used))?,
    }
    Ok(())
}

/// Who is looked at, and what was seen last.
struct Seen<'a> {
    context: &'a Context,
    client: Client,
    names: &'a [String],
    /// Milliseconds on processors, by instance and run.
    before: BTreeMap<(String, u64), u64>,
    at: Instant,
}

impl Seen<'_> {
    fn live(&mut self) -> Result<(), Failure> {
        let screen = Screen::take()?;
        loop {
            let text = self.look().map(|used| self.text(&used))?;
            let lines: String = text.lines().map(|line| format!("{line}\x1b[0m\x1b[K\r\n")).collect();
            screen.write(format!("\x1b[H{lines}\x1b[J").as_bytes())?;
            let due = Instant::now() + LOOK;
            while let left @ 1.. = due.saturating_duration_since(Instant::now()).as_millis() {
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                if let Event::End | Event::Key(b'q' | b'Q' | 0x1b) = screen.wait(left)? {
                    return Ok(());
                }
            }
        }
    }

    fn look(&mut self) -> Result<Vec<Used>, Failure> {
        let status =
            self.client.status_with(StatusQuery { usage: Detail::Quick, ..StatusQuery::default() })?;
        let targets = match self.names.is_empty() {
            true => target::all(self.context, &status)?,
            false => target::apps(self.context, &status, self.names)?,
        };
        let passed = self.at.elapsed();
        self.at = Instant::now();
        let mut all = Vec::new();
        for target in &targets {
            let app = target.find(&status);
            for (app, instance) in app.iter().flat_map(|app| app.instances.iter().map(|it| (*app, it))) {
                let Some(mut used) = self.of(target, app, instance) else { continue };
                let former = self.before.insert((used.name.clone(), instance.run), used.cpu_ms);
                let spent = former.map(|former| used.cpu_ms.saturating_sub(former));
                used.cpu_percent = spent.map(|spent| spent as f64 * 100.0 / passed.as_millis().max(1) as f64);
                all.push(used);
            }
        }
        Ok(all)
    }

    fn of(&self, target: &Target, app: &AppStatus, instance: &InstanceStatus) -> Option<Used> {
        let pid = instance.pid?;
        let name = instance.label.clone();
        if app.image.is_some() {
            let slot = name.rsplit_once('.').and_then(|(_, slot)| slot.parse().ok());
            let place = self.client.exec(&target.stack, &target.app, &ExecRequest { slot }).ok()?;
            let seen = stats::look(&place.container?).ok()?;
            let stats::Seen { cpu, memory, memory_limit, received, sent, processes } = seen;
            let cpu_ms = u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX);
            let (received, sent) = (Some(received), Some(sent));
            let memory_limit = app.memory_limit.or(memory_limit);
            return Some(Used {
                name,
                cpu_ms,
                cpu_percent: None,
                memory,
                memory_limit,
                received,
                sent,
                processes,
            });
        }
        let usage = instance.usage.as_ref()?;
        let network = sys::proc::network(pid);
        Some(Used {
            name,
            cpu_ms: usage.sum.cpu_ms,
            cpu_percent: None,
            memory: instance.memory.unwrap_or(usage.sum.memory),
            memory_limit: app.memory_limit,
            received: network.map(|(received, _)| received),
            sent: network.map(|(_, sent)| sent),
            processes: u64::try_from(usage.processes.len()).ok(),
        })
    }

    fn text(&self, used: &[Used]) -> String {
        let mut table =
            Table::new(&["NAME", ">CPU", ">MEMORY", ">LIMIT", ">RECEIVED", ">SENT", ">PROCESSES"]);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        for one in used {
            let cells = [
                one.name.clone(),
                or_dash(one.cpu_percent.map(percent)),
                short_size(one.memory),
                or_dash(one.memory_limit.map(short_size)),
                or_dash(one.received.map(short_size)),
                or_dash(one.sent.map(short_size)),
                or_dash(one.processes.map(|count| count.to_string())),
            ];
            table.row(cells.into_iter().map(|text| (text, None)).collect());
        }
        table.fit(self.context.columns(), "", &["PROCESSES", "LIMIT"]);
        table.render(self.context.style(), "")
    }
}
