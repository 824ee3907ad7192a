//! What a build is known by: a number that changes when the steps, what they read or who runs them does.

use crate::launch::DEFAULT_PATH;
use model::id::{fnv1a, fnv1a_more};
use model::spec::{AppSpec, BuildSpec};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most files and folders that all inputs of an app hold together.
const MOST_FILES: usize = 20_000;
/// Most bytes in them: a sparse file of terabytes costs who made it nothing.
const MOST_BYTES: u64 = 4 << 30;
/// Part of the hash: raised when builds of former versions are not to be used any more.
const GENERATION: u32 = 1;
/// Our own folder in a stack's, which an input does not hold: what is built lies there.
const OWN: &str = ".mainstay";

/// Hash of an app's build, and a digest of each of its inputs. `root`: what names are relative to; `uid`: whom the steps run as.
///
/// # Errors
/// For people: an input that cannot be read, or holds too many files. One that is not there is no error: it may come, and counts as
/// changed then.
pub fn hash(
    app: &AppSpec,
    build: &BuildSpec,
    root: &Path,
    uid: Option<u32>,
) -> Result<(u64, Vec<u64>), String> {
    let mut left = Left { files: MOST_FILES, bytes: MOST_BYTES };
    let read =
        |input: &PathBuf| digest(input, &mut left).map_err(|error| format!("{}: {error}", input.display()));
    let digests = build.inputs.iter().map(read).collect::<Result<Vec<u64>, String>>()?;
    let names: Vec<&Path> =
        build.inputs.iter().map(|input| input.strip_prefix(root).unwrap_or(input)).collect();
    let programs: Vec<_> =
        build.steps.iter().filter_map(|step| step.first()).map(|it| program(it, app)).collect();
    let all = (GENERATION, &build.steps, &app.dir, uid, names, &digests, programs);
    // Serialising text and numbers to memory does not fail.
    Ok((fnv1a(&serde_json::to_vec(&all).unwrap_or_default()), digests))
}

/// Where a step's program is, its size and when it was changed; none of what the steps build themselves.
fn program(name: &str, app: &AppSpec) -> Option<(PathBuf, u64, i64)> {
    if name.contains("BUILD_DIRECTORY") {
        return None;
    }
    let path =
        app.env.get("PATH").map(|value| value.expose().to_owned()).or_else(|| std::env::var("PATH").ok());
    let path = path.unwrap_or_else(|| DEFAULT_PATH.to_owned());
    let found = if name.contains('/') {
        app.dir.join(name)
    } else {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())?
    };
    let file = found.canonicalize().ok()?;
    let meta = file.metadata().ok()?;
    Some((file, meta.size(), meta.mtime()))
}

/// Stands for what a file holds, or for the names and contents of all files of a folder.
fn digest(input: &Path, left: &mut Left) -> io::Result<u64> {
    match input.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => folder(input, left),
        Ok(_) => file(input, left),
    }
}

/// What may still be read.
struct Left {
    files: usize,
    bytes: u64,
}

impl Left {
    /// One more, of so many bytes.
    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let too_much = |what| {
            move || io::Error::other(format!("the inputs of a build hold more than {what}: name fewer"))
        };
        self.files = self.files.checked_sub(1).ok_or_else(too_much(format!("{MOST_FILES} files")))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_much(format!("{MOST_BYTES} bytes")))?;
        Ok(())
    }
}

fn file(path: &Path, left: &mut Left) -> io::Result<u64> {
    let file = sys::folder::open_plain(path)?;
    let bytes = file.metadata()?.len();
    left.take(bytes)?;
    let mut file = file.take(bytes); // it may grow meanwhile
    let mut hash = fnv1a(b"file");
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hash),
            Ok(read) => hash = fnv1a_more(hash, chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Links in it are not followed: where they lead to counts.
fn folder(path: &Path, left: &mut Left) -> io::Result<u64> {
    let mut hash = fnv1a(b"folder");
    let mut to_see = vec![path.to_owned()];
    while let Some(folder) = to_see.pop() {
        let mut entries = std::fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.retain(|entry| entry.file_name() != OWN);
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (name, kind) = (entry.path(), entry.file_type()?);
            let relative = name.strip_prefix(path).unwrap_or(&name);
            let content = if kind.is_dir() {
                left.take(0)?;
                to_see.push(name.clone());
                0
            } else if kind.is_symlink() {
                fnv1a(std::fs::read_link(&name)?.as_os_str().as_encoded_bytes())
            } else if kind.is_file() {
                file(&name, left)?
            } else {
                1 // a socket or a device: it holds nothing
            };
            hash = fnv1a_more(hash, relative.as_os_str().as_encoded_bytes());
            hash = fnv1a_more(hash, &[0]);
            hash = fnv1a_more(hash, &content.to_le_bytes());
        }
    }
    Ok(hash)
}
