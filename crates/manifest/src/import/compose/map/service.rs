//! A service becomes an app: each topic puts its keys.

use super::Cx;
use super::doors::Door;
use super::native::Native;
use super::out::{Table, flag};
use super::speaks::{self, Speech};
use super::{
    build, command, confine, container, deploy, environment, files, health, image, lifecycle, native, needs,
    networks, ports, volumes,
};
use crate::tree::{Kind, Node};

/// Keys of an app as people read them; what is not here follows.
const ORDER: [&str; 21] = [
    "image",
    "build",
    "entrypoint",
    "run",
    "dir",
    "port",
    "listen",
    "instances",
    "balance",
    "sticky",
    "resources",
    "env",
    "env_file",
    "needs",
    "health",
    "restart",
    "stop",
    "logs",
    "user",
    "volumes",
    "files",
];

/// A service, and what is known of it before its app is made.
#[derive(Debug)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// As it stands in the file.
    pub node: &'a Node,
    /// What it publishes.
    pub ports: Vec<Door>,
    /// Where it takes requests, if that is known.
    pub port: Option<u16>,
    /// What it becomes instead of a container.
    pub native: Option<Native>,
}

/// Every service that becomes an app. One that is Traefik does not: Mainstay takes its place.
pub fn all<'a>(cx: &mut Cx<'a>) -> Vec<Service<'a>> {
    let mut all = Vec::new();
    for (name, node) in cx.services() {
        if !matches!(node.kind, Kind::Table(_)) {
            continue;
        }
        if cx.routing.replaced.contains(name) {
            continue;
        }
        if deploy::is_none(node) {
            let at = node.key.clone().unwrap_or(node.span.clone());
            cx.warn(format!("`{name}` has no instance: it is left out"), &at, "`replicas` is 0");
            continue;
        }
        let ports = ports::published(cx, node);
        let ports: Vec<Door> = ports
            .into_iter()
            .map(|port| {
                let (speaks, why) = speaks::of(node, &port);
                Door { port, speaks, why }
            })
            .collect();
        let exposed = networks::exposed(node);
        let port = speaks::own(&ports).or(match exposed[..] {
            [one] if ports.is_empty() => Some(one),
            _ => None,
        });
        let native = native::of(cx, name, node);
        all.push(Service { name, node, ports, port, native });
    }
    all
}

/// Puts all apps.
pub fn put(cx: &mut Cx<'_>, root: &mut Table, services: Vec<Service<'_>>) {
    build::shared(cx);
    let ended = needs::awaited_to_end(cx);
    lifecycle::unsaid(cx, &ended);
    let mut own: Vec<&str> = services.iter().map(|service| service.name).collect();
    own.sort_unstable();
    let gone = cx.services().iter().map(|(name, _)| name.clone());
    let gone: Vec<String> = gone.filter(|name| own.binary_search(&name.as_str()).is_err()).collect();
    let (mut apps, mut data) = (Table::at(cx.tree), Table::at(cx.tree));
    for service in services {
        match &service.native {
            Some(Native::Service(own)) => data.put(service.name, own.clone()),
            Some(Native::Static(_)) => {}
            _ => apps.put(service.name, app(cx, &service, &ended, &gone)),
        }
    }
    root.put_table("app", apps);
    root.put_table("service", data);
}

fn app(cx: &mut Cx<'_>, service: &Service<'_>, ended: &[String], gone: &[String]) -> Node {
    let Service { name, node, port, .. } = *service;
    let mut app = Table::at(node);
    let inside = match &service.native {
        Some(Native::App(own)) => {
            own.entries().iter().for_each(|(key, value)| app.put(key, value.clone()));
            false
        }
        _ => {
            origin(cx, name, node, &mut app);
            true
        }
    };
    if let Some(port) = port {
        app.put(
            "port",
            super::out::integer(i64::from(port), node.get("ports").or(node.get("expose")).unwrap_or(node)),
        );
    }
    deploy::put(cx, node, &mut app);
    environment::put(cx, name, node, &mut app);
    needs::put(cx, node, gone, &mut app);
    let once = ended.iter().any(|own| own == name);
    if once && !app.has("port") {
        app.put("listen", flag(false, node));
    }
    let datagrams = !service.ports.is_empty() && service.ports.iter().all(|door| door.speaks == Speech::Udp);
    health::put(cx, node, health::Reached { port, datagrams }, &mut app);
    lifecycle::put(cx, node, once, &mut app);
    if inside {
        confine::put(cx, node, &mut app);
        volumes::put(cx, node, &mut app);
        files::put(cx, node, &mut app);
        networks::put(cx, name, node, &mut app);
        container::put(cx, node, &mut app);
    }
    for (key, value) in cx.routing.apps.get(name).cloned().unwrap_or_default() {
        app.put(&key, value);
    }
    app.sort(&ORDER);
    app.node()
}

/// Where its container comes from, and what runs in it.
fn origin(cx: &mut Cx<'_>, name: &str, node: &Node, app: &mut Table) {
    image::put(cx, node, app);
    build::put(cx, name, node, app);
    if !app.has("image") && !app.has("build") && node.get("provider").is_none() {
        let at = node.key.clone().unwrap_or(node.span.clone());
        let message = format!("`{name}` has neither `image` nor `build`");
        cx.error(message, &at, "nothing to make a container from");
    }
    command::put(cx, node, app);
}
