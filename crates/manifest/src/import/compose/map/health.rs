//! `healthcheck`: a command that runs in the container, or what it comes to. `curl -f` on the service's own port becomes a request of our
//! own: slim images have no curl.

use super::Cx;
use super::out::{Table, flag, integer, items, length, list, millis, scalar, text, truth};
use crate::tree::{Kind, Node};

/// What Docker takes where nothing is said, in milliseconds.
const TIMEOUT: u64 = 30_000;
const INTERVAL: u64 = 30_000;
const RETRIES: u64 = 3;

/// Our own default of `start_period`, in milliseconds: nothing shorter is asked for.
const START: u64 = 60_000;

/// What of an app could be tried from outside.
#[derive(Debug, Clone, Copy)]
pub struct Reached {
    /// Where it takes requests, if that is known.
    pub port: Option<u16>,
    /// It takes datagrams there: nobody can connect, so it is healthy while its process lives.
    pub datagrams: bool,
}

/// Puts `health`.
pub fn put(cx: &mut Cx<'_>, service: &Node, Reached { port, datagrams }: Reached, app: &mut Table) {
    let check = service.get("healthcheck").filter(|node| matches!(node.kind, Kind::Table(_)));
    let mut health =
        check.map(|check| said(cx, check, port, datagrams)).unwrap_or_else(|| Table::at(service));
    if datagrams && !health.has("command") {
        health.put("tcp", flag(false, check.unwrap_or(service)));
    }
    app.put_table("health", health);
}

/// What is said of it in the file.
fn said(cx: &mut Cx<'_>, check: &Node, port: Option<u16>, datagrams: bool) -> Table {
    let mut health = Table::at(check);
    let off = check.get("disable").and_then(truth) == Some(true);
    let test = check.get("test").filter(|_| !off);
    let words = test.map(|node| (node, words(node)));
    if off || words.as_ref().is_some_and(|(_, words)| words.first().is_some_and(|word| word == "NONE")) {
        let message = match datagrams {
            true => "no health check is asked for: it is healthy while its process lives",
            false => "no health check is asked for: it is healthy when it takes connections",
        };
        cx.info(message, check.key.as_ref().unwrap_or(&check.span), "switched off");
        return health;
    }
    if let Some((node, words)) = words {
        tried(cx, node, &words, port.filter(|_| !datagrams), &mut health);
    }
    let given = |key: &str| check.get(key);
    let time = |cx: &mut Cx<'_>, key: &str| given(key).and_then(|node| duration(cx, node));
    let (interval, timeout) = (time(cx, "interval"), time(cx, "timeout"));
    health.put_if("interval", interval.zip(given("interval")).map(|(value, node)| length(value, node)));
    if given("test").is_some() || timeout.is_some() {
        health.put("timeout", length(timeout.unwrap_or(TIMEOUT), given("timeout").unwrap_or(check)));
    }
    let retries = given("retries").and_then(|node| Some((node.scalar()?.parse::<u64>().ok()?, node)));
    if let Some((count, node)) = retries {
        health.put("retries", integer(i64::try_from(count.max(1)).unwrap_or(i64::MAX), node));
    }
    // Docker calls a container unhealthy after its retries behind the start period: an instance is not given up before.
    let start = time(cx, "start_period");
    let retries = retries.map_or(RETRIES, |(count, _)| count);
    let patience = interval.unwrap_or(INTERVAL).saturating_mul(retries).saturating_add(start.unwrap_or(0));
    if patience > START {
        health.put("start_period", length(patience, given("start_period").unwrap_or(check)));
    }
    health
}

fn duration(cx: &mut Cx<'_>, node: &Node) -> Option<u64> {
    let value = millis(&node.scalar()?);
    if value.is_none() {
        cx.error("a length of time is a number with a unit, such as `1m30s`", &node.span, "is none");
    }
    value.filter(|value| *value > 0)
}

fn words(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Text(line) => vec!["CMD-SHELL".into(), line.clone()],
        _ => items(Some(node)).iter().filter_map(|item| Some(item.scalar()?.into_owned())).collect(),
    }
}

fn tried(cx: &mut Cx<'_>, node: &Node, words: &[String], port: Option<u16>, health: &mut Table) {
    let given: Vec<Node> = match node.kind {
        Kind::Array(_) => items(Some(node)).iter().skip(1).filter_map(scalar).collect(),
        _ => scalar(node).into_iter().collect(),
    };
    let (kind, rest) = words.split_first().map_or(("", words), |(kind, rest)| (kind.as_str(), rest));
    if let Some(path) = own_request(rest, port) {
        let message = format!("Mainstay asks for `{path}` itself instead of running `{}`", shown(rest));
        cx.info(message, &node.span, "needs no program in the image");
        return health.put("path", text(path, node));
    }
    match kind {
        "CMD" if !given.is_empty() => health.put("command", list(given, node)),
        "CMD-SHELL" if !given.is_empty() => {
            let mut command = vec![text("/bin/sh", node), text("-c", node)];
            command.extend(given);
            health.put("command", list(command, node));
        }
        "CMD" | "CMD-SHELL" => {
            cx.error("the command of this health check is missing", &node.span, "nothing to run");
        }
        _ => {
            cx.error(
                "a health check begins with `CMD`, `CMD-SHELL` or `NONE`",
                &node.span,
                "begins otherwise",
            )
            .help("write `test: [\"CMD\", …]`, or one line of shell as a text");
        }
    }
}

fn shown(words: &[String]) -> String {
    words
        .iter()
        .map(|word| word.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The path of `curl -f http://localhost:PORT/path` or `wget --spider` of the same, where `PORT` is the app's own.
fn own_request(words: &[String], port: Option<u16>) -> Option<String> {
    let words: Vec<String> = match words {
        [line] => shell_words::split(line).ok()?,
        words => words.to_vec(),
    };
    let mut words: &[String] = &words;
    // what follows makes any failure the number 1
    if let [rest @ .., or, exit, one] = words
        && (or.as_str(), exit.as_str(), one.as_str()) == ("||", "exit", "1")
    {
        words = rest;
    }
    let (program, rest) = words.split_first()?;
    let (fails, allowed): (&[&str], &[&str]) = match program.rsplit('/').next()? {
        "curl" => (
            &["-f", "--fail", "-fsS", "-fs", "-sf", "-fS", "-Sf", "-sSf", "-fsSL", "-fL"],
            &["-s", "-S", "-sS", "-L", "--silent", "--show-error", "-o", "/dev/null", "-I"],
        ),
        "wget" => (
            &["--spider"],
            &["-q", "--quiet", "--no-verbose", "-nv", "--tries=1", "-qO-", "-O-", "-O", "-", "/dev/null"],
        ),
        _ => return None,
    };
    let is_url = |word: &&String| word.starts_with("http://");
    let url = rest.iter().find(is_url)?;
    let others = rest.iter().filter(|word| !is_url(word));
    let mut may_fail = program.ends_with("wget");
    for word in others {
        may_fail |= fails.contains(&word.as_str());
        if !fails.contains(&word.as_str()) && !allowed.contains(&word.as_str()) {
            return None;
        }
    }
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, own) = authority.split_once(':').unwrap_or((authority, "80"));
    let here = ["localhost", "127.0.0.1", "0.0.0.0"].contains(&host);
    (here && may_fail && own.parse().ok() == port && port.is_some() && !path.contains(['?', '$']))
        .then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::own_request;

    #[test]
    fn requests_that_are_our_own() {
        let path = |line: &str, port| own_request(&[line.to_owned()], port);
        assert_eq!(path("curl -f http://localhost:8000/", Some(8000)).as_deref(), Some("/"));
        assert_eq!(path("curl -fsS http://127.0.0.1/up || exit 1", Some(80)).as_deref(), Some("/up"));
        assert_eq!(path("wget -q --spider http://localhost:3000", Some(3000)).as_deref(), Some("/"));
        for (other, port) in [
            ("curl http://localhost:8000/", Some(8000)),
            ("curl -f http://localhost:8000/", Some(9000)),
            ("curl -f http://localhost:8000/", None),
            ("curl -f -H 'Host: x' http://localhost:8000/", Some(8000)),
            ("curl -f http://other:8000/", Some(8000)),
            ("curl -f http://localhost:8000/ && test -f /x", Some(8000)),
            ("pg_isready", Some(5432)),
        ] {
            assert_eq!(path(other, port), None, "{other}");
        }
    }
}
