//! What a project is called: `-p`, `COMPOSE_PROJECT_NAME`, the last `name:` of the files, the folder. A file with another name than Compose's own,
//! given alone, is a stack of its own beside the folder's: Compose would replace the one by the other.

use crate::tree::{Kind, Node};
use model::id::MAX_NAME;
use std::path::Path;

/// Names of compose files, the first that is there counts.
pub const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The overlay that is taken by itself beside a file of this name.
pub fn overrides(name: &str) -> [String; 2] {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    [format!("{stem}.override.yml"), format!("{stem}.override.yaml")]
}

/// The name after the folder, and after the file where that has a name of its own.
pub fn of_folder(first: &Path) -> String {
    let folder = of_base(first);
    match own(first) {
        Some(own) => normalised(&format!("{folder}-{own}")).unwrap_or(folder),
        None => folder,
    }
}

/// The name of the folder's own stack.
fn of_base(first: &Path) -> String {
    let folder = first.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    normalised(&folder).unwrap_or_else(|| "stack".to_owned())
}

/// A stack that is named after a file of its own has the volumes and networks that it declares in common with the folder's own stack.
pub fn share(root: &mut Node, name: &str, first: &Path) {
    let base = of_base(first);
    if base == name {
        return;
    }
    for part in ["volumes", "networks"] {
        let Some(Kind::Table(entries)) = root.get_mut(part).map(|node| &mut node.kind) else { continue };
        for (key, node) in entries {
            let at = node.key.clone().unwrap_or(node.span.clone());
            if matches!(node.kind, Kind::Null) {
                node.kind = Kind::Table(Vec::new());
            }
            let own = node.get("name").is_some() || node.get("external").is_some();
            if let Kind::Table(entries) = &mut node.kind
                && !own
            {
                entries.push(("name".to_owned(), Node::new(Kind::Text(format!("{base}_{key}")), at)));
            }
        }
    }
}

/// What a file is called beside Compose's own words: `green` of `docker-compose.green.yml`.
fn own(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    if FILES.contains(&name) {
        return None;
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let own = stem.strip_prefix("docker-compose").or(stem.strip_prefix("compose")).unwrap_or(stem);
    normalised(own).filter(|own| own != "override")
}

/// In lower case, without what a name cannot have; none where nothing is left.
pub fn normalised(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let kept: String =
        lower.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c)).collect();
    let kept: String = kept.trim_start_matches(['-', '_']).chars().take(MAX_NAME).collect();
    Some(kept).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_projects() {
        assert_eq!(of_folder(Path::new("/srv/My Shop.v2/compose.yaml")), "myshopv2");
        assert_eq!(of_folder(Path::new("/srv/plosolver/docker-compose.yml")), "plosolver");
        assert_eq!(of_folder(Path::new("/srv/plosolver/docker-compose.green.yml")), "plosolver-green");
        assert_eq!(of_folder(Path::new("/docker-compose.yml")), "stack");
        assert_eq!(normalised("__-"), None);
        assert_eq!(overrides("docker-compose.yml")[0], "docker-compose.override.yml");
    }
}
