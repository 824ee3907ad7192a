//! Where variables come from: the environment wins, then `--env-file` in order (later ones win) or `.env` beside the first file.

use super::super::Compose;
use crate::diagnostic::{Report, Severity, Source};
use crate::disk::Disk;
use crate::tree::Origin;
use crate::{dotenv, values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Gives a variable of the process.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables of files; those of the environment are asked for one by one.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    files: BTreeMap<String, String>,
}

impl Variables {
    /// Reads the files that are asked for, else `.env` in this folder.
    pub fn read(options: &Compose, folder: &Path, disk: &mut Disk, report: &mut Report) -> Self {
        let mut own = Self::default();
        match options.env_file.as_slice() {
            [] => {
                let file = folder.join(".env");
                if disk.is_real() && disk.exists(&file) {
                    own.add(&file, disk, report);
                }
            }
            files => files.iter().for_each(|file| own.add(file, disk, report)),
        }
        own
    }

    /// These, and those of further files on top.
    pub fn with(&self, files: &[PathBuf], disk: &mut Disk, report: &mut Report) -> Self {
        let mut own = self.clone();
        files.iter().for_each(|file| own.add(file, disk, report));
        own
    }

    fn add(&mut self, file: &Path, disk: &mut Disk, report: &mut Report) {
        match disk.read(file) {
            Ok(text) => {
                let variables = dotenv::read(file, &text.unwrap_or_default(), report);
                dotenv::guard(file, &variables, disk, report);
                self.files.extend(variables);
            }
            Err(reason) => {
                let message = format!("the file of variables cannot be read: {reason}");
                report
                    .push(Severity::Error, "env_file::unreadable", message, Source::masked(file, "", &[]))
                    .help("correct its path, or leave `--env-file` out");
            }
        }
    }

    /// A variable's value, and whether it may be shown.
    pub fn get(&self, name: &str, environment: Environment<'_>) -> Option<(String, Origin)> {
        let secret = if values::sounds_secret(name) { Origin::Secret } else { Origin::Substituted };
        let own = environment(name).map(|value| (value, secret));
        own.or_else(|| self.files.get(name).map(|value| (value.clone(), secret.max(Origin::File))))
    }

    /// Names of those of files.
    pub fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}
