//! From an app in a container to the runner that its shim runs.

use crate::home::Home;
use crate::images;
use crate::stack::Revision;
use model::container::{ContainerSpec, ImageSpec, MountSource};
use model::spec::{AppSpec, Listen, Probe, StackSpec};
use model::{AppId, InstanceId};
use supervisor::Places;
use wire::container::{
    LABEL_APP, LABEL_HOME, LABEL_INSTANCE, LABEL_SLOT, LABEL_STACK, RunnerMount, RunnerNetwork, RunnerPort,
    RunnerSpec,
};

/// What the engine calls the image of an app, for people.
pub(crate) fn image(app: &AppId, spec: &AppSpec, container: &ContainerSpec) -> String {
    match &container.image {
        ImageSpec::Reference { name, .. } => name.clone(),
        ImageSpec::Build(_) => images::tag(app, spec.build.as_ref().map_or(0, |build| build.hash)),
    }
}

/// What the runner of an instance is told; none: it does not run in a container.
pub(crate) fn runner(
    revision: &Revision,
    spec: &AppSpec,
    id: &InstanceId,
    places: &Places,
    home: &Home,
    engine: &str,
) -> Option<RunnerSpec> {
    let container = spec.container.as_ref()?;
    let folder = places.app_socket.parent()?.to_owned();
    let made =
        spec.build.as_ref().and_then(|build| supervisor::build::image(&home.app_build(&id.app, build.hash)));
    let home = home.path().display().to_string();
    let ours = [
        (LABEL_HOME, home.clone()),
        (LABEL_STACK, id.app.stack.to_string()),
        (LABEL_APP, id.app.app.to_string()),
        (LABEL_SLOT, id.slot.to_string()),
        (LABEL_INSTANCE, id.to_string()),
    ];
    let ours = ours.into_iter().map(|(label, value)| (label.to_owned(), value));
    // Two homes may have a stack of the same name.
    let unique = model::id::fnv1a(format!("{home} {id}").as_bytes());
    Some(RunnerSpec {
        engine: engine.to_owned(),
        name: format!("{}-{}-{}-{:08x}", id.app.stack, id.app.app, id.slot, unique >> 32),
        labels: container.labels.clone().into_iter().chain(ours).collect(),
        image: made.map_or_else(|| image(&id.app, spec, container), |made| made.id),
        container: ContainerSpec { image: ImageSpec::default(), ..container.clone() },
        confine: spec.confine.clone(),
        resources: spec.resources.clone(),
        env: spec.env.keys().cloned().collect(),
        mounts: mounts(&revision.spec, spec),
        files: Vec::new(),
        networks: networks(&revision.spec, spec, &id.app),
        port: match spec.listen {
            Listen::Nothing => RunnerPort::None,
            Listen::Port(port) => RunnerPort::Number(port),
            Listen::AnyPort | Listen::Socket => RunnerPort::Exposed,
        },
        stop_signal: spec.stop.signal,
        stop_ms: u64::try_from(spec.stop.timeout.as_millis()).unwrap_or(u64::MAX),
        folder,
    })
}

fn mounts(stack: &StackSpec, spec: &AppSpec) -> Vec<RunnerMount> {
    let volume = |key: &String| {
        let volume = stack.volumes.get(key).cloned().unwrap_or_default();
        (volume.name.clone().unwrap_or_else(|| format!("{}_{key}", stack.name)), volume)
    };
    let own = |mount: &model::container::MountSpec| RunnerMount {
        mount: mount.clone(),
        volume: if let MountSource::Volume(key) = &mount.source { Some(volume(key)) } else { None },
    };
    spec.mounts.iter().map(own).collect()
}

fn networks(stack: &StackSpec, spec: &AppSpec, app: &AppId) -> Vec<RunnerNetwork> {
    let join = |join: &model::network::JoinSpec| {
        let network = stack.networks.get(&join.network).cloned().unwrap_or_default();
        let mut aliases = vec![app.app.to_string()];
        aliases.extend(join.aliases.iter().filter(|alias| **alias != app.app.as_str()).cloned());
        let name = network.name.clone().unwrap_or_else(|| format!("{}_{}", stack.name, join.network));
        RunnerNetwork { name, spec: network, aliases, address: join.address }
    };
    spec.networks.iter().map(join).collect()
}

/// The app as its shim is to run it: the runner is its command, and a health command runs inside.
pub(crate) fn as_process(spec: &AppSpec, runner: &RunnerSpec) -> AppSpec {
    let file = RunnerSpec::file(&runner.folder).display().to_string();
    let verb = |verb: &str| ["$MAINSTAY", "container", verb, &file].map(str::to_owned).to_vec();
    let mut process = AppSpec { argv: verb("run"), dir: "/".into(), ..spec.clone() };
    if let Probe::Command(argv) = &mut process.health.probe {
        let inside = std::mem::take(argv);
        *argv = verb("probe");
        argv.push("--".into());
        argv.extend(inside);
    }
    process
}
