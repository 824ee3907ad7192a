//! From an order to a running shim: address, environment, folders, the shim's start.

use crate::link::Link;
use crate::meta::Meta;
use crate::{Order, Places, confine, contained, port};
use model::observed::Address;
use model::spec::{AppSpec, EnvValue, HealthSpec, Listen, Probe};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use sys::process::Spawn;
use wire::shim::{Credentials, ShimSpec};

/// What every app finds as `PATH` when the keeper has none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Longest time from a shim's start to its answer. Starting takes milliseconds; this is for a host that swaps.
const SHIM_ANSWERS: Duration = Duration::from_secs(30);

/// Size in bytes beyond which the shims' diagnostics begin a new file.
const SHIM_LOG: u64 = 1 << 20;

/// A shim that answers.
pub(crate) struct Launched {
    pub(crate) link: Link,
    pub(crate) address: Option<Address>,
    pub(crate) env: Vec<(String, String)>,
    /// The shim's process id: a child of this keeper, to be reaped.
    pub(crate) shim: u32,
}

/// Starts a shim for this order and connects to it.
///
/// # Errors
/// For people: what stands in the way.
pub(crate) async fn launch(order: &Order) -> Result<Launched, String> {
    let prepared = order.clone();
    let blocking = tokio::task::spawn_blocking(move || prepare(&prepared));
    let (address, env, shim) = blocking.await.map_err(|error| error.to_string())??;
    let link = connect(&order.places.shim_socket, shim).await?;
    Ok(Launched { link, address, env, shim })
}

type Prepared = (Option<Address>, Vec<(String, String)>, u32);

fn prepare(order: &Order) -> Result<Prepared, String> {
    let address = choose_address(order)?;
    folders(order).map_err(|(path, error)| format!("cannot make the folder {}: {error}", path.display()))?;
    writable(&order.spec, &order.root, order.user.as_ref())?;
    let Places { state, build, .. } = &order.places;
    let mut env = environment(&order.spec, state, build.as_deref(), order.user.as_ref(), address.as_ref());
    if let Some(runner) = &order.runner {
        contained::prepare(order, runner)?;
        env = contained::environment(order, env);
    }
    let mut meta = Meta::new(&order.id, order.fingerprint, &order.spec, address.clone());
    meta.addresses = order.network.iter().flat_map(|network| network.addresses.clone()).collect();
    meta.save(&order.places.meta)
        .map_err(|error| format!("cannot write {}: {error}", order.places.meta.display()))?;
    let mut spec = shim_spec(order, &env, address.as_ref());
    let network = order.network.as_ref().map(|network| (network.make)()).transpose()?;
    let group = confine::group(order)?;
    spec.groups = group.folders().to_vec();
    spec.no_new_privileges = confine::no_new_privileges(&order.spec, order.user.as_ref());
    spec.confine = confine::confinement(order)?;
    let shim = start_shim(order, &spec, network).inspect_err(|_| group.remove());
    let shim = shim.map_err(|error| format!("cannot start the shim: {error}"))?;
    Ok((address, env, shim))
}

fn choose_address(order: &Order) -> Result<Option<Address>, String> {
    if order.runner.is_some() {
        return Ok(None);
    }
    if let Some(address) = order.network.as_ref().and_then(|network| network.address(order.spec.listen)) {
        return Ok(Some(address));
    }
    Ok(match order.spec.listen {
        Listen::Nothing => None,
        Listen::Socket => Some(Address::Unix(order.places.app_socket.clone())),
        Listen::AnyPort => {
            Some(Address::Tcp(port::pick().map_err(|error| format!("no free port: {error}"))?))
        }
        Listen::Port(number) => Some(Address::Tcp(port::claim(number)?)),
    })
}

fn folders(order: &Order) -> Result<(), (std::path::PathBuf, io::Error)> {
    let places = &order.places;
    let owner = order.user.as_ref().map(|user| (user.uid, user.gid));
    let parents = [(&places.shim_socket, 0o700), (&places.meta, 0o700), (&places.state, 0o711)];
    // A folder of the stack's own was made by the keeper, with a mode that its administrator may have chosen.
    let logs = order.spec.logs.dir.is_none().then_some((&places.out, 0o711));
    let parents = parents.into_iter().chain(logs);
    let shared = parents.filter_map(|(file, mode)| Some((file.parent()?, mode, None)));
    let sockets = [Some(&places.app_socket), places.service_socket.as_ref()].into_iter().flatten();
    let sockets = sockets.filter_map(|socket| Some((socket.parent()?, 0o711, owner)));
    for (folder, mode, owner) in shared.chain(sockets).chain([(places.state.as_path(), 0o700, owner)]) {
        sys::folder::make(folder, mode, owner).map_err(|error| (folder.to_owned(), error))?;
    }
    Ok(())
}

/// Makes the folders of the stack that the app, and its steps before it, write into. The stack's folder (`root`) may be somebody
/// else's, who could put a link in the place of one: none is followed below it.
pub(crate) fn writable(spec: &AppSpec, root: &Path, user: Option<&sys::user::User>) -> Result<(), String> {
    let owner = user.filter(|_| sys::user::is_root()).map(|user| (user.uid, user.gid));
    for folder in &spec.writable {
        sys::folder::make_below(root, folder, owner).map_err(|error| {
            format!(
                "cannot make the writable folder {}: {error}; every part of this path below {} has to be a folder, no link, that {} can change",
                folder.display(),
                root.display(),
                if owner.is_some() { "root" } else { "the keeper's user" },
            )
        })?;
    }
    Ok(())
}

/// The whole environment of an app: nothing of the keeper's own but `PATH`.
pub fn environment(
    spec: &AppSpec,
    state: &Path,
    build: Option<&Path>,
    user: Option<&sys::user::User>,
    address: Option<&Address>,
) -> Vec<(String, String)> {
    let inherited = |name: &str| std::env::var(name).ok();
    let home = user.map(|user| user.home.display().to_string()).or_else(|| inherited("HOME"));
    let mut env = std::collections::BTreeMap::from([
        ("PATH".to_owned(), inherited("PATH").unwrap_or_else(|| DEFAULT_PATH.into())),
        ("HOME".to_owned(), home.unwrap_or_else(|| "/".into())),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        // Without it Python keeps what an app prints until 8 KiB have come together, and a log looks dead.
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
        // As systemd.exec(5) names it.
        ("STATE_DIRECTORY".to_owned(), state.display().to_string()),
    ]);
    if let Some(user) = user {
        env.insert("USER".into(), user.name.clone());
    }
    let values = placeholders(address, build);
    env.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    for (name, value) in &spec.env {
        let value = match value {
            EnvValue::Plain(text) => fill(text, &values),
            // A password is what it is, dollar signs included.
            EnvValue::Secret(_) | EnvValue::Kept(_) | EnvValue::Generate(_) => value.expose().to_owned(),
        };
        env.insert(name.clone(), value);
    }
    env.into_iter().collect()
}

/// Names with values that an app's command, environment and health command may use.
pub(crate) type Placeholders = Vec<(&'static str, String)>;

pub(crate) fn placeholders(address: Option<&Address>, build: Option<&Path>) -> Placeholders {
    let mut values = match address {
        None => Vec::new(),
        Some(Address::Unix(path)) => vec![("SOCKET", path.display().to_string())],
        Some(Address::Tcp(tcp)) => vec![("PORT", tcp.port().to_string()), ("HOST", tcp.ip().to_string())],
    };
    values.extend(build.map(|folder| ("BUILD_DIRECTORY", folder.display().to_string())));
    values
}

/// The same, of a process that has them in its environment.
pub(crate) fn placeholders_of(env: &[(String, String)]) -> Placeholders {
    let names = ["PORT", "HOST", "SOCKET", "BUILD_DIRECTORY"];
    let value = |wanted: &str| env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    names.into_iter().filter_map(|name| Some((name, value(name)?))).collect()
}

/// The commands of a health check; those of a service of Mainstay's own are in its words.
pub(crate) fn health(spec: &HealthSpec, mainstay: Option<&Path>) -> HealthSpec {
    let mut health = spec.clone();
    if let (Probe::Command(argv), Some(mainstay)) = (&mut health.probe, mainstay) {
        let values = vec![("MAINSTAY", mainstay.display().to_string())];
        argv.iter_mut().for_each(|argument| *argument = fill(argument, &values));
    }
    health
}

/// Replaces `$PORT`, `$HOST`, `$SOCKET` and `$BUILD_DIRECTORY` where they have values, with or without braces. The name ends where a
/// name ends: `$PORTAL` stays.
pub(crate) fn fill(text: &str, values: &Placeholders) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let hit = values.iter().find_map(|(name, value)| {
            let braced =
                from.strip_prefix("${").and_then(|t| t.strip_prefix(name)).and_then(|t| t.strip_prefix('}'));
            let plain = from.strip_prefix('$').and_then(|t| t.strip_prefix(name));
            let ends = |t: &&str| !t.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            braced.or(plain.filter(ends)).map(|after| (value, after))
        });
        match hit {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn shim_spec(order: &Order, env: &[(String, String)], address: Option<&Address>) -> ShimSpec {
    let Order { id, spec, places, user, lifetime, .. } = order;
    let credentials = |user: &sys::user::User| Credentials {
        uid: user.uid,
        gid: confine::group_id(spec).unwrap_or(user.gid),
        groups: sys::user::groups(&user.name, user.gid),
    };
    let (stop_signal, stop, secret) = match &order.runner {
        None => (spec.stop.signal, spec.stop.timeout, secret_names(spec).cloned().collect()),
        Some(_) => (
            contained::STOP,
            spec.stop.timeout.saturating_add(contained::MORE),
            contained::secret_names(order),
        ),
    };
    let mut values = placeholders(address, places.build.as_deref());
    values.extend(order.mainstay.iter().map(|mainstay| ("MAINSTAY", mainstay.display().to_string())));
    ShimSpec {
        instance: id.to_string(),
        argv: spec.argv.iter().map(|argument| fill(argument, &values)).collect(),
        env: env.to_vec(),
        secret,
        redact: spec.logs.redact.clone(),
        dir: spec.dir.clone(),
        user: user.as_ref().map(credentials).or_else(|| confine::own_group(spec)),
        socket: places.shim_socket.clone(),
        status: places.status.clone(),
        out: places.out.clone(),
        err: places.err.clone(),
        log_size: spec.logs.max_size,
        log_keep: spec.logs.keep,
        stop_signal,
        stop_ms: u64::try_from(stop.as_millis()).unwrap_or(u64::MAX),
        groups: Vec::new(),
        no_new_privileges: false,
        confine: None,
        lifetime: lifetime.is_some(),
        network: order.network.is_some(),
        binds: order.network.iter().flat_map(|network| network.binds.clone()).collect(),
    }
}

/// Variables whose values are not to be seen in its output.
pub(crate) fn secret_names(spec: &AppSpec) -> impl Iterator<Item = &String> {
    let secret = |value: &EnvValue| matches!(value, EnvValue::Secret(_) | EnvValue::Generate(_));
    spec.env.iter().filter(move |(_, value)| secret(value)).map(|(name, _)| name)
}

/// Starts the shim and hands it its specification through a pipe on descriptor 3.
fn start_shim(order: &Order, spec: &ShimSpec, network: Option<OwnedFd>) -> io::Result<u32> {
    let (read, mut write) = io::pipe()?;
    let log = sys::folder::append_to_log(&order.places.shim_log, 0o640, SHIM_LOG)?;
    let mut spawn = Spawn::new(&order.exe);
    spawn.args = vec!["shim".into()];
    spawn.stderr = Some(log.into());
    spawn.descriptors = vec![(3, read.into())];
    if let Some(lifetime) = &order.lifetime {
        spawn.descriptors.push((4, lifetime.try_clone()?));
    }
    spawn.descriptors.extend(network.map(|network| (5, network)));
    let shim = spawn.spawn().map_err(io::Error::other)?;
    // The read end is the shim's alone now: one that dies early makes this write fail instead of block.
    write.write_all(&sys::frame::encode(&wire::encode(spec).map_err(io::Error::other)?))?;
    Ok(shim)
}

async fn connect(socket: &Path, shim: u32) -> Result<Link, String> {
    let connecting = async {
        loop {
            match Link::connect(socket).await {
                Ok(link) => return Ok(link),
                Err(_) if matches!(sys::process::try_wait(shim), Ok(None)) => {
                    tokio::time::sleep(Duration::from_millis(2)).await
                }
                Err(error) => return Err(format!("the shim ended before it answered: {error}")),
            }
        }
    };
    let silent = |_| format!("the shim did not answer within {SHIM_ANSWERS:?}");
    tokio::time::timeout(SHIM_ANSWERS, connecting).await.map_err(silent)?
}

/// Who else may connect to an app's socket: the edge, where that runs as somebody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// Whom the socket must belong to; none: the app may have made it as anybody.
    pub(crate) owner: Option<u32>,
    /// The edge's group.
    pub(crate) group: u32,
}

impl Access {
    pub(crate) fn of(user: Option<&sys::user::User>, edge_group: Option<u32>) -> Option<Self> {
        edge_group.map(|group| Access { owner: user.map(|user| user.uid), group })
    }

    /// Lets the edge's group connect.
    ///
    /// # Errors
    /// For people: what is at `path` is not the app's, or the system refuses.
    pub(crate) fn open(self, path: &Path) -> Result<(), String> {
        sys::unix_socket::share(path, self.owner, self.group, 0o660)
            .map_err(|error| format!("{} cannot be opened to the edge: {error}", path.display()))
    }
}

/// The surroundings of a health command.
pub(crate) fn surroundings(
    spec: &Arc<AppSpec>,
    env: Vec<(String, String)>,
    user: Option<&sys::user::User>,
) -> Arc<crate::probe::Surroundings> {
    Arc::new(crate::probe::Surroundings { dir: spec.dir.clone(), env, user: user.map(credentials) })
}

/// Of a process that runs as this user.
pub(crate) fn credentials(user: &sys::user::User) -> sys::process::Credentials {
    let groups = sys::user::groups(&user.name, user.gid);
    sys::process::Credentials { uid: user.uid, gid: user.gid, groups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_nothing_else_is() {
        let tcp = placeholders(Some(&Address::Tcp(([127, 0, 0, 1], 5000).into())), None);
        assert_eq!(fill("--bind=$HOST:${PORT} $PORTAL $5 $", &tcp), "--bind=127.0.0.1:5000 $PORTAL $5 $");
        let unix = placeholders(Some(&Address::Unix("/run/a/s".into())), Some(Path::new("/b")));
        assert_eq!(fill("unix:$SOCKET,$PORT $MAINSTAY", &unix), "unix:/run/a/s,$PORT $MAINSTAY");
        assert_eq!(fill("$BUILD_DIRECTORY/venv ${BUILD_DIRECTORY}s", &unix), "/b/venv /bs");
        assert_eq!(fill("$PORT", &Vec::new()), "$PORT");
    }

    #[test]
    fn only_a_service_means_mainstay_by_its_name() {
        let second = Duration::from_secs(1);
        let probe = Probe::Command(vec!["$MAINSTAY".into(), "$PORT".into()]);
        let spec = HealthSpec { probe, interval: second, timeout: second, retries: 1, start_period: second };
        assert_eq!(health(&spec, None), spec);
        let filled = health(&spec, Some(Path::new("/bin/mainstay")));
        assert_eq!(filled.probe, Probe::Command(vec!["/bin/mainstay".into(), "$PORT".into()]));
    }
}
