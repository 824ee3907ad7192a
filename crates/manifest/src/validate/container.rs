//! An app in a container: `image`, `entrypoint`, `container`, `volumes`, `files`, `networks`.

use super::{Context, command, items};
use crate::file::{
    AppFile, ContainerFile, FileFile, FileSecretFile, ImageFile, ImageTable, IpcFile, MountFile, MountTable,
    NetworkModeFile, NetworksFile, OneOrMany, PidFile, PullFile, UlimitFile,
};
use crate::place::Place;
use model::Secret;
use model::container::{
    ContainerSpec, FileContent, FileSpec, ImageBuild, ImageSpec, MountSource, MountSpec, PullPolicy,
};
use model::network::JoinSpec;
use std::path::{Path, PathBuf};

/// Sockets of engines: who may write to one is root on the host.
const ENGINES: [&str; 2] = ["docker.sock", "podman.sock"];
/// Permissions of a secret, and the most it may have; of other files.
const MODES: (u32, u32) = (0o440, 0o444);

/// Whether this app runs in a container.
pub fn is(place: Place<'_>) -> bool {
    place.key("image").given() || super::image::is(place)
}

/// Name that an image that is built also gets.
pub fn tag(file: &AppFile) -> Option<String> {
    match file.image.as_ref()? {
        ImageFile::Name(name) => Some(name.clone()),
        ImageFile::Table(table) => table.name.clone(),
    }
}

/// What an app of the host's has no use for.
pub fn alone(context: &mut Context<'_>, place: Place<'_>) {
    for key in ["container", "entrypoint", "volumes", "files"] {
        if place.key(key).given() {
            let found = context.report.error("container::none", format!("`{key}` is for apps in containers"));
            found.at(place.key(key).name_span(), "this app has no `image`");
        }
    }
}

/// Checks what only a container has. `built`: its image, where it is built.
pub fn container(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &AppFile,
    built: Option<ImageBuild>,
) -> ContainerSpec {
    let own = file.container.clone().unwrap_or_default();
    let place_of = place.key("container");
    if place.key("writable").given() {
        let found = context.report.error("container::native", "`writable` is for apps of the host's");
        found.at(place.key("writable").name_span(), "means nothing in a container").help("use `volumes`");
    }
    if own.privileged == Some(true) {
        let message = "a privileged container may do everything that root may on this host";
        let found = context.report.warning("container::privileged", message);
        found.at(place_of.key("privileged").span(), "nothing confines it");
        found.help("name what it needs: `cap_add`, `devices`");
    }
    if own.network_mode == Some(NetworkModeFile::Host) {
        let found = context.report.warning(
            "container::host",
            "a container on the host's network is reached by everybody who reaches its ports",
        );
        found.at(place_of.key("network_mode").span(), "no network of its own");
        found.help("leave it out: the edge reaches it on a private network");
    }
    let words = |value: Option<&OneOrMany>| {
        value
            .map(|value| items(place_of, Some(value)).map(|(_, text)| text.to_owned()).collect())
            .unwrap_or_default()
    };
    let shm = own.shm_size.as_ref();
    ContainerSpec {
        image: match built {
            Some(built) => ImageSpec::Build(Box::new(built)),
            None => image(context, place.key("image"), file.image.as_ref()),
        },
        entrypoint: file.entrypoint.as_ref().map(|words| words_of(context, place.key("entrypoint"), words)),
        command: file.run.as_ref().map(|words| command::argv(context, place.key("run"), Some(words))),
        working_dir: inside(context, place.key("dir"), file.dir.as_deref()),
        user: file.user.clone(),
        hostname: own.hostname.clone(),
        labels: own.labels.clone(),
        extra_hosts: extra_hosts(context, place_of.key("extra_hosts"), own.extra_hosts.as_ref()),
        init: own.init.unwrap_or(false),
        tty: own.tty.unwrap_or(false),
        stdin_open: own.stdin_open.unwrap_or(false),
        privileged: own.privileged.unwrap_or(false),
        devices: words(own.devices.as_ref()),
        group_add: words(own.group_add.as_ref()),
        sysctls: own.sysctls.clone(),
        ulimits: ulimits(context, place_of.key("ulimits"), &own),
        shm_size: shm.map(|size| context.size(place_of.key("shm_size"), Some(size), 0)),
        security_opt: words(own.security_opt.as_ref()),
        dns: words(own.dns.as_ref()),
        dns_search: words(own.dns_search.as_ref()),
        dns_options: words(own.dns_options.as_ref()),
        network_mode: own.network_mode.map(|mode| match mode {
            NetworkModeFile::Host => "host".into(),
            NetworkModeFile::None => "none".into(),
        }),
        pid_mode: own.pid.map(|PidFile::Host| "host".into()),
        ipc_mode: own.ipc.map(|mode| match mode {
            IpcFile::Host => "host".into(),
            IpcFile::Shareable => "shareable".into(),
        }),
    }
}

fn image(context: &mut Context<'_>, place: Place<'_>, file: Option<&ImageFile>) -> ImageSpec {
    let table = match file {
        None => return ImageSpec::default(),
        Some(ImageFile::Name(name)) => ImageTable { name: Some(name.clone()), ..ImageTable::default() },
        Some(ImageFile::Table(table)) => table.clone(),
    };
    let name = table.name.unwrap_or_default();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let found = context.report.error("image::bad", format!("{name:?} is not the name of an image"));
        found
            .at(place.span(), "a name is expected here")
            .help("write `[registry/]name[:tag]`: `docker.io/library/redis:7`");
    }
    let pull = match table.pull {
        None | Some(PullFile::Missing) => PullPolicy::Missing,
        Some(PullFile::Always) => PullPolicy::Always,
        Some(PullFile::Never) => PullPolicy::Never,
    };
    ImageSpec::Reference { name, pull, platform: table.platform }
}

/// As a command, but it may be empty: then the image's entry point is not run.
fn words_of(context: &mut Context<'_>, place: Place<'_>, words: &OneOrMany) -> Vec<String> {
    match words {
        OneOrMany::Many(list) if list.is_empty() => Vec::new(),
        words => command::argv(context, place, Some(words)),
    }
}

/// An absolute path inside.
fn inside(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<String> {
    let text = text?;
    if !text.starts_with('/') || text.contains('\0') {
        let found = context.report.error("path::inside", format!("{text:?} is no path inside a container"));
        found.at(place.span(), "begins with `/`");
    }
    Some(text.to_owned())
}

fn extra_hosts(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&OneOrMany>,
) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for (place, text) in items(place, file) {
        match text.split_once(':').filter(|(name, to)| !name.is_empty() && !to.is_empty()) {
            Some((name, to)) => hosts.push((name.to_owned(), to.to_owned())),
            None => {
                let found = context.report.error("hosts::bad", format!("{text:?} is no name and address"));
                found.at(place.span(), "write `name:address`");
            }
        }
    }
    hosts
}

fn ulimits(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &ContainerFile,
) -> std::collections::BTreeMap<String, (i64, i64)> {
    let mut limits = std::collections::BTreeMap::new();
    for (name, limit) in &file.ulimits {
        let both = match limit {
            UlimitFile::Both(both) => Some((*both, *both)),
            UlimitFile::Two(two) => {
                if let [soft, hard] = two[..] {
                    Some((soft, hard))
                } else {
                    None
                }
            }
        };
        match both.filter(|(soft, hard)| *soft >= -1 && *hard >= -1) {
            Some(both) => drop(limits.insert(name.clone(), both)),
            None => {
                let found = context.report.error("ulimit::bad", format!("`{name}` is no limit"));
                found.at(place.key(name).span(), "a number, or a list of two: soft and hard");
            }
        }
    }
    limits
}

/// What of the host's, and which volumes, it sees.
pub fn mounts(context: &mut Context<'_>, place: Place<'_>, files: &[MountFile]) -> Vec<MountSpec> {
    let mut mounts: Vec<MountSpec> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let place = place.item(index);
        let Some(mount) = mount(context, place, file) else { continue };
        if mounts.iter().any(|other| other.target == mount.target) {
            let message = format!("two mounts at {}", mount.target.display());
            context.report.error("mount::twice", message).at(place.span(), "there is one already");
            continue;
        }
        mounts.push(mount);
    }
    mounts
}

fn mount(context: &mut Context<'_>, place: Place<'_>, file: &MountFile) -> Option<MountSpec> {
    let table = match file {
        MountFile::Table(table) => table.clone(),
        MountFile::Text(text) => short(text),
    };
    let target = table.target.unwrap_or_default();
    let source = table.source.filter(|source| !source.is_empty());
    if !target.starts_with('/') || target.contains([':', '\0']) {
        let found = context.report.error("mount::target", "this does not say where in the container");
        found
            .at(place.span(), "a path that begins with `/` is missing")
            .help("write `name:/path` or `./folder:/path`");
        return None;
    }
    let options = table.options.as_ref();
    let options: Vec<String> = items(place, options).map(|(_, text)| text.to_owned()).collect();
    let read_only = table.read_only.unwrap_or(false);
    let source = match source {
        None => MountSource::Anonymous,
        Some(path) if path.starts_with(['.', '/']) => MountSource::Bind(bind(context, place, &path)?),
        Some(name) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            if !name.chars().all(fits) {
                let found = context.report.error("volume::name", format!("{name:?} cannot name a volume"));
                found
                    .at(place.span(), "letters, digits, `_`, `.` and `-`")
                    .help("a folder begins with `./` or `/`");
                return None;
            }
            MountSource::Volume(name)
        }
    };
    Some(MountSpec { source, target: PathBuf::from(target), read_only, options })
}

/// `[source:]target[:options]`.
fn short(text: &str) -> MountTable {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let (source, target, options) = match parts[..] {
        [source, target, options] => (Some(source), target, options),
        // `/path:ro` is a volume without a name.
        [target, options] if target.starts_with('/') && !options.starts_with('/') => (None, target, options),
        [source, target] => (Some(source), target, ""),
        _ => (None, text, ""),
    };
    let words = options.split(',').filter(|word| !word.is_empty() && *word != "rw");
    let (read_only, others): (Vec<&str>, Vec<&str>) = words.partition(|word| *word == "ro");
    MountTable {
        source: source.map(str::to_owned),
        target: Some(target.to_owned()),
        read_only: Some(!read_only.is_empty()),
        options: Some(OneOrMany::Many(others.into_iter().map(str::to_owned).collect())),
    }
}

/// Something of the host's.
fn bind(context: &mut Context<'_>, place: Place<'_>, text: &str) -> Option<PathBuf> {
    let path = context.path(place, text)?;
    if path.to_string_lossy().contains(':') {
        let found = context.report.error("mount::colon", "an engine cannot be told a path with a `:`");
        found.at(place.span(), "rename the folder");
        return None;
    }
    if path.file_name().is_some_and(|name| ENGINES.iter().any(|engine| name == *engine)) {
        let message = "whoever can speak to the container engine is root on this host";
        let found = context.report.warning("container::engine", message);
        found.at(place.span(), "`:ro` does not change that");
        found.help("Mainstay itself needs no such mount: leave it out where it was for Traefik's discovery");
    } else if context.disk.is_real() && !path.exists() {
        let found = context.report.info("mount::missing", format!("{} does not exist", path.display()));
        found.at(place.span(), "a folder will be made there");
    }
    Some(path)
}

/// Secrets and configurations that it sees as files.
pub fn files(context: &mut Context<'_>, place: Place<'_>, files: &[FileFile]) -> Vec<FileSpec> {
    let mut specs = Vec::new();
    for (index, file) in files.iter().enumerate() {
        specs.extend(one_file(context, place.item(index), file));
    }
    specs
}

fn one_file(context: &mut Context<'_>, place: Place<'_>, file: &FileFile) -> Option<FileSpec> {
    let given: Vec<&str> =
        ["file", "secret", "content"].into_iter().filter(|key| place.key(key).given()).collect();
    if given.len() != 1 {
        let found =
            context.report.error("file::content", "a file has exactly one of `file`, `secret` and `content`");
        found.at(place.span(), if given.is_empty() { "what is in it?" } else { "more than one" });
        return None;
    }
    let Some(name) = file.name.clone().filter(|name| !name.is_empty() && !name.contains(['/', '\0'])) else {
        let found = context.report.error("file::name", "a file has a name, without `/`");
        found.at(place.key("name").span(), "the name is missing");
        return None;
    };
    let secret = file.secret.is_some();
    let read = |context: &mut Context<'_>, place: Place<'_>, text: &str| {
        let path = context.path(place, text)?;
        if context.disk.is_real() && !path.is_file() {
            let found = context.report.error("file::missing", format!("there is no file {}", path.display()));
            found.at(place.span(), format!("the content of `{name}`"));
        }
        Some(FileContent::Path(path))
    };
    let content = match (&file.file, &file.secret, &file.content) {
        (Some(path), ..) => read(context, place.key("file"), path)?,
        (_, Some(FileSecretFile::Table(table)), _) => {
            read(context, place.key("secret").key("file"), table.file.as_deref().unwrap_or_default())?
        }
        (_, Some(FileSecretFile::Value(text)), _) | (.., Some(text)) => {
            FileContent::Text(Secret::new(text.clone()))
        }
        _ => return None,
    };
    let (usual, most) = if secret { (MODES.0, MODES.0) } else { (MODES.1, 0o777) };
    let mode = match &file.mode {
        None => usual,
        Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .unwrap_or_else(|| {
                let found = context.report.error("file::mode", format!("{text:?} are no permissions"));
                found.at(place.key("mode").span(), "three octal digits: `\"0440\"`");
                usual
            }),
    };
    if mode & !most != 0 {
        let found =
            context.report.warning("file::mode", "a secret is never readable by everybody, nor executable");
        found.at(place.key("mode").span(), format!("it gets {:04o}", mode & most));
    }
    let usual = if secret { format!("/run/secrets/{name}") } else { format!("/{name}") };
    let target = inside(context, place.key("target"), Some(file.target.as_deref().unwrap_or(&usual)))?;
    let id = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok());
    Some(FileSpec {
        name,
        content,
        target: Path::new(&target).to_owned(),
        uid: id(file.uid),
        gid: id(file.gid),
        mode: mode & most,
        secret,
    })
}

/// Networks it is on.
pub fn joins(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&NetworksFile>,
    most: u32,
) -> Vec<JoinSpec> {
    match file {
        None => Vec::new(),
        Some(NetworksFile::Names(names)) => {
            names.iter().map(|name| JoinSpec { network: name.clone(), ..JoinSpec::default() }).collect()
        }
        Some(NetworksFile::Table(table)) => {
            let mut joins = Vec::new();
            // In the order in which they are written: it is reached over the first.
            for (name, join) in place.keys().filter_map(|name| table.get_key_value(name)) {
                let place = place.key(name);
                let aliases =
                    items(place.key("aliases"), join.aliases.as_ref()).map(|(_, text)| text.to_owned());
                let aliases = aliases.collect();
                let address = join.address.as_ref().and_then(|text| {
                    let wrong = |_| {
                        let found = context.report.error("address::bad", format!("{text:?} is no address"));
                        found.at(place.key("address").span(), "write `172.20.0.10`");
                    };
                    text.parse().map_err(wrong).ok()
                });
                if address.is_some() && most > 1 {
                    let found =
                        context.report.error("address::shared", "a fixed address is for one instance");
                    found.at(place.key("address").span(), format!("{most} instances"));
                }
                joins.push(JoinSpec { network: name.clone(), aliases, address });
            }
            joins
        }
    }
}
