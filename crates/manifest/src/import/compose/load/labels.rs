//! `label_file`: labels in files of `NAME=value` lines, as `.env` files have them. What stands below `labels` wins over them, a later file over an
//! earlier one. They are put there, so that whoever reads labels (Traefik's routes too) reads these.

use super::Project;
use crate::diagnostic::Report;
use crate::disk::Disk;
use crate::dotenv;
use crate::tree::{Kind, Node};

/// Reads the files of every service.
pub fn of_files(project: &mut Project, disk: &mut Disk, report: &mut Report) {
    let Project { root, folder, .. } = project;
    let Some(Kind::Table(services)) = root.get_mut("services").map(|node| &mut node.kind) else { return };
    for (_, service) in services {
        let Some(Node { kind: Kind::Array(files), .. }) = service.get("label_file") else { continue };
        let files = files.clone();
        let mut own: Vec<(String, Node)> = Vec::new();
        for file in &files {
            let Some(written) = file.scalar() else { continue };
            let path = folder.join(&*written);
            let text = match disk.read(&path) {
                Ok(text) => text.unwrap_or_default(),
                Err(reason) => {
                    let message = format!("{} cannot be read: {reason}", path.display());
                    let found = report.error("manifest::unreadable", message);
                    found.at(file.span.clone(), "named here").help("correct the path, or make the file");
                    continue;
                }
            };
            for (name, value) in dotenv::read(&path, &text, report) {
                own.retain(|(other, _)| *other != name);
                own.push((name, Node::new(Kind::Text(value), file.span.clone()).keyed(file.key.clone())));
            }
        }
        let given = service.get("labels").map_or(0..0, |node| node.span.clone());
        match service.get_mut("labels").map(|node| &mut node.kind) {
            Some(Kind::Table(labels)) => {
                own.retain(|(name, _)| !labels.iter().any(|(other, _)| other == name));
                labels.extend(own);
            }
            // Of another form: whoever reads it says so.
            Some(_) => {}
            None => {
                if let Kind::Table(entries) = &mut service.kind {
                    entries.push(("labels".to_owned(), Node::new(Kind::Table(own), given)));
                }
            }
        }
    }
}
