//! What a folder without an index holds, where the site chose to show it: a page for people, JSON for programs.
//!
//! Shown is only what would be served: no refused name, no link, nothing special. Names are escaped for where they stand.

use crate::html::escape;
use rustix::fs::{AtFlags, Dir, FileType, statat};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

/// Names shown of one folder; the page says when there are more.
const MOST: usize = 10_000;

/// One name in a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name; with a slash behind it where it is a folder.
    name: String,
    size: u64,
    modified: SystemTime,
}

/// Reads a folder: folders first, then by name.
///
/// # Errors
/// Those of the file system.
pub fn read(folder: &OwnedFd, refuse: impl Fn(&str) -> bool) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') && matches!(name, "." | "..") || refuse(name) {
            continue;
        }
        // It may be gone by now.
        let Ok(stat) = statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let (name, size) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => (name.to_owned(), u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => (format!("{name}/"), 0),
            _ => continue,
        };
        let modified = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        entries.push(Entry { name, size, modified: SystemTime::UNIX_EPOCH + modified });
        if entries.len() > MOST {
            break;
        }
    }
    entries.sort_by(|one, other| (!one.is_folder(), &one.name).cmp(&(!other.is_folder(), &other.name)));
    Ok(entries)
}

impl Entry {
    fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// Media type and body.
pub fn render(path: &str, entries: &[Entry], json: bool) -> (&'static str, String) {
    let shown = entries.get(..MOST).unwrap_or(entries);
    if json {
        let list: Vec<_> = shown
            .iter()
            .map(|entry| {
                let modified = httpdate::fmt_http_date(entry.modified);
                let size = (!entry.is_folder()).then_some(entry.size);
                serde_json::json!({ "name": entry.name, "size": size, "modified": modified })
            })
            .collect();
        return ("application/json", format!("{}\n", serde_json::Value::from(list)));
    }
    let title = escape(&format!("/{path}"));
    let up = if path.is_empty() { "" } else { "<tr><td><a href=\"../\">../</a><td><td>\n" };
    let rows: String = shown.iter().map(row).collect();
    let more =
        if entries.len() > MOST { format!("<p>Only the first {MOST} are shown.</p>") } else { String::new() };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>\
:root{{color-scheme:light dark}}body{{max-width:60rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif}}\
h1{{font-size:1.25rem;overflow-wrap:anywhere}}table{{width:100%;border-collapse:collapse}}\
td{{padding:.2rem .5rem;border-bottom:1px solid #8883}}td+td{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}\
a{{overflow-wrap:anywhere}}</style></head><body><h1>{title}</h1><table>\n{up}{rows}</table>{more}</body></html>\n"
    );
    ("text/html; charset=utf-8", page)
}

fn row(entry: &Entry) -> String {
    let size = if entry.is_folder() { String::new() } else { entry.size.to_string() };
    // `./`: a name with a colon is no scheme.
    format!(
        "<tr><td><a href=\"./{}\">{}</a><td>{size}<td>{}\n",
        super::redirect::encode(&entry.name),
        escape(&entry.name),
        httpdate::fmt_http_date(entry.modified)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_cannot_be_markup() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a&<b>\".txt", "x:y", ".env", "z.py"] {
            std::fs::File::create(folder.path().join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.txt")).unwrap();
        let opened: OwnedFd = std::fs::File::open(folder.path()).unwrap().into();
        let entries = read(&opened, |name| name.starts_with('.') || name.ends_with(".py")).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["sub/", "a&<b>\".txt", "b.txt", "x:y"]);
        let (_, page) = render("x/", &entries, false);
        assert!(page.contains("<a href=\"./a&%3Cb%3E%22.txt\">a&amp;&lt;b&gt;&quot;.txt</a>"), "{page}");
        assert!(page.contains("href=\"./x:y\"") && page.contains("href=\"../\""));
        let (_, json) = render("", &entries, true);
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((list[1]["name"].as_str(), list[0]["size"].is_null()), (Some("a&<b>\".txt"), true));
    }
}
