//! `mainstay ports`: every TCP port of the host on which somebody listens, and whose it is. Looks by itself, so that it also says
//! who is in the way when nothing of ours runs.

use crate::args::PortsArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::ui::{Style, Table};
use keeper::api::{Detail, Status, StatusQuery};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use sys::listening::Listening;

/// A listening address.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Port {
    address: SocketAddr,
    /// The process that answers there; none: it is not ours to look at.
    pid: Option<u32>,
    /// Name of its executable.
    program: Option<String>,
    /// The stack, where it is one's instance.
    stack: Option<String>,
    /// `app.slot`.
    instance: Option<String>,
    /// Whose it is, in words.
    owner: String,
}

/// Shows them.
pub fn run(context: &Context, args: &PortsArgs) -> Result<(), Failure> {
    let query = StatusQuery { usage: Detail::Quick, ..StatusQuery::default() };
    let status = context.find_keeper().map(|(_, client)| client.status_with(query)).transpose()?;
    let owners = status.as_ref().map(owners).unwrap_or_default();
    let found = sys::listening::listening(&args.ports).into_iter();
    let inside = status.iter().flat_map(|status| inside(status, &args.ports));
    let ports: Vec<Port> = found.chain(inside).map(|it| port(&it, &owners, status.as_ref())).collect();
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&ports).unwrap_or_default())?;
    } else if ports.is_empty() {
        writeln!(out, "nobody listens there")?;
    } else {
        write!(out, "{}", text(&ports, context.style()))?;
    }
    Ok(())
}

/// Stack and label of an instance by each of its processes.
type Owners = BTreeMap<u32, (String, String)>;

fn owners(status: &Status) -> Owners {
    let mut owners = Owners::new();
    for stack in &status.stacks {
        for instance in stack.apps.iter().flat_map(|app| &app.instances) {
            let processes = instance.usage.iter().flat_map(|usage| &usage.processes);
            for pid in processes.map(|process| process.pid).chain(instance.pid) {
                owners.insert(pid, (stack.name.clone(), instance.label.clone()));
            }
        }
    }
    owners
}

/// What listens in networks of instances' own. An address that stands for all of theirs is shown as the one they have.
fn inside(status: &Status, ports: &[u16]) -> Vec<Listening> {
    let instances = status.stacks.iter().flat_map(|stack| &stack.apps).flat_map(|app| &app.instances);
    let mut found = Vec::new();
    for instance in instances {
        let (Some(pid), Some(own)) = (instance.pid, instance.networks.values().next()) else { continue };
        for mut it in sys::listening::listening_beside(pid, ports) {
            if it.address.ip().is_unspecified() {
                it.address.set_ip(*own);
            }
            found.push(it);
        }
    }
    found
}

/// Of several that hold it (a master and its workers, the front door and the keeper) the one that the others come from answers.
fn port(found: &Listening, owners: &Owners, status: Option<&Status>) -> Port {
    let edge = status.and_then(|status| status.edge.as_ref());
    let ours = edge.map(|edge| edge.pid).filter(|pid| found.pids.contains(pid));
    let instance = found.pids.iter().find_map(|pid| owners.get(pid));
    let pid = ours.or_else(|| {
        let of_instance = |pid: &&u32| instance.is_none() || owners.contains_key(pid);
        found.pids.iter().find(of_instance).copied()
    });
    let program = pid.and_then(sys::proc::stat).map(|stat| stat.name);
    let owner = match (ours, instance, &program) {
        (Some(_), ..) => front_door(found.address, status),
        (_, Some((stack, label)), _) => format!("{stack}/{label}"),
        (_, _, Some(program)) => format!("{program}, not of Mainstay"),
        (_, _, None) => "not to be seen: another user's, or of a container".to_owned(),
    };
    let instance = instance.filter(|_| ours.is_none());
    Port {
        address: found.address,
        pid,
        program,
        stack: instance.map(|(stack, _)| stack.clone()),
        instance: instance.map(|(_, label)| label.clone()),
        owner,
    }
}

/// With the sites that answer there.
fn front_door(address: SocketAddr, status: Option<&Status>) -> String {
    let port = format!(":{}/", address.port());
    let usual = match address.port() {
        80 => Some("http://"),
        443 => Some("https://"),
        _ => None,
    };
    let is_there = |url: &&String| match usual {
        Some(scheme) => url.starts_with(scheme) && url.matches(':').count() == 1,
        None => url.ends_with(&port),
    };
    let urls = status.iter().flat_map(|status| &status.stacks).flat_map(|stack| &stack.urls);
    let sites: Vec<&str> = urls.filter(is_there).map(String::as_str).collect();
    if sites.is_empty() {
        return "the front door".to_owned();
    }
    format!("the front door: {}", sites.join(" "))
}

fn text(ports: &[Port], style: Style) -> String {
    let mut table = Table::new(&[">PORT", "ADDRESS", ">PID", "PROGRAM", "OWNER"]);
    for port in ports {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let cells = [
            port.address.port().to_string(),
            port.address.ip().to_string(),
            or_dash(port.pid.map(|pid| pid.to_string())),
            or_dash(port.program.clone()),
            port.owner.clone(),
        ];
        table.row(cells.map(|text| (text, None)).into());
    }
    table.render(style, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pids: &[u32]) -> Listening {
        Listening { address: ([127, 0, 0, 1], 3000).into(), pids: pids.iter().copied().collect() }
    }

    #[test]
    fn an_owner_is_named_even_where_a_worker_alone_is_known() {
        let owners = Owners::from([(8, ("shop".to_owned(), "web.1".to_owned()))]);
        let port = port(&found(&[7, 8]), &owners, None);
        assert_eq!((port.pid, port.owner.as_str()), (Some(8), "shop/web.1"));
        assert_eq!((port.stack.as_deref(), port.instance.as_deref()), (Some("shop"), Some("web.1")));
    }

    #[test]
    fn others_are_named_as_such() {
        let own = std::process::id();
        let foreign = port(&found(&[own]), &Owners::new(), None);
        assert!(foreign.pid == Some(own) && foreign.owner.ends_with(", not of Mainstay"), "{foreign:?}");
        let hidden = port(&found(&[]), &Owners::new(), None);
        assert_eq!(
            (hidden.pid, hidden.owner.as_str()),
            (None, "not to be seen: another user's, or of a container")
        );
    }
}
