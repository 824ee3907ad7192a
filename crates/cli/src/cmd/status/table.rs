//! The table of instances: a row for each, its processes below it where they are wanted. On a narrow terminal the columns that say
//! least give way first.

use crate::ui::words::{duration, latency, number, percent, short_size};
use crate::ui::{Style, Table};
use keeper::api::{AppStatus, InstanceStatus, ProcessStatus};
use std::time::Duration;

type Row = Vec<(String, Option<String>)>;

const HEADS: [&str; 12] = [
    "NAME",
    "STATE",
    ">PID",
    ">UPTIME",
    ">RESTARTS",
    ">REQUESTS",
    ">IN FLIGHT",
    ">P50",
    ">P99",
    ">CPU",
    ">MEMORY",
    ">FILES",
];
/// What is left out first where there is no room.
const DISPENSABLE: [&str; 8] = ["P50", "FILES", "IN FLIGHT", "REQUESTS", "P99", "CPU", "UPTIME", "PID"];

/// How the table is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Colours.
    pub style: Style,
    /// Characters of a line.
    pub columns: usize,
    /// With the processes of each instance.
    pub workers: bool,
}

/// The table of these apps, as lines; empty where there is none.
pub fn render<'a>(apps: impl Iterator<Item = &'a AppStatus>, look: Look) -> String {
    let mut table = Table::new(&HEADS);
    for app in apps {
        for instance in &app.instances {
            table.row(instance_row(instance, app));
            let processes = instance.usage.iter().flat_map(|usage| &usage.processes);
            processes.filter(|_| look.workers).for_each(|process| table.row(process_row(process)));
        }
        if app.instances.is_empty() {
            table.row(vec![(app.name.clone(), None), (app.state.clone(), Some(app.state.clone()))]);
        }
    }
    table.fit(look.columns, "  ", &DISPENSABLE);
    if table.is_empty() { String::new() } else { table.render(look.style, "  ") + "\n" }
}

fn instance_row(instance: &InstanceStatus, app: &AppStatus) -> Row {
    // what is spoken to a data service are no requests of the edge's
    let asked = |text: String| or_dash(app.service.is_none().then_some(text));
    let usage = instance.usage.as_ref();
    let cells = [
        instance.label.clone(),
        state(instance),
        or_dash(instance.pid.map(|pid| pid.to_string())),
        or_dash(instance.uptime_ms.map(|millis| duration(Duration::from_millis(millis)))),
        restarts(instance),
        asked(instance.requests.to_string()),
        asked(instance.in_flight.to_string()),
        or_dash(instance.p50_us.map(latency)),
        or_dash(instance.p99_us.map(latency)),
        or_dash(usage.and_then(|usage| usage.sum.cpu_percent).map(percent)),
        or_dash(instance.memory.map(|bytes| memory(bytes, app))),
        or_dash(usage.and_then(|usage| usage.sum.files.map(|files| of(files, usage.files_limit)))),
    ];
    let coloured = |(column, text): (usize, String)| (text, (column == 1).then(|| instance.state.clone()));
    cells.into_iter().enumerate().map(coloured).collect()
}

fn process_row(process: &ProcessStatus) -> Row {
    let blank = String::new;
    let cells = [
        format!("  {}", process.name),
        blank(),
        process.pid.to_string(),
        blank(),
        blank(),
        blank(),
        blank(),
        blank(),
        blank(),
        or_dash(process.cpu_percent.map(percent)),
        short_size(process.memory),
        or_dash(process.files.map(number)),
    ];
    cells.into_iter().map(|text| (text, None)).collect()
}

/// Ready, but the front door leaves it alone after failures in a row.
fn state(instance: &InstanceStatus) -> String {
    if instance.left_alone { format!("{}, left alone", instance.state) } else { instance.state.clone() }
}

/// With the reason of the last one.
fn restarts(instance: &InstanceStatus) -> String {
    match &instance.ended {
        Some(ended) => format!("{} ({ended})", instance.restarts),
        None => instance.restarts.to_string(),
    }
}

/// With the limit that is enforced: where an instance is ended, else where it is recycled.
fn memory(bytes: u64, app: &AppStatus) -> String {
    let limit = app.memory_limit.or(app.memory_recycle);
    limit.map_or_else(|| short_size(bytes), |limit| format!("{}/{}", short_size(bytes), short_size(limit)))
}

fn of(files: u64, limit: Option<u64>) -> String {
    limit.map_or_else(|| number(files), |limit| format!("{}/{}", number(files), number(limit)))
}

/// What is not known is a dash.
pub fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app(memory_limit: Option<u64>) -> AppStatus {
        let process = |pid: u32, name: &str, cpu: f64| json!({ "pid": pid, "name": name, "cpu_percent": cpu, "memory": 26 << 20, "files": 9 });
        let mut usage = process(41213, "gunicorn", 12.4);
        usage["files_limit"] = 1024.into();
        usage["processes"] = json!([process(41213, "gunicorn", 0.0), process(41215, "gunicorn", 12.4)]);
        let instance = json!({
            "label": "api.1", "run": 3, "state": "ready", "pid": 41213, "address": null, "uptime_ms": 124_000,
            "restarts": 2, "last_end": "was ended by signal 9", "ended": "signal 9", "memory": 312 << 20,
            "requests": 12_034, "in_flight": 3, "p50_us": 1_240, "p99_us": 84_000, "usage": usage,
        });
        let app = json!({
            "name": "api", "state": "ready", "wanted": 1, "ready": 1, "reason": null, "build": null,
            "memory_limit": memory_limit, "instances": [instance], "history": [],
        });
        serde_json::from_value(app).unwrap()
    }

    fn shown(columns: usize, workers: bool) -> String {
        let look = Look { style: Style::new(false), columns, workers };
        let stopped =
            AppStatus { name: "old".into(), state: "stopped".into(), instances: vec![], ..app(None) };
        render([app(Some(1 << 30)), stopped].iter(), look)
    }

    #[test]
    fn a_wide_terminal_has_all_columns_with_limits_and_reasons() {
        let wide = "  NAME   STATE      PID  UPTIME      RESTARTS  REQUESTS  IN FLIGHT     P50    P99  CPU   MEMORY   FILES
  api.1  ready    41213   2m 4s  2 (signal 9)     12034          3  1.2 ms  84 ms  12%  312M/1G  9/1024
  old    stopped

";
        assert_eq!(shown(120, false), wide);
        assert_eq!(shown(usize::MAX, false), wide);
    }

    #[test]
    fn a_narrow_one_keeps_what_says_most() {
        let narrow = "  NAME   STATE      PID  UPTIME      RESTARTS  REQUESTS    P99  CPU   MEMORY
  api.1  ready    41213   2m 4s  2 (signal 9)     12034  84 ms  12%  312M/1G
  old    stopped

";
        assert_eq!(shown(80, false), narrow);
        assert!(shown(30, false).contains("312M/1G"), "memory stays");
    }

    #[test]
    fn each_process_of_an_instance_has_its_line() {
        let lines = shown(120, true);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert!(lines[2].starts_with("    gunicorn") && lines[2].contains("41213"), "{lines:?}");
        assert!(
            lines[3].contains("41215") && lines[3].contains("12%") && lines[3].ends_with('9'),
            "{lines:?}"
        );
    }
}
