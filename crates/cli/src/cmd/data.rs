//! `mainstay data`: data services, seen from outside. What holds a password is read from the service's own folder in the keeper's home,
//! by whoever may: none of it travels through the control API.

use crate::args::{DataArgs, DataVerb, ShellArgs, UrlArgs};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target;
use crate::ui::Table;
use crate::ui::words::size;
use keeper::api::{AppStatus, ServiceStatus, Status};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders below one another that are looked into for the size: servers make a few.
const DEEPEST: usize = 16;

/// Does what was asked for; lists when nothing was.
pub fn run(context: &Context, args: DataArgs) -> Result<(), Failure> {
    match args.verb {
        None | Some(DataVerb::List) => list(context),
        Some(DataVerb::Shell(args)) => shell(context, &args),
        Some(DataVerb::Url(args)) => url(context, &args),
    }
}

/// A service that runs, or is to.
struct Found<'a> {
    stack: &'a str,
    app: &'a AppStatus,
    service: &'a ServiceStatus,
}

fn services(status: &Status) -> Vec<Found<'_>> {
    let apps = status.stacks.iter().flat_map(|stack| stack.apps.iter().map(|app| (stack.name.as_str(), app)));
    apps.filter_map(|(stack, app)| Some(Found { stack, app, service: app.service.as_ref()? })).collect()
}

fn list(context: &Context) -> Result<(), Failure> {
    let (home, client) = context.keeper()?;
    let status = client.status()?;
    let services = services(&status);
    let held = |found: &Found<'_>| on_disk(&home.service_named(found.stack, &found.app.name), DEEPEST);
    let mut out = io::stdout().lock();
    if context.json {
        let all: Vec<_> = services.iter().map(|found| as_json(found, held(found))).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&all).unwrap_or_default())?;
        return Ok(());
    }
    if services.is_empty() {
        writeln!(out, "no data service: [service.db] with kind = \"mariadb\" in mainstay.toml makes one")?;
        return Ok(());
    }
    let mut table =
        Table::new(&["NAME", "STATE", "SERVER", "ADDRESS", "DATABASE", "USER", ">ON DISK", "SOCKET"]);
    for found in &services {
        let Found { stack, app, service } = found;
        let name = if status.stacks.len() > 1 { format!("{stack}/{}", app.name) } else { app.name.clone() };
        let cells = [
            name,
            app.state.clone(),
            service.server.clone(),
            address(service),
            service.database.clone().unwrap_or_else(|| "-".into()),
            service.database.as_ref().map_or_else(|| "-".into(), |_| service.user.clone()),
            held(found).map_or_else(|| "?".into(), size),
            service.socket.display().to_string(),
        ];
        let coloured = |(column, text): (usize, String)| (text, (column == 1).then(|| app.state.clone()));
        table.row(cells.into_iter().enumerate().map(coloured).collect());
    }
    write!(out, "{}", table.render(context.style(), ""))?;
    Ok(())
}

/// Where a service listens on this machine.
pub fn address(service: &ServiceStatus) -> String {
    service.port.map_or_else(|| "-".to_owned(), |port| format!("127.0.0.1:{port}"))
}

fn as_json(found: &Found<'_>, held: Option<u64>) -> serde_json::Value {
    let Found { stack, app, service } = found;
    json!({
        "stack": stack, "name": app.name, "state": app.state, "kind": service.kind, "server": service.server,
        "host": "127.0.0.1", "port": service.port, "socket": service.socket, "database": service.database,
        "user": service.user, "bytes": held,
    })
}

fn shell(context: &Context, args: &ShellArgs) -> Result<(), Failure> {
    let described = described(context, &args.name)?;
    match data::client(&described, args.admin, &args.arguments)? {}
}

fn url(context: &Context, args: &UrlArgs) -> Result<(), Failure> {
    let url = data::url(&described(context, &args.name)?)?;
    // a pipe ends in a file or a log more often than not
    let open = args.show_password || (io::stdout().is_terminal() && !context.json);
    let shown = if open { url.whole() } else { &url.masked() };
    if context.json {
        println!("{}", json!({ "url": shown }));
    } else {
        println!("{shown}");
    }
    if !open {
        eprintln!("the password is masked: --show-password shows it");
    }
    Ok(())
}

/// The description of the service that is meant: `service`, or `stack/service`.
fn described(context: &Context, name: &str) -> Result<PathBuf, Failure> {
    let (home, client) = context.keeper()?;
    let status = client.status()?;
    let targets = target::apps(context, &status, &[name.to_owned()])?;
    let target =
        targets.first().filter(|target| target.find(&status).is_some_and(|app| app.service.is_some()));
    let Some(target) = target else {
        let known: Vec<&str> = services(&status).iter().map(|found| found.app.name.as_str()).collect();
        let failure = Failure::new(Code::Usage, format!("{name} is an app, no data service"));
        return Err(match known.is_empty() {
            true => failure,
            false => failure.next(format!("data services: {}", known.join(", "))),
        });
    };
    Ok(data::description_in(&home.service_named(&target.stack, &target.app)))
}

/// Bytes that a folder takes on the disk, no link followed; none where it may not be read.
fn on_disk(folder: &Path, deepest: usize) -> Option<u64> {
    let mut bytes = 0_u64;
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        // what a server removes meanwhile counts no more
        let Ok(meta) = entry.metadata() else { continue };
        let held = meta.blocks().saturating_mul(512);
        bytes = bytes.saturating_add(held);
        if meta.is_dir() && deepest > 0 {
            bytes = bytes.saturating_add(on_disk(&entry.path(), deepest - 1)?);
        }
    }
    Some(bytes)
}
