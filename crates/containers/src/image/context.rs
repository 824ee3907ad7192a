//! The context of a build: the files that it sees, what it is known by, and how it travels to the engine.
//!
//! A Dockerfile that lies elsewhere, or in the manifest, travels under a name of our own, which the ignore file sent with it hides from
//! `COPY`. The Dockerfile is sent even where it is ignored, as Docker does. Links travel as links. Owners and times are left out.

use super::ImageError;
use super::ignore::{self, Ignore};
use model::container::{BuildArg, ImageBuild};
use model::id::{fnv1a, fnv1a_more};
use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Most files and folders of a context.
const MOST_FILES: usize = 200_000;
/// Largest Dockerfile, bytes.
const MOST_DOCKERFILE: u64 = 1 << 20;
/// Part of the hash: raised when images that former versions built are not to be used any more.
const GENERATION: u32 = 1;
/// A Dockerfile that is not in the context travels as this.
const OUTSIDE: &str = ".mainstay.Dockerfile";
/// Our own folder in a stack's: never part of a context.
const OWN: &str = ".mainstay";

/// What a build sees.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    /// Relative, in order: folders before what is in them.
    entries: Vec<(PathBuf, Metadata)>,
    /// Name of the Dockerfile in the tar.
    pub dockerfile: String,
    /// Its text.
    text: Vec<u8>,
    /// What is sent as `.dockerignore`; none: nothing is ignored.
    ignored: Option<String>,
}

/// Stands for all that an image is built from: files, Dockerfile, stage, arguments.
///
/// # Errors
/// Something of it cannot be read.
pub fn fingerprint(build: &ImageBuild) -> Result<u64, ImageError> {
    let context = Context::read(build)?;
    let value = |arg: &BuildArg| match arg {
        BuildArg::Plain(text) => text.clone(),
        BuildArg::Secret(secret) => secret.expose().to_owned(),
    };
    let args: Vec<(&String, String)> = build.args.iter().map(|(name, arg)| (name, value(arg))).collect();
    let ImageBuild { target, tag, labels, extra_hosts, shm_size, platform, network, .. } = build;
    let said = (GENERATION, target, args, tag, labels, extra_hosts, shm_size, platform, network);
    // Serialising text and numbers to memory does not fail.
    let mut hash = fnv1a(&serde_json::to_vec(&said).unwrap_or_default());
    hash = fnv1a_more(hash, &context.text);
    for (path, meta) in &context.entries {
        hash = fnv1a_more(hash, path.as_os_str().as_encoded_bytes());
        hash = fnv1a_more(hash, &meta.permissions().mode().to_le_bytes());
        hash = context.content(path, meta, hash).map_err(wrong(&context.root.join(path)))?;
    }
    Ok(hash)
}

/// An error of a file.
fn wrong(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |error| ImageError::Context { path, cause: error.to_string() }
}

impl Context {
    /// Looks for the files; reads none but the Dockerfile and what says which are ignored.
    pub fn read(build: &ImageBuild) -> Result<Self, ImageError> {
        let root = &build.context;
        let meta = std::fs::metadata(root).map_err(wrong(root))?;
        if !meta.is_dir() {
            return Err(ImageError::Context {
                path: root.clone(),
                cause: "is no folder: the context of a build is one".into(),
            });
        }
        let path = root.join(&build.dockerfile);
        let inside = path
            .strip_prefix(root)
            .ok()
            .filter(|it| it.components().all(|part| matches!(part, std::path::Component::Normal(_))));
        let (text, own) = match &build.inline {
            Some(text) => (text.clone().into_bytes(), root.join(".dockerignore")),
            None => {
                let text = small(&path, MOST_DOCKERFILE).map_err(wrong(&path))?;
                (text, PathBuf::from(format!("{}.dockerignore", path.display())))
            }
        };
        let ignored = [own, root.join(".dockerignore")].into_iter().find(|path| path.is_file());
        let (ignore, ignored) = match ignored {
            Some(path) => {
                let text = small(&path, ignore::MOST_BYTES).map_err(wrong(&path))?;
                let text = String::from_utf8_lossy(&text).into_owned();
                let parsed = Ignore::parse(&text).map_err(|cause| ImageError::Context { path, cause })?;
                (parsed, Some(text))
            }
            None => Default::default(),
        };
        let entries = walk(root, &ignore)?;
        let (dockerfile, ignored) = match inside.filter(|_| build.inline.is_none()) {
            Some(inside) => (inside.to_string_lossy().into_owned(), ignored),
            None => (
                OUTSIDE.to_owned(),
                Some(format!("{}\n{OUTSIDE}\n.dockerignore\n", ignored.unwrap_or_default())),
            ),
        };
        Ok(Self { root: root.clone(), entries, dockerfile, text, ignored })
    }

    /// Goes on with a hash by what an entry holds.
    fn content(&self, path: &Path, meta: &Metadata, hash: u64) -> io::Result<u64> {
        let path = self.root.join(path);
        if meta.is_symlink() {
            let target = std::fs::read_link(path)?;
            return Ok(fnv1a_more(hash, target.as_os_str().as_encoded_bytes()));
        }
        if !meta.is_file() {
            return Ok(fnv1a_more(hash, b"/"));
        }
        let (mut hash, mut chunk) = (fnv1a_more(hash, &meta.len().to_le_bytes()), vec![0; 64 << 10]);
        let mut file = sys::folder::open_plain(&path)?.take(meta.len()); // it may grow meanwhile
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(hash),
                Ok(read) => hash = fnv1a_more(hash, chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of it as a tar.
    ///
    /// # Errors
    /// A file that cannot be read, or the writer's: who reads it has gone.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(to);
        tar.follow_symlinks(false);
        let text = |tar: &mut tar::Builder<_>, name: &str, text: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text)
        };
        for (path, meta) in &self.entries {
            if path == Path::new(&self.dockerfile)
                || (path == Path::new(".dockerignore") && self.ignored.is_some())
            {
                continue; // as it was read, below
            }
            self.entry(&mut tar, path, meta)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
        if let Some(ignored) = &self.ignored {
            text(&mut tar, ".dockerignore", ignored.as_bytes())?;
        }
        text(&mut tar, &self.dockerfile, &self.text)?;
        tar.into_inner()?.flush()
    }

    fn entry(&self, tar: &mut tar::Builder<impl Write>, path: &Path, meta: &Metadata) -> io::Result<()> {
        let whole = self.root.join(path);
        let mut header = tar::Header::new_gnu();
        header.set_mode(meta.permissions().mode() & 0o7777);
        if meta.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            return tar.append_link(&mut header, path, std::fs::read_link(whole)?);
        }
        if meta.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            return tar.append_data(&mut header, path, io::empty());
        }
        // The size is what it has now: one that grows meanwhile would break the archive.
        let file = sys::folder::open_plain(&whole)?;
        let size = file.metadata()?.len();
        header.set_size(size);
        tar.append_data(&mut header, path, file.take(size).chain(io::repeat(0)).take(size))
    }
}

/// A file that is not large.
fn small(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    sys::folder::open_plain(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// What of the folder is not ignored; sockets, pipes and devices hold nothing that could be built from.
fn walk(root: &Path, ignore: &Ignore) -> Result<Vec<(PathBuf, Metadata)>, ImageError> {
    let (mut entries, mut to_see) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = to_see.pop() {
        let whole = root.join(&folder);
        for entry in std::fs::read_dir(&whole).map_err(wrong(&whole))? {
            let entry = entry.map_err(wrong(&whole))?;
            let meta = entry.metadata().map_err(wrong(&entry.path()))?;
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy();
            let (hidden, plain) = (ignore.hides(&name), meta.is_dir() || meta.is_file() || meta.is_symlink());
            if name == OWN || !plain {
                continue;
            }
            if meta.is_dir() && (!hidden || ignore.keeps_below(&name)) {
                to_see.push(path.clone());
            }
            if hidden {
                continue;
            }
            if entries.len() >= MOST_FILES {
                let cause = format!(
                    "holds more than {MOST_FILES} files: name in .dockerignore what the build does not need"
                );
                return Err(ImageError::Context { path: root.to_owned(), cause });
            }
            entries.push((path, meta));
        }
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
