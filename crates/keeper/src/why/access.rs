//! Finds the line of a request in the access logs: the newest file first, and not more than [`MOST`] bytes in all.

use crate::home::Home;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes that are read in all.
const MOST: u64 = 768 << 20;
/// Longest line that is looked at.
const LONGEST: u64 = 256 << 10;
/// Rotated files of one log.
const KEPT: u32 = 20;

/// The line with this id; `made`: when the request came, if that is known. A log in the combined form has no ids.
pub fn find(home: &Home, id: &str, made: Option<u64>) -> Option<Value> {
    let mark = format!("\"request_id\":\"{id}\"");
    let mut left = MOST;
    for (_, path) in files(home, made) {
        let Ok(file) = sys::folder::open_plain(&path) else { continue };
        let mut reader = BufReader::with_capacity(1 << 20, file.take(left));
        let found = scan(&mut reader, &mark);
        left = reader.into_inner().limit();
        if found.is_some() || left == 0 {
            return found;
        }
    }
    None
}

fn scan(reader: &mut impl BufRead, mark: &str) -> Option<Value> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line).ok()?;
        if read == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&line);
        if text.contains(mark) {
            return serde_json::from_str(&text).ok();
        }
    }
}

/// All files that may have it, the one that was written last first.
fn files(home: &Home, made: Option<u64>) -> Vec<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(home.logs()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let own = names.filter_map(|stack| home.log_link(&stack).join("access.log").canonicalize().ok());
    let logs = std::iter::once(home.edge_logs().join("access.log")).chain(own);
    let written = |path: PathBuf| Some((path.metadata().ok()?.modified().ok()?, path));
    let all =
        logs.flat_map(|log| std::iter::once(log.clone()).chain((1..=KEPT).map(move |n| older(&log, n))));
    let made = made.map(|made| UNIX_EPOCH + std::time::Duration::from_millis(made.saturating_sub(2000)));
    let mut files: Vec<_> =
        all.filter_map(written).filter(|(at, _)| made.is_none_or(|made| *at >= made)).collect();
    files.sort();
    files.reverse();
    files
}

fn older(log: &Path, n: u32) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}
