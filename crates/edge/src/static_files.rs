//! Files below a folder: `GET` and `HEAD`, `index.html`, `ETag` and `Last-Modified` with 304. Plain; compression, ranges,
//! fallbacks and the rest of the default denials come with the static site.
//!
//! A path is decoded once and refused where it could mean anything but a file below the root: `..`, NUL, an encoded slash,
//! a name with a leading dot (except `.well-known`). The file is opened by `openat2` with `RESOLVE_BENEATH`, so that no link
//! leads out of the root either. Opening and reading happen on the runtime's few blocking threads, in pieces of at most
//! [`PIECE`], so a large file takes no more memory than a small one.

use crate::answer::refuse;
use crate::connection::{Client, Next};
use crate::error_page::{Refusal, wants_json};
use crate::record::Record;
use http1::{FieldId, Method, RequestHead};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes read at a time: so much a client that takes its file slowly holds of the edge's memory.
const PIECE: usize = 64 << 10;

/// A folder that is served.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// Serves files below `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

/// What a request for a file needs to remember of its head.
pub struct FileRequest {
    root: Arc<Root>,
    /// `None`: the path may not be served.
    path: Option<String>,
    /// As it came, for a redirect.
    raw: Vec<u8>,
    /// With its `?`.
    query: Vec<u8>,
    method: Method,
    none_match: Option<Vec<u8>>,
    modified_since: Option<SystemTime>,
    json: bool,
    has_body: bool,
}

impl FileRequest {
    /// Takes it from the head.
    pub fn new(root: Arc<Root>, buf: &[u8], head: &RequestHead) -> Self {
        let value = |id| head.value(id, buf);
        let since = value(FieldId::IfModifiedSince).and_then(|value| std::str::from_utf8(value).ok());
        Self {
            root,
            path: safe_path(head.path.of(buf)),
            raw: head.path.of(buf).to_vec(),
            query: head.query.map_or_else(Vec::new, |query| [b"?", query.of(buf)].concat()),
            method: head.method,
            none_match: value(FieldId::IfNoneMatch).map(<[u8]>::to_vec),
            modified_since: since.and_then(|since| httpdate::parse_http_date(since).ok()),
            json: wants_json(value(FieldId::Accept).unwrap_or_default()),
            has_body: !head.body.is_empty(),
        }
    }

    /// The client has this version already (RFC 9110 section 13.2.2).
    fn is_unchanged(&self, found: &Found) -> bool {
        match &self.none_match {
            Some(tags) => tags
                .split(|&byte| byte == b',')
                .map(<[u8]>::trim_ascii)
                .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == found.tag.as_bytes()),
            None => self.modified_since.is_some_and(|since| seconds(found.modified) <= seconds(since)),
        }
    }
}

/// An opened file with its first piece.
struct Found {
    file: Arc<File>,
    length: u64,
    modified: SystemTime,
    tag: String,
    kind: String,
    first: Vec<u8>,
}

enum Lookup {
    File(Box<Found>),
    /// A folder that was asked for without its slash.
    Folder,
    Missing,
}

/// Answers with the file.
pub async fn run(client: &mut Client, record: &mut Record, request: &FileRequest) -> Next {
    let refusal = |status, cause| Refusal { close: request.has_body, ..Refusal::new(status, cause) };
    if !matches!(request.method, Method::Get | Method::Head) {
        let refusal = Refusal::method("GET, HEAD", "not a method for files");
        let refusal = Refusal { close: request.has_body, ..refusal };
        return refuse(client, record, &refusal, request.json).await;
    }
    let found = match &request.path {
        None => Ok(Lookup::Missing),
        Some(path) => {
            let (root, path, read) = (Arc::clone(&request.root), path.clone(), request.method == Method::Get);
            match tokio::task::spawn_blocking(move || look_up(&root, &path, read)).await {
                Ok(found) => found,
                Err(error) => Err(io::Error::other(error)),
            }
        }
    };
    match found {
        Ok(Lookup::File(found)) => send(client, record, request, *found).await,
        Ok(Lookup::Folder) => redirect(client, record, request).await,
        Ok(Lookup::Missing) => refuse(client, record, &refusal(404, "no such file"), request.json).await,
        Err(error) => {
            record.cause = Some(format!("file: {error}").into());
            refuse(client, record, &refusal(500, ""), request.json).await
        }
    }
}

async fn send(client: &mut Client, record: &mut Record, request: &FileRequest, mut found: Found) -> Next {
    let unchanged = request.is_unchanged(&found);
    let keep = record.facts.keep_alive && !request.has_body && !client.worker.is_closing();
    record.status = if unchanged { 304 } else { 200 };
    let mut answer = format!(
        "HTTP/1.1 {}\r\nETag: {}\r\nLast-Modified: {}\r\n",
        if unchanged { "304 Not Modified" } else { "200 OK" },
        found.tag,
        httpdate::fmt_http_date(found.modified),
    );
    if !unchanged {
        answer.push_str(&format!("Content-Type: {}\r\nContent-Length: {}\r\n", found.kind, found.length));
    }
    let mut answer = finish_head(answer, record, keep);
    let end = if unchanged || request.method == Method::Head { 0 } else { found.length };
    let mut at = 0;
    if end > 0 {
        at = found.first.len() as u64;
        answer.append(&mut std::mem::take(&mut found.first));
    }
    if !client.send(&answer).await {
        return Next::Close;
    }
    record.sent += answer.len() as u64;
    drop(answer);
    while at < end {
        let file = Arc::clone(&found.file);
        let read = tokio::task::spawn_blocking(move || piece(&file, at, end)).await;
        let piece = match read {
            Ok(Ok(piece)) if !piece.is_empty() => piece,
            // Shorter than it was said to be: only the connection's end can tell.
            _ => {
                record.cause = Some("the file could not be read to its end".into());
                return Next::Close;
            }
        };
        if !client.send(&piece).await {
            return Next::Close;
        }
        at += piece.len() as u64;
        record.sent += piece.len() as u64;
    }
    if keep { Next::Again } else { Next::Linger }
}

async fn redirect(client: &mut Client, record: &mut Record, request: &FileRequest) -> Next {
    let keep = record.facts.keep_alive && !request.has_body && !client.worker.is_closing();
    record.status = 301;
    // `//host` would be another server's address.
    let path = String::from_utf8_lossy(&request.raw);
    let answer = format!(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /{}/{}\r\nContent-Length: 0\r\n",
        path.trim_start_matches('/'),
        String::from_utf8_lossy(&request.query)
    );
    let answer = finish_head(answer, record, keep);
    if !client.send(&answer).await {
        return Next::Close;
    }
    record.sent += answer.len() as u64;
    if keep { Next::Again } else { Next::Linger }
}

fn finish_head(mut head: String, record: &Record, keep: bool) -> Vec<u8> {
    head.push_str(&format!("X-Request-Id: {}\r\n", String::from_utf8_lossy(record.get(record.id))));
    match (keep, record.facts.http10) {
        (false, _) => head.push_str("Connection: close\r\n"),
        (true, true) => head.push_str("Connection: keep-alive\r\n"),
        (true, false) => {}
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn look_up(root: &Root, path: &str, read: bool) -> io::Result<Lookup> {
    let missing = |error: rustix::io::Errno| match error {
        rustix::io::Errno::NOENT
        | rustix::io::Errno::NOTDIR
        | rustix::io::Errno::XDEV
        | rustix::io::Errno::LOOP
        | rustix::io::Errno::ACCESS
        // A socket's file.
        | rustix::io::Errno::NXIO
        | rustix::io::Errno::NAMETOOLONG => Ok(Lookup::Missing),
        other => Err(other.into()),
    };
    let folder =
        match rustix::fs::open(&root.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        {
            Ok(folder) => folder,
            Err(error) => return missing(error),
        };
    let wanted = match path {
        "" => "index.html".to_owned(),
        path if path.ends_with('/') => format!("{path}index.html"),
        path => path.to_owned(),
    };
    // NONBLOCK: opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(&folder, wanted.as_str(), flags, Mode::empty(), resolve) {
        Ok(file) => file,
        Err(error) => return missing(error),
    };
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Ok(Lookup::Folder),
        _ => return Ok(Lookup::Missing),
    }
    let file = Arc::new(File::from(file));
    let metadata = file.metadata()?;
    let modified = metadata.modified()?;
    let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let length = metadata.len();
    let first = if read { piece(&file, 0, length)? } else { Vec::new() };
    Ok(Lookup::File(Box::new(Found {
        length,
        modified,
        tag: format!("\"{:x}-{:x}\"", age.as_nanos(), length),
        kind: kind_of(&wanted),
        first,
        file,
    })))
}

/// Up to [`PIECE`] bytes from `at` on, none from `end` on: a file that has grown since its length was said must not reach into
/// the next answer. Empty where the file ends.
fn piece(file: &File, at: u64, end: u64) -> io::Result<Vec<u8>> {
    let most = usize::try_from(end.saturating_sub(at)).unwrap_or(PIECE).min(PIECE);
    let mut bytes = vec![0; most];
    let count = file.read_at(&mut bytes, at)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn kind_of(path: &str) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The path below the root, decoded; `None` where it may not be served.
fn safe_path(path: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(*high)? * 16 + digit(*low)?;
                (u8::try_from(value).ok().filter(|&byte| byte != b'/' && byte != b'\\')?, after)
            }
            (b'%', _) => return None,
            (byte, after) => (byte, after),
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
        rest = after;
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let relative = decoded.trim_start_matches('/');
    let hidden = |name: &str| name.starts_with('.') && name != ".well-known";
    (!relative.split('/').any(hidden)).then(|| relative.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_paths_below_the_root_are_served() {
        for path in [
            "/../x",
            "/a/%2e%2e/x",
            "/a%2fb",
            "/a%00",
            "/.env",
            "/a/.git/config",
            "/%2egit",
            "/a%5cb",
            "/%zz",
            "/%2",
        ] {
            assert_eq!(safe_path(path.as_bytes()), None, "{path}");
        }
        assert_eq!(safe_path(b"/a%20b/c.txt").as_deref(), Some("a b/c.txt"));
        assert_eq!(safe_path(b"/.well-known/acme").as_deref(), Some(".well-known/acme"));
        assert_eq!(safe_path(b"").as_deref(), Some(""));
    }

    #[test]
    fn a_file_that_changes_keeps_to_the_length_that_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        writer.write_all(&[b'x'; 1000]).unwrap();
        assert_eq!(piece(&file, 0, 10).unwrap(), b"0123456789", "grown");
        assert_eq!(piece(&file, 6, 10).unwrap(), b"6789");
        writer.set_len(4).unwrap();
        assert_eq!(piece(&file, 0, 10).unwrap(), b"0123", "cut");
        assert_eq!(piece(&file, 4, 10).unwrap(), b"");
    }

    #[test]
    fn no_link_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::copy("/proc/self/cmdline", outside.path().join("secret")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), inside.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("folder")).unwrap();
        let root = Root::new(inside.path());
        assert!(matches!(look_up(&root, "link", true), Ok(Lookup::Missing)));
        assert!(matches!(look_up(&root, "folder/secret", true), Ok(Lookup::Missing)));
        assert!(matches!(look_up(&root, "", true), Ok(Lookup::Missing)));
    }
}
