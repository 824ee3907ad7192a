//! `mainstay ps`: apps and services of the stack as people know them from Compose, a line for each instance.

use crate::args::PsArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::target;
use crate::ui::Table;
use crate::ui::words::duration;
use keeper::api::{AppStatus, InstanceStatus};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Lists them.
pub fn run(context: &Context, args: &PsArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let status = client.status()?;
    let targets = match args.names.is_empty() {
        true => target::all(context, &status)?,
        false => target::apps(context, &status, &args.names)?,
    };
    let apps = || targets.iter().filter_map(|target| target.find(&status));
    let mut out = io::stdout().lock();
    if context.json {
        let all: Vec<Value> = apps().map(as_json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&all).unwrap_or_default())?;
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "SERVICE", "STATE", "SINCE", "PORTS", "IMAGE"]);
    for app in apps() {
        for instance in &app.instances {
            table.row(row(app, Some(instance)));
        }
        if app.instances.is_empty() {
            table.row(row(app, None));
        }
    }
    write!(out, "{}", table.render(context.style(), ""))?;
    Ok(())
}

fn row(app: &AppStatus, instance: Option<&InstanceStatus>) -> Vec<(String, Option<String>)> {
    let dash = || "-".to_owned();
    let state = instance.map_or(&app.state, |instance| &instance.state);
    let since = instance.and_then(|instance| instance.uptime_ms).map(Duration::from_millis).map(duration);
    let address = instance.and_then(|instance| instance.address.clone());
    let service = || app.service.as_ref()?.port.map(|port| format!("127.0.0.1:{port}"));
    let inside = address.or_else(service);
    let ports: Vec<String> = app.ports.iter().cloned().chain(inside).collect();
    let cells = [
        instance.map_or(&app.name, |instance| &instance.label).clone(),
        app.name.clone(),
        state.clone(),
        since.unwrap_or_else(dash),
        if ports.is_empty() { dash() } else { ports.join(", ") },
        app.image.clone().or_else(|| Some(app.service.as_ref()?.server.clone())).unwrap_or_else(dash),
    ];
    cells.into_iter().enumerate().map(|(column, text)| (text, (column == 2).then(|| state.clone()))).collect()
}

fn as_json(app: &AppStatus) -> Value {
    let instances = app.instances.iter().map(|instance| {
        json!({
            "name": instance.label, "state": instance.state, "pid": instance.pid, "address": instance.address,
            "uptime_ms": instance.uptime_ms, "restarts": instance.restarts, "last_end": instance.last_end,
        })
    });
    json!({
        "service": app.name, "state": app.state, "image": app.image, "ports": app.ports,
        "wanted": app.wanted, "ready": app.ready, "instances": instances.collect::<Vec<_>>(),
    })
}
