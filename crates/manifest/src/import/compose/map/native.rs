//! `--native`: images of what Mainstay runs itself become services and apps of its own. Only on demand: an image stays an image otherwise.
//! What differs is reported; where it cannot be done, that too, and the container stays.

use super::Cx;
use super::out::{Table, items, pairs, text};
use super::speaks::program;
use crate::tree::{Kind, Node};

/// Images of servers that are a kind of `[service.NAME]`, and the beginning of their variables.
const KINDS: [(&str, &str, &[&str]); 2] =
    [("mariadb", "mariadb", &["MARIADB_", "MYSQL_"]), ("mysql", "mysql", &["MYSQL_"])];

/// Programs of which this version has no kind of its own.
const LATER: [(&str, &str); 4] =
    [("postgres", "postgresql"), ("redis", "redis"), ("valkey", "redis"), ("memcached", "memcached")];

/// Programs whose code lies on the host, and what runs it there.
const RUNTIMES: [&str; 3] = ["node", "python", "bun"];

/// What a container becomes instead.
#[derive(Debug)]
pub enum Native {
    /// `[service.NAME]`.
    Service(Node),
    /// Keys of `[app.NAME]` in the place of its image: `run`, `dir`.
    App(Table),
    /// A folder that the edge serves by itself.
    Static(Node),
}

/// The native form of a service, if there is one.
pub fn of(cx: &mut Cx<'_>, name: &str, service: &Node) -> Option<Native> {
    let image = service.get("image").filter(|_| cx.input.options.native)?;
    if service.get("build").is_some() {
        return None;
    }
    let written = image.scalar()?.into_owned();
    let own = program(&written).to_owned();
    if let Some((_, kind, starts)) = KINDS.iter().find(|(program, ..)| *program == own) {
        return Some(Native::Service(data(cx, name, service, image, kind, starts)));
    }
    if let Some((_, kind)) = LATER.iter().find(|(program, _)| *program == own) {
        let message =
            format!("`{written}` stays a container: this version has no service of the kind `{kind}`");
        cx.info(message, &image.span, "not yet native");
        return None;
    }
    let native = match &*own {
        "nginx" => pages(service).map(Native::Static),
        own if RUNTIMES.contains(&own) => code(service).map(Native::App),
        _ => return None,
    };
    let message = match &native {
        Some(Native::Static(_)) => format!("`{name}` becomes a folder that Mainstay serves itself"),
        Some(_) => format!(
            "`{name}` runs on the host: with the host's `{own}`, whichever version that is, and the host's files"
        ),
        None => format!(
            "`{written}` stays a container: its files are not in a folder of the host's that is known"
        ),
    };
    cx.info(message, &image.span, "instead of a container");
    native
}

/// A database. Its data begin anew: those in a volume are the image's own, in a version of its own.
fn data(cx: &mut Cx<'_>, name: &str, service: &Node, image: &Node, kind: &str, starts: &[&str]) -> Node {
    let mut table = Table::at(service);
    table.put("kind", text(kind, image));
    let environment = pairs(service.get("environment"));
    for (suffix, key) in [("DATABASE", "database"), ("USER", "user"), ("PASSWORD", "password")] {
        let named =
            |pair: &&super::out::Pair| starts.iter().any(|start| pair.name == format!("{start}{suffix}"));
        let Some(value) = environment.iter().find(named).and_then(|pair| pair.value.clone()) else {
            continue;
        };
        if key == "password" {
            let mut secret = Table::at(&value);
            secret.put("secret", Node { key: None, ..value });
            table.put(key, secret.node());
        } else {
            table.put(key, value);
        }
    }
    let message = format!(
        "`{name}` becomes a service of Mainstay's own: the version is the host's, and it begins without data"
    );
    cx.info(message, &image.span, "instead of a container")
        .help("dump the data of the container and load them into the service once");
    if let Some(volumes) = service.get("volumes") {
        let at = volumes.key.clone().unwrap_or(volumes.span.clone());
        cx.info(
            format!("the volumes of `{name}` are not used: its files are in Mainstay's own folder"),
            &at,
            "left alone",
        );
    }
    table.node()
}

/// Binds of the host's folders: source and path inside.
fn binds(service: &Node) -> Vec<(String, String)> {
    let bind = |item: &Node| {
        let written = |key: &str| item.get(key).and_then(|node| node.scalar()).map(|text| text.into_owned());
        let (source, target) = match item.kind {
            Kind::Table(_) => (written("source")?, written("target")?),
            _ => {
                let text = item.scalar()?.into_owned();
                let mut parts = text.split(':').map(str::to_owned);
                (parts.next()?, parts.next()?)
            }
        };
        source.starts_with(['.', '/']).then_some((source, target))
    };
    items(service.get("volumes")).iter().filter_map(bind).collect()
}

/// The folder of pages of an nginx that serves nothing else.
fn pages(service: &Node) -> Option<Node> {
    let binds = binds(service);
    let configured = binds.iter().any(|(_, target)| target.starts_with("/etc/nginx"));
    let (source, _) = binds.iter().find(|(_, target)| target == "/usr/share/nginx/html")?;
    (!configured && service.get("command").is_none()).then(|| text(source.clone(), service))
}

/// `run` and `dir` of a program whose code is bound into the container.
fn code(service: &Node) -> Option<Table> {
    let dir = service.get("working_dir")?.scalar()?.into_owned();
    let command = service.get("command")?;
    let binds = binds(service);
    let (source, target) =
        binds.iter().find(|(_, target)| dir == *target || dir.starts_with(&format!("{target}/")))?;
    let rest = dir.strip_prefix(target.as_str()).unwrap_or_default();
    let mut table = Table::at(service);
    table.put("dir", text(format!("{}{rest}", source.trim_end_matches('/')), service));
    let words = match &command.kind {
        Kind::Array(words) => {
            super::out::list(words.iter().filter_map(super::out::scalar).collect(), command)
        }
        _ => super::out::scalar(command)?,
    };
    table.put("run", words);
    Some(table)
}
