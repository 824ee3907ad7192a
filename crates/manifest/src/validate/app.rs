//! One app.

use super::reach::unreachable_folder;
use super::{
    Context, build, command, confine, container, env, handler, hold, image, instances, missing, needs,
    recycle, run, script, traffic,
};
use crate::disk::Identity;
use crate::file::{AppFile, HealthFile, HealthTable};
use crate::interpolate;
use crate::place::Place;
use model::AppName;
use model::redact::RedactKind;
use model::spec::{AppSpec, EnvValue, HealthSpec, Listen, Probe};
use model::traffic::TrafficSpec;
use model::upkeep::ScaleSpec;
use std::collections::BTreeMap;
use std::time::Duration;

/// What to do about a folder that an app cannot reach.
const ELSEWHERE: &str = "give the app a `user` that may, or move the stack, to /srv for example";

/// Time to stop, and before that to end what is under way, where nothing is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// Checks one app, or `what` else it is. Nothing only where too little is there to go on. `redact`: what is masked where the app says nothing.
pub fn app(
    context: &mut Context<'_>,
    place: Place<'_>,
    (what, name): (&str, &AppName),
    file: &AppFile,
    redact: &[RedactKind],
) -> Option<AppSpec> {
    let contained = container::is(place);
    if !contained {
        let help = match what {
            "an app" => "write `run = \"python3 app.py\"`, or `image = \"…\"` of a container",
            _ => "write `run = \"python3 app.py\"`",
        };
        missing(context, place, "run", what, help);
        container::alone(context, place);
    }
    let root = context.root();
    // Users of a container are those of its image.
    let native = |text: &Option<String>| text.clone().filter(|_| !contained);
    let user = run::user(context, place.key("user"), native(&file.user).as_deref());
    let who = user.or_else(|| context.disk.default_user(&root));
    let dir = match native(&file.dir) {
        Some(text) => context.path(place.key("dir"), &text).unwrap_or_else(|| root.clone()),
        None => root,
    };
    let reachable = if contained { None } else { context.disk.unreachable(&dir, who.as_ref()) };
    if let Some(why) = &reachable {
        let name = who.as_ref().map_or("", |who| &who.name);
        unreachable_folder(context, place.key("dir"), "the working folder", &dir, name, why, ELSEWHERE);
    }
    let env = env::env(context, place, file);
    let argv = match contained {
        true => Vec::new(),
        false => command::argv(context, place.key("run"), file.run.as_ref()),
    };
    if reachable.is_none() && !contained {
        command::find(context, place.key("run"), &argv, &dir, &env, who.as_ref());
        script::find(context, place.key("run"), &argv, &dir);
    }
    command::folders(context, place.key("run"), &argv, who.as_ref().map(|who: &Identity| who.name.as_str()));
    // What a container is told of itself holds inside.
    let told = if contained { &BTreeMap::new() } else { &env };
    let listen = listen(context, place, file, &argv, told);
    let http2 = file.http2.unwrap_or(false);
    let health = health(context, place.key("health"), file.health.as_ref(), listen, http2);
    if let (Probe::Command(argv), None, false) = (&health.probe, &reachable, contained) {
        command::find(context, place.key("health").key("command"), argv, &dir, &env, who.as_ref());
    }
    let own_image = file.build.as_ref().filter(|_| image::is(place));
    let own_image =
        own_image.and_then(|own| image::image(context, place.key("build"), own, container::tag(file)));
    let (own_image, image_build) = own_image.unzip();
    let steps = file.build.as_ref().filter(|_| !contained).and_then(|file| {
        let usable = reachable.is_none().then_some(build::Around { env: &env, who: who.as_ref() });
        build::build(context, place.key("build"), file, &dir, usable)
    });
    build::directory(context, place, &argv, &env, &health.probe);
    let (instances, preset) = instances::instances(context, file.instances.as_ref());
    let scale = instances::range(context, place.key("instances"), file.instances.as_ref(), listen);
    let most = scale.as_ref().map_or(instances, |range| range.max);
    let own_address = contained || file.networks.is_some();
    if matches!(listen, Listen::Port(_)) && most > 1 && !own_address {
        context
            .report
            .error("port::shared", format!("{most} instances of `{name}` cannot share one fixed port"))
            .at(place.key("port").span(), "only one instance can have it")
            .at(place.key("instances").span(), "more than one")
            .help("leave `port` out: each instance gets a port of its own as `$PORT`");
    }
    let fresh = recycle::recycle(context, place.key("recycle"), file.recycle.as_ref());
    let resources = confine::resources(context, place.key("resources"), &file.resources);
    recycle::both(context, place, &fresh, &resources);
    let keys = traffic::Keys {
        concurrency: file.concurrency,
        sticky: file.sticky.as_ref(),
        slow_start: file.slow_start.as_ref(),
        circuit: file.circuit.as_ref(),
        retries: file.retries,
    };
    let hold = hold::hold(context, place.key("hold"), file.hold.as_ref()).unwrap_or_default();
    Some(AppSpec {
        balance: handler::balance(file.balance),
        http2,
        argv,
        dir,
        env,
        listen,
        instances: scale.as_ref().map_or(instances, ScaleSpec::start),
        preset,
        needs: needs::names(context, place.key("needs"), file.needs.as_ref()),
        health,
        restart: run::restart(context, place.key("restart"), file.restart.as_ref()),
        stop: run::stop(context, place.key("stop"), &file.stop, PATIENCE, PATIENCE),
        user: native(&file.user),
        logs: run::logs(context, place.key("logs"), &file.logs, redact),
        build: steps.or(image_build),
        writable: build::writable(context, place.key("writable"), file.writable.as_ref()),
        description: run::description(context, place.key("description"), file.description.as_deref()),
        traffic: TrafficSpec { hold, ..traffic::traffic(context, place, &keys) },
        recycle: fresh,
        resources,
        scale,
        reload_signal: run::reload(context, place.key("reload"), file.reload.as_deref()),
        container: contained.then(|| container::container(context, place, file, own_image)),
        confine: confine::confine(context, place, file),
        mounts: container::mounts(context, place.key("volumes"), &file.volumes),
        files: container::files(context, place.key("files"), &file.files),
        networks: container::joins(context, place.key("networks"), file.networks.as_ref(), most),
        needs_how: needs::conditions(file.needs.as_ref()),
    })
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
    let probe = match &table {
        HealthTable { path: Some(path), .. } if http2 => Probe::Http2(path.clone()),
        HealthTable { path: Some(path), .. } => Probe::Http(path.clone()),
        HealthTable { command: Some(command), .. } => {
            Probe::Command(command::argv(context, place.key("command"), Some(command)))
        }
        _ if listen == Listen::Nothing || table.tcp == Some(false) => Probe::Alive,
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
