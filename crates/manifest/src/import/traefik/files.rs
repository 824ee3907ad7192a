//! Traefik's own files: where they are, and what they hold.

use super::settings::Settings;
use super::words;
use crate::diagnostic::Report;
use crate::disk::Disk;
use crate::import::compose::Project;
use crate::import::yaml::{self, Text};
use crate::tree::{self, Kind, Node};
use std::path::{Path, PathBuf};

/// Where the file with the fixed settings lies where nothing says so, below the project's folder.
const FOLDERS: [&str; 5] = ["", "traefik", "server/traefik", "config/traefik", "config"];
/// Its names.
const NAMES: [&str; 3] = ["traefik.yml", "traefik.yaml", "traefik.toml"];
/// Where Traefik looks for it in its container.
const INSIDE: &str = "/etc/traefik";
/// Files that are read, at most.
const MAX_FILES: usize = 32;
/// Beginnings of password hashes, which are shown to nobody.
const HASHES: [&str; 6] = ["$2y$", "$2a$", "$2b$", "$apr1$", "$argon2", "{SHA}"];

/// Reads the file with the fixed settings, and those it names, behind the project's own.
pub fn read(project: &mut Project, services: &[String], disk: &mut Disk, report: &mut Report) -> Vec<Text> {
    let mut files = Vec::new();
    let mut flags = Settings::default();
    for name in services {
        flags.add_flags(&words::command(project, name));
    }
    let mounts: Vec<(PathBuf, PathBuf)> = services.iter().flat_map(|name| mounts(project, name)).collect();
    let named = flags.get("configfile").map(|own| outside(Path::new(own.text()), &mounts));
    let mounted = NAMES.iter().map(|name| outside(&Path::new(INSIDE).join(name), &mounts));
    let beside = FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| Path::new(folder).join(name)));
    let beside = beside.map(|path| Some(project.folder.join(path)));
    let candidates: Vec<PathBuf> = named.into_iter().chain(mounted).chain(beside).flatten().collect();
    if let Some(path) = candidates.into_iter().find(|path| disk.is_real() && disk.exists(path)) {
        add(&path, project, disk, report, &mut files);
    }
    let mut fixed = Settings::default();
    for file in &files {
        if let Some(tree) = parse(file, report) {
            fixed.add_tree("", &tree, None);
        }
    }
    for settings in [&flags, &fixed] {
        if let Some(path) =
            settings.get("providers.file.filename").and_then(|own| outside(Path::new(own.text()), &mounts))
        {
            add(&path, project, disk, report, &mut files);
        }
        if let Some(folder) =
            settings.get("providers.file.directory").and_then(|own| outside(Path::new(own.text()), &mounts))
        {
            for name in disk.names(std::slice::from_ref(&folder)) {
                if [".yml", ".yaml", ".toml"].iter().any(|end| name.ends_with(end)) {
                    add(&folder.join(name), project, disk, report, &mut files);
                }
            }
        }
    }
    files
}

fn add(path: &Path, project: &mut Project, disk: &mut Disk, report: &mut Report, files: &mut Vec<Text>) {
    if files.len() >= MAX_FILES || files.iter().any(|file| file.path == path) {
        return;
    }
    match disk.read(path) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            let start = project.files.last().map_or(0, |last| last.start + last.text.len() + 1);
            project
                .secrets
                .extend(hashes(&text).into_iter().map(|span| span.start + start..span.end + start));
            let file = Text { path: path.to_owned(), text, start };
            project.files.push(file.clone());
            report.set_source(project.source());
            files.push(file);
        }
        Err(reason) => {
            let message = format!("{} cannot be read: {reason}", path.display());
            report.warning("traefik::unreadable", message).help("Traefik's settings in it are not used");
        }
    }
}

fn hashes(text: &str) -> Vec<tree::Span> {
    let ends = |at: usize| text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end);
    let found = HASHES.iter().flat_map(|hash| text.match_indices(hash));
    found.map(|(at, _)| at..ends(at)).collect()
}

/// What a file holds.
pub fn parse(file: &Text, report: &mut Report) -> Option<Node> {
    if file.path.extension().is_some_and(|end| end == "toml") {
        return match toml_edit::Document::parse(file.text.as_str()) {
            Ok(document) => {
                let mut root = tree::build(&document);
                shift(&mut root, file.start);
                Some(root)
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let found = report.error("toml::syntax", format!("not TOML: {}", error.message()));
                found.at(file.start + span.start..file.start + span.end, "here");
                None
            }
        };
    }
    yaml::parse(file, report)?.into_iter().next()
}

fn shift(node: &mut Node, by: usize) {
    node.span = node.span.start + by..node.span.end + by;
    match &mut node.kind {
        Kind::Array(items) => items.iter_mut().for_each(|node| shift(node, by)),
        Kind::Table(entries) => entries.iter_mut().for_each(|(_, node)| shift(node, by)),
        _ => {}
    }
}

/// Folders and files of the host that a service sees: there, inside.
pub fn mounts(project: &Project, service: &str) -> Vec<(PathBuf, PathBuf)> {
    let Some(volumes) = project.root.get("services").and_then(|all| all.get(service)?.get("volumes")) else {
        return Vec::new();
    };
    let Kind::Array(items) = &volumes.kind else { return Vec::new() };
    let pair = |item: &Node| -> Option<(PathBuf, PathBuf)> {
        let (from, to) = match &item.kind {
            Kind::Text(text) => {
                let mut parts = text.split(':');
                (parts.next()?.to_owned(), parts.next()?.to_owned())
            }
            _ => (item.get("source")?.scalar()?.into_owned(), item.get("target")?.scalar()?.into_owned()),
        };
        let is_path = from.starts_with(['.', '/', '~']);
        let path: PathBuf = project.folder.join(from.trim_start_matches("./")).components().collect();
        is_path.then(|| (path, PathBuf::from(to)))
    };
    items.iter().filter_map(pair).collect()
}

/// Where a path of the container is on the host.
pub fn outside(inside: &Path, mounts: &[(PathBuf, PathBuf)]) -> Option<PathBuf> {
    mounts.iter().find_map(|(there, own)| {
        let rest = inside.strip_prefix(own).ok()?;
        Some(if rest.as_os_str().is_empty() { there.clone() } else { there.join(rest) })
    })
}
