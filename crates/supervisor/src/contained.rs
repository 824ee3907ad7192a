//! What is different about an instance whose process is the runner of a container: files are written for it, its environment is the
//! container's, it says later where it takes requests, and it leaves word where its exit status says too little.

use crate::{Order, launch};
use model::container::FileContent;
use model::observed::{Address, End};
use std::path::Path;
use std::time::Duration;
use wire::container::{ENV_PREFIX, Outcome, RunnerFile, RunnerSpec};

/// Signal that has a runner stop its container.
pub(crate) const STOP: i32 = 15;
/// What a runner has beyond the container's own time to stop: for the engine's part, and to remove it.
pub(crate) const MORE: Duration = Duration::from_secs(15);
/// Permissions of the folder of the files' contents: nobody else on the host passes through.
const CLOSED: u32 = 0o700;
/// What is left of the permissions of a secret.
const SECRET: u32 = 0o440;

/// Writes what the runner reads.
///
/// # Errors
/// For people: the file that cannot be read or written.
pub(crate) fn prepare(order: &Order, runner: &RunnerSpec) -> Result<(), String> {
    let folder = &runner.folder;
    wire::container::clean(folder);
    let mut spec = runner.clone();
    if !order.spec.files.is_empty() {
        let contents = RunnerSpec::files(folder);
        let made = sys::folder::make(&contents, CLOSED, None);
        made.map_err(|error| format!("cannot make {}: {error}", contents.display()))?;
        for (index, file) in order.spec.files.iter().enumerate() {
            let source = contents.join(index.to_string());
            let content = match &file.content {
                FileContent::Text(text) => text.expose().as_bytes().to_vec(),
                FileContent::Path(path) => std::fs::read(path)
                    .map_err(|error| format!("the file {} of {}: {error}", path.display(), file.name))?,
            };
            let mode = if file.secret { file.mode & SECRET } else { file.mode };
            let written = sys::durable::write(&source, &content, mode);
            written.map_err(|error| format!("cannot write {}: {error}", source.display()))?;
            let (uid, gid, target) = (file.uid, file.gid, file.target.clone());
            if sys::user::is_root() && (uid.is_some() || gid.is_some()) {
                let owned = std::os::unix::fs::chown(&source, uid, gid);
                owned.map_err(|error| format!("{} cannot be given away: {error}", source.display()))?;
            }
            spec.files.push(RunnerFile { source, target, uid, gid, mode });
        }
    }
    let file = RunnerSpec::file(folder);
    let bytes = wire::encode(&spec).map_err(|error| error.to_string())?;
    sys::durable::write(&file, &bytes, 0o600)
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Removes what the runner had. Of a container that outlives it (the engine was silent) it is still told which one that is: whoever stops
/// the stack has to know, and the keeper's sweep removes it with the container.
pub(crate) fn clean(folder: &Path) {
    match wire::container::confined(folder) {
        Some(confined) if sys::proc::lives(confined.pid, confined.born) => {
            let _ = std::fs::remove_dir_all(RunnerSpec::files(folder));
        }
        _ => wire::container::clean(folder),
    }
}

/// The environment of the runner: what an app's process would get, and apart from that, each under another name, what the container gets.
/// Gives that of both.
pub(crate) fn environment(order: &Order, env: Vec<(String, String)>) -> Vec<(String, String)> {
    let base = ["PATH", "LANG"];
    let own = env
        .into_iter()
        .filter(|(name, _)| base.contains(&name.as_str()) && !order.spec.env.contains_key(name));
    let inside =
        order.spec.env.iter().map(|(name, value)| (format!("{ENV_PREFIX}{name}"), value.expose().to_owned()));
    own.chain(inside).collect()
}

/// Names of the runner's variables whose values are secret.
pub(crate) fn secret_names(order: &Order) -> Vec<String> {
    launch::secret_names(&order.spec).map(|name| format!("{ENV_PREFIX}{name}")).collect()
}

/// Where the container takes requests, once its runner knows.
pub(crate) fn address(folder: &Path) -> Option<Address> {
    wire::container::address(folder).map(Address::Tcp)
}

/// How the container ended, by its runner's word where there is one.
pub(crate) fn end(folder: &Path, end: End) -> End {
    match (end, wire::container::outcome(folder)) {
        (End::Stopped, _) => End::Stopped,
        (_, Some(Outcome::OutOfMemory { held, limit })) => End::OutOfMemory { held, limit },
        (_, Some(Outcome::NotStarted(why))) => End::NotStarted(why),
        (end, None) => end,
    }
}
