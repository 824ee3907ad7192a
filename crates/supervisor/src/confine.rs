//! What an instance may use and is kept from, as this host can see to it: what its shim is told, and what cannot be done here.

use crate::Order;
use model::confine::ConfineSpec;
use model::container::FileContent;
use model::spec::AppSpec;
use model::upkeep::ResourcesSpec;
use std::io;
use std::path::PathBuf;
use sys::cgroup::{Controller, Group, Host, Limits};
use sys::sandbox::Able;
use sys::user::User;
use wire::shim::{Confinement, Credentials, PlacedFile};

/// What is left of the permissions of a secret.
const SECRET: u32 = 0o440;
/// Bytes of a file that an instance alone sees: what all of them have takes the host's memory.
const LARGEST: u64 = 1 << 20;

/// The limits that a control group can see to.
pub fn limits(resources: &ResourcesSpec) -> Limits {
    let ResourcesSpec { memory, cpus, pids, .. } = *resources;
    Limits { memory, cpus, pids }
}

/// Makes the control group of an instance that has limits; of a container its engine makes one. Where this host cannot, there is none, and
/// `status` says so.
pub(crate) fn group(order: &Order) -> Result<Group, String> {
    let limits = limits(&order.spec.resources);
    if limits.is_empty() || order.spec.container.is_some() {
        return Ok(Group::default());
    }
    Host::make(&order.places.groups, &order.id.short(), &limits)
        .map_err(|error| format!("its control group cannot be made: {error}"))
}

/// Whether what it executes may gain no rights: where nothing is said, of an app that root runs as somebody else.
pub fn no_new_privileges(spec: &AppSpec, user: Option<&User>) -> bool {
    let is_other = sys::user::is_root() && user.is_some_and(|user| user.uid != 0);
    spec.container.is_none() && spec.confine.new_privileges.map_or(is_other, |may| !may)
}

/// Id of the group that it is to run as, by name or number.
pub fn group_id(spec: &AppSpec) -> Option<u32> {
    let name = spec.confine.group.as_ref().filter(|_| sys::user::is_root())?;
    sys::user::group(name).or_else(|| name.parse().ok())
}

/// Of an app that runs as root, with a group of its own.
pub(crate) fn own_group(spec: &AppSpec) -> Option<Credentials> {
    group_id(spec).map(|gid| Credentials { uid: sys::user::uid(), gid, groups: vec![gid] })
}

/// What the shim is told; none: nothing is asked for that takes more than a user.
pub(crate) fn confinement(order: &Order) -> Result<Option<Confinement>, String> {
    let (spec, own) = (&order.spec, &order.spec.confine);
    if let Some(group) = own.group.as_ref().filter(|_| sys::user::is_root() && group_id(spec).is_none()) {
        return Err(format!("there is no group {group} on this host"));
    }
    let ConfineSpec { read_only, tmpfs, cap_add, cap_drop, .. } = own.clone();
    let sandbox = own.is_sandboxed();
    let is_plain = !read_only && tmpfs.is_empty() && cap_add.is_empty() && cap_drop.is_empty() && !sandbox;
    if order.runner.is_some() || (is_plain && spec.files.is_empty()) {
        return Ok(None);
    }
    let places = &order.places;
    let sockets = [Some(&places.app_socket), places.service_socket.as_ref()];
    let folders = sockets.into_iter().flatten().filter_map(|socket| socket.parent());
    let writable = folders.chain([places.state.as_path()]).map(ToOwned::to_owned);
    let kept = [Some(order.root.clone()), Some(spec.dir.clone()), places.build.clone()];
    Ok(Some(Confinement {
        read_only,
        writable: writable.chain(spec.writable.iter().cloned()).filter(|path| path.exists()).collect(),
        kept: kept.into_iter().flatten().filter(|path| path.exists()).collect(),
        tmpfs,
        files: files(order)?,
        cap_add,
        cap_drop,
        sandbox,
    }))
}

/// Its secrets and configurations, read now.
fn files(order: &Order) -> Result<Vec<PlacedFile>, String> {
    let user = order.user.as_ref().map(|user| (user.uid, user.gid));
    let (uid, gid) = user.unwrap_or_else(|| (sys::user::uid(), sys::user::gid()));
    let place = |file: &model::container::FileSpec| {
        let content = match &file.content {
            FileContent::Text(text) => text.expose().as_bytes().to_vec(),
            FileContent::Path(path) => read(path)
                .map_err(|error| format!("the file {} of {}: {error}", path.display(), file.name))?,
        };
        let owner = if sys::user::is_root() {
            (file.uid.unwrap_or(uid), file.gid.unwrap_or(gid))
        } else {
            (uid, gid)
        };
        let mode = if file.secret { file.mode & SECRET } else { file.mode };
        Ok(PlacedFile { target: file.target.clone(), content, owner, mode })
    };
    order.spec.files.iter().map(place).collect()
}

fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > LARGEST {
        return Err(io::Error::other(format!("larger than {LARGEST} bytes")));
    }
    std::fs::read(path)
}

/// What of an app's limits and confinement this host cannot see to, a line each, begun by the key; of a process that runs as we do.
pub fn doubts(spec: &AppSpec) -> Vec<String> {
    if spec.container.is_some() {
        return Vec::new();
    }
    let mut doubts = Vec::new();
    let host = Host::look();
    for controller in limits(&spec.resources).controllers() {
        if let Err(why) = host.can(controller) {
            let (key, instead) = match controller {
                Controller::Memory => {
                    ("memory", "; the keeper looks at it each second instead, and ends what is beyond")
                }
                Controller::Cpu => ("cpus", ""),
                Controller::Pids => ("pids", ""),
            };
            doubts.push(format!("resources.{key}: no control group sees to it: {why}{instead}"));
        }
    }
    let own = &spec.confine;
    if own == &ConfineSpec::default() && spec.files.is_empty() {
        return doubts;
    }
    let able = Able::look();
    if let Err(why) = &able.mounts {
        let instead = match able.landlock {
            Some(_) if own.is_sandboxed() => "; Landlock refuses changes instead",
            _ => "",
        };
        doubts.extend(own.read_only.then(|| format!("read_only: {why}{instead}")));
        doubts.extend((!own.tmpfs.is_empty()).then(|| format!("tmpfs: {why}")));
        doubts.extend(
            (!spec.files.is_empty()).then(|| format!("files: {why}; it does not start without them")),
        );
    }
    if let Some(group) = own.group.as_ref().filter(|_| !sys::user::is_root()) {
        doubts.push(format!("group: only root can run an app with the group {group}"));
    }
    let missing = |name: &&String| *name != "ALL" && !able.capabilities.contains(name);
    for name in own.cap_add.iter().filter(missing) {
        doubts.push(format!("cap_add: whoever starts Mainstay here has not got {name} himself"));
    }
    if own.is_sandboxed() {
        doubts.extend(
            able.landlock.is_none().then(|| "sandbox: the kernel has no Landlock, or it is off".into()),
        );
        doubts.extend(
            (!able.seccomp).then(|| "sandbox: no filter of system calls on this kernel and machine".into()),
        );
    }
    doubts
}
