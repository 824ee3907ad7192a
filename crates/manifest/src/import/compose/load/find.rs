//! Which files a project is made of, before any is read.

use super::super::Compose;
use super::name::{FILES, overrides};
use super::variables::Environment;
use crate::dotenv;
use std::fs;
use std::path::{Path, PathBuf};

/// The compose files that are meant by this path, a folder or a file; none: a manifest of our own is meant.
pub fn files(path: &Path, options: &Compose, environment: Environment<'_>) -> Option<Vec<PathBuf>> {
    if let Some(first) = options.files.first() {
        return is_compose(first).then(|| options.files.clone());
    }
    if path.is_dir() && path.join(crate::MANIFEST).exists() {
        return None;
    }
    if !path.is_dir() && !is_compose(path) {
        return None;
    }
    any(path, options, environment)
}

/// The same where nothing but compose files can be meant; none: there are none.
pub fn any(path: &Path, options: &Compose, environment: Environment<'_>) -> Option<Vec<PathBuf>> {
    if !options.files.is_empty() {
        return Some(options.files.clone());
    }
    if path.is_dir() {
        return in_folder(path, environment);
    }
    Some(with_override(path.to_owned()))
}

fn is_compose(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// What `COMPOSE_FILE` names, else the first of Compose's own names.
fn in_folder(folder: &Path, environment: Environment<'_>) -> Option<Vec<PathBuf>> {
    let named = variable("COMPOSE_FILE", folder, environment);
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let separator = variable("COMPOSE_PATH_SEPARATOR", folder, environment);
        let separator = separator.filter(|text| !text.is_empty()).unwrap_or_else(|| ":".to_owned());
        return Some(named.split(&separator).map(|name| folder.join(name)).collect());
    }
    FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file()).map(with_override)
}

/// Of the process, else of `.env` in the folder.
fn variable(name: &str, folder: &Path, environment: Environment<'_>) -> Option<String> {
    environment(name).or_else(|| {
        let text = fs::read_to_string(folder.join(".env")).ok().filter(|text| text.contains(name))?;
        let entries = dotenv::parse(&text).entries;
        entries.into_iter().rev().find(|entry| entry.key == name).map(|entry| entry.value)
    })
}

fn with_override(path: PathBuf) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let over = overrides(name).into_iter().map(|name| path.with_file_name(name));
    let over = over.filter(|_| FILES.contains(&name)).find(|path| path.is_file());
    [path.clone()].into_iter().chain(over).collect()
}
