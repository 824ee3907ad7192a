//! One app.

use super::reach::unreachable_folder;
use super::{Context, command, env, handler, items, missing, script};
use crate::disk::Identity;
use crate::file::{
    AppFile, HealthFile, HealthTable, LogsFile, PolicyFile, RestartFile, RestartTable, StopFile,
};
use crate::interpolate;
use crate::place::Place;
use crate::{diagnostic, values};
use model::AppName;
use model::spec::{
    AppSpec, EnvValue, HealthSpec, Listen, LogSpec, Probe, RestartPolicy, RestartSpec, StopSpec,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// SIGTERM, signal(7).
const SIGTERM: i32 = 15;

/// What to do about a folder that an app cannot reach.
const ELSEWHERE: &str = "give the app a `user` that may, or move the stack, to /srv for example";

/// Checks one app. Nothing only where too little is there to go on.
pub fn app(context: &mut Context<'_>, place: Place<'_>, name: &AppName, file: &AppFile) -> Option<AppSpec> {
    missing(context, place, "run", "an app", "write `run = \"python3 app.py\"`");
    let root = context.root();
    let user = user(context, place.key("user"), file.user.as_deref());
    let who = user.or_else(|| context.disk.default_user(&root));
    let dir = match &file.dir {
        Some(text) => context.path(place.key("dir"), text).unwrap_or_else(|| root.clone()),
        None => root,
    };
    let reachable = context.disk.unreachable(&dir, who.as_ref());
    if let Some(why) = &reachable {
        let name = who.as_ref().map_or("", |who| &who.name);
        unreachable_folder(context, place.key("dir"), "the working folder", &dir, name, why, ELSEWHERE);
    }
    let env = env::env(context, place, file);
    let argv = command::argv(context, place.key("run"), file.run.as_ref());
    if reachable.is_none() {
        command::find(context, place.key("run"), &argv, &dir, &env, who.as_ref());
        script::find(context, place.key("run"), &argv, &dir);
    }
    command::folders(context, place.key("run"), &argv, who.as_ref().map(|who: &Identity| who.name.as_str()));
    let listen = listen(context, place, file, &argv, &env);
    let http2 = file.http2.unwrap_or(false);
    let health = health(context, place.key("health"), file.health.as_ref(), listen, http2);
    if let (Probe::Command(argv), None) = (&health.probe, &reachable) {
        command::find(context, place.key("health").key("command"), argv, &dir, &env, who.as_ref());
    }
    let instances = file.instances.unwrap_or(1);
    if matches!(listen, Listen::Port(_)) && instances > 1 {
        context
            .report
            .error("port::shared", format!("{instances} instances of `{name}` cannot share one fixed port"))
            .at(place.key("port").span(), "only one instance can have it")
            .at(place.key("instances").span(), "more than one")
            .help("leave `port` out: each instance gets a port of its own as `$PORT`");
    }
    Some(AppSpec {
        balance: handler::balance(file.balance),
        http2,
        argv,
        dir,
        env,
        listen,
        instances: u32::try_from(instances).unwrap_or(1),
        needs: needs(context, place.key("needs"), file),
        health,
        restart: restart(context, place.key("restart"), file.restart.as_ref()),
        stop: stop(context, place.key("stop"), &file.stop),
        user: file.user.clone(),
        logs: logs(context, place.key("logs"), &file.logs),
        build: None,
        writable: Vec::new(),
    })
}

fn user(context: &mut Context<'_>, place: Place<'_>, name: Option<&str>) -> Option<Identity> {
    let name = name?;
    context.disk.user(name).unwrap_or_else(|()| {
        let users = context.disk.users();
        let near = diagnostic::nearest(name, users.iter().map(String::as_str));
        context
            .report
            .error("user::unknown", format!("there is no user `{name}` on this machine"))
            .at(place.span(), "no such user")
            .help_if(near.map(|near| format!("did you mean `{near}`?")));
        None
    })
}

fn needs(context: &mut Context<'_>, place: Place<'_>, file: &AppFile) -> Vec<AppName> {
    let mut needs = Vec::new();
    for (place, text) in items(place, file.needs.as_ref()) {
        match text.parse() {
            Ok(name) => needs.push(name),
            Err(error) => {
                let found = context.report.error("name::bad", format!("{text:?} cannot name an app"));
                found.at(place.span(), format!("{error}"));
            }
        }
    }
    needs
}

fn listen(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &AppFile,
    argv: &[String],
    env: &BTreeMap<String, EnvValue>,
) -> Listen {
    let mut texts = argv.iter().map(String::as_str).chain(env.values().map(EnvValue::expose));
    let wants_socket = texts.any(|text| interpolate::mentions(text, "SOCKET"));
    let port = file.port.and_then(|port| u16::try_from(port).ok());
    match (file.listen, port) {
        (Some(false), Some(_)) => {
            context
                .report
                .error("listen::contradiction", "an app that does not listen has no port")
                .at(place.key("port").name_span(), "remove this")
                .at(place.key("listen").name_span(), "or this");
            Listen::Nothing
        }
        (Some(false), None) => Listen::Nothing,
        (_, Some(port)) => {
            if wants_socket {
                context
                    .report
                    .error("listen::contradiction", "`$SOCKET` has no value in an app with a fixed port")
                    .at(place.key("port").name_span(), "remove this")
                    .at(place.key("run").span(), "or use `$PORT`");
            }
            Listen::Port(port)
        }
        (_, None) if wants_socket => Listen::Socket,
        (_, None) => Listen::AnyPort,
    }
}

/// How the health of an instance, or of a server elsewhere, is found out; `http2`: that is what it speaks.
pub fn health(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&HealthFile>,
    listen: Listen,
    http2: bool,
) -> HealthSpec {
    let table = match file {
        None => HealthTable::default(),
        Some(HealthFile::Path(path)) => {
            context.url_path(place, path);
            HealthTable { path: Some(path.clone()), ..HealthTable::default() }
        }
        Some(HealthFile::Table(table)) => {
            if let Some(path) = &table.path {
                context.url_path(place.key("path"), path);
            }
            table.clone()
        }
    };
    let given: Vec<&str> =
        ["path", "tcp", "command"].into_iter().filter(|key| place.key(key).given()).collect();
    if let [first, .., last] = given[..] {
        context
            .report
            .error("health::ambiguous", "health is found out in one way: `path`, `tcp` or `command`")
            .at(place.key(last).name_span(), "remove this")
            .at(place.key(first).name_span(), "or this");
    }
    let connects = table.path.is_some() || table.tcp == Some(true);
    if listen == Listen::Nothing && connects {
        context
            .report
            .error("health::worker", "an app that does not listen cannot be asked over the network")
            .at(place.span(), "nobody answers")
            .help("use `command`, or leave `health` out: it is healthy while its process lives");
    }
    if table.tcp == Some(false) && given.len() == 1 {
        let found = context.report.error("health::none", "`tcp = false` leaves nothing to try");
        found.at(place.key("tcp").span(), "instead of what?").help("use `path` or `command`");
    }
    let probe = match &table {
        HealthTable { path: Some(path), .. } if http2 => Probe::Http2(path.clone()),
        HealthTable { path: Some(path), .. } => Probe::Http(path.clone()),
        HealthTable { command: Some(command), .. } => {
            Probe::Command(command::argv(context, place.key("command"), Some(command)))
        }
        _ if listen == Listen::Nothing => Probe::Alive,
        _ => Probe::Connect,
    };
    let seconds = Duration::from_secs;
    HealthSpec {
        probe,
        interval: context.duration(place.key("interval"), table.interval.as_ref(), seconds(10), false),
        timeout: context.duration(place.key("timeout"), table.timeout.as_ref(), seconds(5), false),
        retries: table.retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(3),
        start_period: context.duration(
            place.key("start_period"),
            table.start_period.as_ref(),
            seconds(60),
            false,
        ),
    }
}

fn restart(context: &mut Context<'_>, place: Place<'_>, file: Option<&RestartFile>) -> RestartSpec {
    let table = match file {
        None => RestartTable::default(),
        Some(RestartFile::Policy(policy)) => {
            RestartTable { policy: Some(*policy), ..RestartTable::default() }
        }
        Some(RestartFile::Table(table)) => table.clone(),
    };
    let seconds = Duration::from_secs;
    let delay = context.duration(place.key("delay"), table.delay.as_ref(), seconds(1), true);
    let max_delay =
        context.duration(place.key("max_delay"), table.max_delay.as_ref(), seconds(60).max(delay), true);
    if max_delay < delay {
        context
            .report
            .error("restart::delays", "the longest delay is shorter than the first")
            .at(place.key("max_delay").span(), "shorter")
            .at(place.key("delay").span(), "than this");
    }
    RestartSpec {
        policy: match table.policy {
            None | Some(PolicyFile::Always) => RestartPolicy::Always,
            Some(PolicyFile::OnFailure) => RestartPolicy::OnFailure,
            Some(PolicyFile::Never) => RestartPolicy::Never,
        },
        delay,
        max_delay,
        min_uptime: context.duration(place.key("min_uptime"), table.min_uptime.as_ref(), seconds(10), true),
        max_restarts: table.max_restarts.and_then(|number| u32::try_from(number).ok()).unwrap_or(10),
    }
}

fn stop(context: &mut Context<'_>, place: Place<'_>, file: &StopFile) -> StopSpec {
    let signal = match file.signal.as_deref().map(|text| (text, values::signal(text))) {
        None => SIGTERM,
        Some((_, Ok(signal))) => signal,
        Some((text, Err(wrong))) => {
            context.wrong(
                "signal::bad",
                format!("{text:?} is no signal to stop with"),
                place.key("signal"),
                wrong,
            );
            SIGTERM
        }
    };
    let default = Duration::from_secs(30);
    StopSpec {
        signal,
        timeout: context.duration(place.key("timeout"), file.timeout.as_ref(), default, true),
        drain: context.duration(place.key("drain"), file.drain.as_ref(), default, true),
    }
}

fn logs(context: &mut Context<'_>, place: Place<'_>, file: &LogsFile) -> LogSpec {
    let max_size = context.size(place.key("max_size"), file.max_size.as_ref(), 10_000_000);
    if max_size < 4096 {
        let found = context.report.error("size::small", "a log file has room for at least 4 KiB");
        found.at(place.key("max_size").span(), "too small");
    }
    LogSpec {
        max_size,
        keep: file.keep.and_then(|keep| u32::try_from(keep).ok()).unwrap_or(5),
        redact: model::redact::default(),
    }
}
