//! What `top` shows of two looks: the host in three lines, then a row for each instance and for Mainstay's own processes.

use crate::args::Sort;
use crate::ui::words::{latency, percent, rate, short_size};
use crate::ui::{Style, Table};
use keeper::api::{AppStatus, HostStatus, InstanceStatus, ProcessStatus, SpaceStatus, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is left out first where there is no room.
const DISPENSABLE: [&str; 7] = ["THREADS", "PID", "IN FLIGHT", "FILES", "WRITE/S", "READ/S", "P99"];

/// Two looks, compared.
#[derive(Debug, Serialize)]
pub struct View {
    host: Option<HostStatus>,
    /// Of all processors, in percent.
    host_cpu_percent: Option<f64>,
    host_read_per_second: f64,
    host_write_per_second: f64,
    /// Requests that wait for an instance, by app; without those for which none does.
    waiting: BTreeMap<String, u64>,
    rows: Vec<Row>,
}

/// An instance, or a process of Mainstay's own.
#[derive(Debug, Serialize)]
struct Row {
    /// `stack/app.slot`, `mainstay edge`, `mainstay keeper`.
    name: String,
    state: Option<String>,
    pid: Option<u32>,
    /// Of one processor.
    cpu_percent: Option<f64>,
    memory: u64,
    threads: u32,
    files: Option<u64>,
    read_per_second: Option<f64>,
    write_per_second: Option<f64>,
    requests_per_second: Option<f64>,
    p99_us: Option<u64>,
    in_flight: Option<u64>,
}

impl View {
    /// With no time between them (the first look of all) the keeper's own figures of the last seconds stand in.
    pub fn of(before: &Status, now: &Status, passed: Duration) -> Self {
        let former: BTreeMap<(String, u64), &InstanceStatus> = instances(before).collect();
        let row = |(key, instance): ((String, u64), &InstanceStatus)| {
            Row::of(key.0.clone(), instance, former.get(&key).copied(), passed)
        };
        let mut rows: Vec<Row> = instances(now).map(row).collect();
        rows.extend(apps(now).filter(|(_, app)| app.instances.is_empty()).map(|(name, app)| Row {
            state: Some(app.state.clone()),
            ..Row::own(&name, None, None, passed)
        }));
        let edge = |status: &Status| status.edge.as_ref().and_then(|edge| edge.usage.clone());
        let mut edge_row = Row::own("mainstay edge", edge(now), edge(before), passed);
        let requests = |status: &Status| status.edge.as_ref().map_or(0, |edge| edge.requests);
        edge_row.requests_per_second = per_second(requests(now), requests(before), passed);
        edge_row.in_flight = now.edge.as_ref().map(|edge| edge.in_flight);
        rows.push(edge_row);
        let second = |status: &Status| status.edge.as_ref()?.beside.clone();
        if let Some(beside) = second(now) {
            let usage = |status: &Status| second(status)?.usage;
            rows.push(Row {
                state: Some(beside.state),
                in_flight: Some(beside.in_flight),
                ..Row::own("mainstay second edge", usage(now), usage(before), passed)
            });
        }
        let keeper = |status: &Status| status.keeper.usage.clone();
        rows.push(Row::own("mainstay keeper", keeper(now), keeper(before), passed));
        let host = now.host.clone();
        let both = || Some((before.host.as_ref()?, now.host.as_ref()?));
        let rate = |of: fn(&HostStatus) -> u64| {
            both().and_then(|(before, now)| per_second(of(now), of(before), passed)).unwrap_or(0.0)
        };
        let share = |(before, now): (&HostStatus, &HostStatus)| {
            let total = now.total_ms.checked_sub(before.total_ms).filter(|total| *total > 0)?;
            Some(now.busy_ms.saturating_sub(before.busy_ms) as f64 * 100.0 / total as f64)
        };
        Self {
            host_cpu_percent: both().and_then(share).or_else(|| host.as_ref()?.cpu_percent),
            host_read_per_second: rate(|host| host.read_bytes),
            host_write_per_second: rate(|host| host.write_bytes),
            host,
            waiting: apps(now)
                .map(|(name, app)| (name, app.traffic.waiting))
                .filter(|(_, waiting)| *waiting > 0)
                .collect(),
            rows,
        }
    }

    /// For a terminal that is so wide.
    pub fn text(&self, sort: Sort, style: Style, columns: usize) -> String {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        let figure = |row: &Row| match sort {
            Sort::Cpu => row.cpu_percent.unwrap_or(0.0),
            Sort::Memory => row.memory as f64,
            Sort::Requests => row.requests_per_second.unwrap_or(0.0),
            Sort::Name => 0.0,
        };
        rows.sort_by(|one, other| {
            figure(other).total_cmp(&figure(one)).then_with(|| one.name.cmp(&other.name))
        });
        let mut table = Table::new(&[
            "NAME",
            "STATE",
            ">PID",
            ">CPU",
            ">MEMORY",
            ">THREADS",
            ">FILES",
            ">READ/S",
            ">WRITE/S",
            ">REQ/S",
            ">P99",
            ">IN FLIGHT",
        ]);
        rows.iter().for_each(|row| table.row(row.cells()));
        table.fit(columns, "", &DISPENSABLE);
        let waiting = self.waiting.iter().map(|(app, count)| format!("{app} {count}"));
        let waiting = waiting.collect::<Vec<_>>().join(", ");
        let waiting =
            if waiting.is_empty() { waiting } else { format!("{}{waiting}\n", head("waiting", style)) };
        self.host_text(style) + &waiting + "\n" + &table.render(style, "")
    }

    fn host_text(&self, style: Style) -> String {
        let Some(host) = &self.host else { return String::new() };
        let name = |text: &str| head(text, style);
        let cpu = self.host_cpu_percent.map_or_else(|| "-".to_owned(), percent);
        let [one, five, fifteen] = host.load;
        let bytes = |each_second: f64| short_size(each_second as u64);
        let (read, write) = (bytes(self.host_read_per_second), bytes(self.host_write_per_second));
        format!(
            "{}{cpu} of {} processors, load {one:.2} {five:.2} {fifteen:.2}, {} TCP sockets\n\
             {}{}, swap {}\n\
             {}{} of the home's file system, {read}/s read, {write}/s written\n",
            name("cpu"),
            host.cores,
            host.tcp_sockets,
            name("memory"),
            space(host.memory),
            space(host.swap),
            name("disk"),
            space(host.disk),
        )
    }
}

/// What a line above the table is about.
fn head(text: &str, style: Style) -> String {
    style.dim(&format!("{text:<8}"))
}

fn space(space: SpaceStatus) -> String {
    format!("{} of {}", short_size(space.used), short_size(space.total))
}

/// By name.
fn apps(status: &Status) -> impl Iterator<Item = (String, &AppStatus)> {
    status
        .stacks
        .iter()
        .flat_map(|stack| stack.apps.iter().map(|app| (format!("{}/{}", stack.name, app.name), app)))
}

/// By name and run.
fn instances(status: &Status) -> impl Iterator<Item = ((String, u64), &InstanceStatus)> {
    status.stacks.iter().flat_map(|stack| {
        let instances = stack.apps.iter().flat_map(|app| &app.instances);
        instances.map(|it| ((format!("{}/{}", stack.name, it.label), it.run), it))
    })
}

impl Row {
    fn of(
        name: String,
        instance: &InstanceStatus,
        former: Option<&InstanceStatus>,
        passed: Duration,
    ) -> Self {
        let sum = |instance: &InstanceStatus| instance.usage.as_ref().map(|usage| usage.sum.clone());
        let usage = Self::own(&name, sum(instance), former.and_then(sum), passed);
        let requests = former.and_then(|former| per_second(instance.requests, former.requests, passed));
        Self {
            state: Some(instance.state.clone()),
            pid: instance.pid,
            requests_per_second: requests.or(Some(instance.rate)),
            p99_us: instance.p99_us,
            in_flight: Some(instance.in_flight),
            ..usage
        }
    }

    fn own(name: &str, now: Option<ProcessStatus>, before: Option<ProcessStatus>, passed: Duration) -> Self {
        let now = now.unwrap_or_default();
        let before = before.filter(|before| before.pid == now.pid);
        let rate =
            |of: fn(&ProcessStatus) -> Option<u64>| per_second(of(&now)?, of(before.as_ref()?)?, passed);
        let cpu = rate(|process| Some(process.cpu_ms)).map(|each_second| each_second / 10.0);
        let (read_per_second, write_per_second) =
            (rate(|process| process.read_bytes), rate(|process| process.write_bytes));
        Self {
            name: name.to_owned(),
            state: None,
            pid: Some(now.pid).filter(|pid| *pid > 0),
            cpu_percent: cpu.or(now.cpu_percent),
            memory: now.memory,
            threads: now.threads,
            files: now.files,
            read_per_second,
            write_per_second,
            requests_per_second: None,
            p99_us: None,
            in_flight: None,
        }
    }

    fn cells(&self) -> Vec<(String, Option<String>)> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let bytes = |each_second: Option<f64>| or_dash(each_second.map(|bytes| short_size(bytes as u64)));
        let cells = [
            self.name.clone(),
            self.state.clone().unwrap_or_default(),
            or_dash(self.pid.map(|pid| pid.to_string())),
            or_dash(self.cpu_percent.map(percent)),
            short_size(self.memory),
            self.threads.to_string(),
            or_dash(self.files.map(|files| files.to_string())),
            bytes(self.read_per_second),
            bytes(self.write_per_second),
            or_dash(self.requests_per_second.map(rate)),
            or_dash(self.p99_us.map(latency)),
            or_dash(self.in_flight.map(|count| count.to_string())),
        ];
        let coloured = |(at, text): (usize, String)| (text, self.state.clone().filter(|_| at == 1));
        cells.into_iter().enumerate().map(coloured).collect()
    }
}

/// Of a counter that only rises; none where it fell (it is another's) or no time has passed.
fn per_second(now: u64, before: u64, passed: Duration) -> Option<f64> {
    let more = now.checked_sub(before)?;
    (!passed.is_zero()).then(|| more as f64 / passed.as_secs_f64())
}
