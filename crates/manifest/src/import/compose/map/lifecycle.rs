//! `restart`, `deploy.restart_policy`, `stop_signal`, `stop_grace_period`, `logging`.

use super::Cx;
use super::out::{Table, bytes, integer, length, millis, size, text};
use crate::diagnostic::Severity;
use crate::tree::{Kind, Node};

/// Drivers whose place our own logs take.
const OWN_LOGS: [&str; 4] = ["json-file", "local", "journald", "k8s-file"];

/// Puts `restart`, `stop` and `logs`. `once`: others wait for its end.
pub fn put(cx: &mut Cx<'_>, service: &Node, once: bool, app: &mut Table) {
    let policy = service.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    let restart = match (policy, service.get("restart")) {
        (Some(policy), _) => from_deploy(cx, policy),
        (None, Some(word)) => from_word(cx, word),
        (None, None) => None,
    };
    let default = if once || is_job(service) { "never" } else { "on-failure" };
    app.put("restart", restart.unwrap_or_else(|| Node { key: None, ..text(default, service) }));
    let mut stop =
        Table::at(service.get("stop_grace_period").or(service.get("stop_signal")).unwrap_or(service));
    match service.get("stop_signal").filter(|node| is_kill(node)) {
        // Nothing can be done about that signal in any time: it is what the time ends with.
        Some(node) => stop.put("timeout", text("1ms", node)),
        None => {
            stop.put_if("signal", service.get("stop_signal").and_then(super::out::scalar));
            stop.put_if("timeout", service.get("stop_grace_period").and_then(|node| time(cx, node)));
        }
    }
    app.put_table("stop", stop);
    logging(cx, service, app);
}

fn is_kill(node: &Node) -> bool {
    node.scalar().is_some_and(|signal| ["SIGKILL", "KILL", "9"].contains(&signal.as_ref()))
}

fn is_job(service: &Node) -> bool {
    let mode = service.get("deploy").and_then(|deploy| deploy.get("mode"));
    mode.is_some_and(|mode| mode.scalar().is_some_and(|mode| mode.ends_with("-job")))
}

fn time(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    let value = millis(&node.scalar()?);
    if value.is_none() {
        cx.error("a length of time is a number with a unit, such as `30s`", &node.span, "is none");
    }
    value.map(|value| length(value, node))
}

fn from_word(cx: &mut Cx<'_>, node: &Node) -> Option<Node> {
    let word = node.scalar()?.into_owned();
    match word.split_once(':').unwrap_or((&word, "")) {
        ("no" | "false", "") => Some(text("never", node)),
        ("always" | "unless-stopped", "") => Some(text("always", node)),
        ("on-failure", "") => Some(text("on-failure", node)),
        ("on-failure", count) if count.parse::<u32>().is_ok() => {
            let mut table = Table::at(node);
            table.put("policy", text("on-failure", node));
            table.put("max_restarts", integer(count.parse().unwrap_or_default(), node));
            Some(table.node())
        }
        _ => {
            let words = ["no", "always", "on-failure", "unless-stopped"];
            let near = crate::diagnostic::nearest(&word, words).map(|word| format!("did you mean `{word}`?"));
            cx.error(format!("`{word}` is no way to restart"), &node.span, "not one of these")
                .help(near.unwrap_or_else(|| "`no`, `always`, `on-failure[:N]` or `unless-stopped`".into()));
            None
        }
    }
}

fn from_deploy(cx: &mut Cx<'_>, policy: &Node) -> Option<Node> {
    let mut table = Table::at(policy);
    let condition = policy.get("condition");
    let word =
        condition.and_then(|node| node.scalar()).map_or_else(|| "any".into(), |word| word.into_owned());
    let own = match &*word {
        "none" => "never",
        "on-failure" => "on-failure",
        "any" => "always",
        _ => {
            cx.error(format!("`{word}` is no condition of a restart"), &policy.span, "not one of these")
                .help("`none`, `on-failure` or `any`");
            return None;
        }
    };
    table.put("policy", text(own, condition.unwrap_or(policy)));
    table.put_if("delay", policy.get("delay").and_then(|node| time(cx, node)));
    table.put_if("min_uptime", policy.get("window").and_then(|node| time(cx, node)));
    let attempts = policy.get("max_attempts");
    let count = attempts.and_then(|node| Some(integer(node.scalar()?.parse().ok()?, node)));
    table.put_if("max_restarts", count);
    Some(table.node())
}

fn logging(cx: &mut Cx<'_>, service: &Node, app: &mut Table) {
    let Some(logging) = service.get("logging") else { return };
    if let Some(driver) = logging.get("driver") {
        let name = driver.scalar().unwrap_or_default().into_owned();
        if !OWN_LOGS.contains(&&*name) {
            let message =
                format!("the log driver `{name}` is not honoured: Mainstay keeps the output itself");
            cx.warn(message, &driver.span, "`mainstay logs` shows it")
                .help("its files can be collected from the folder of `[logs]`");
        }
    }
    let mut logs = Table::at(logging);
    for (key, node) in super::out::entries(logging.get("options")) {
        let value = node.scalar().unwrap_or_default().into_owned();
        match &**key {
            "max-size" => match bytes(&value) {
                Some(value) => logs.put("max_size", size(value, node)),
                None => {
                    cx.error("a size is a number with a unit, such as `10m`", &node.span, "is none");
                }
            },
            "max-file" => match value.parse::<i64>() {
                // the current file is one of them there, and beside them here
                Ok(count) => logs.put("keep", integer((count - 1).max(0), node)),
                Err(_) => {
                    cx.error("a number of files is a whole number", &node.span, "is none");
                }
            },
            _ => {
                let place = node.key.as_ref().unwrap_or(&node.span);
                let message = format!("`{key}` has no effect: Mainstay keeps the output itself");
                cx.say(Severity::Info, "compose::key", message, place, "has no effect");
            }
        }
    }
    app.put_table("logs", logs);
}

/// Services that say nothing about restarts, and are not awaited to end: said once for all.
pub fn unsaid(cx: &mut Cx<'_>, ended: &[String]) {
    let says = |service: &Node| {
        service.get("restart").is_some()
            || service.get("deploy").is_some_and(|deploy| deploy.get("restart_policy").is_some())
            || is_job(service)
    };
    let silent: Vec<_> = cx
        .services()
        .iter()
        .filter(|(name, service)| {
            !says(service) && !ended.contains(name) && !cx.routing.replaced.contains(name)
        })
        .collect();
    let Some((first, service)) = silent.first() else { return };
    if matches!(service.kind, Kind::Broken) {
        return;
    }
    let who = match silent.len() {
        1 => format!("`{first}` says nothing about restarts: it is started again after a failure"),
        count => {
            format!("{count} services say nothing about restarts: they are started again after a failure")
        }
    };
    let at = service.key.clone().unwrap_or(service.span.clone());
    cx.info(who, &at, "as with `restart: on-failure`").help("`restart: \"no\"` leaves it as it ended");
}
