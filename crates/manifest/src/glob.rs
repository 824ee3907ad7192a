//! Files below a folder that a pattern names: the inputs of a build. Folders are entered only as far as the pattern can
//! match, links to folders never, and a walk that finds too much ends with an error instead of a long wait.

use crate::values::{Wrong, wrong};
use globset::GlobBuilder;
use std::fs;
use std::path::{Path, PathBuf};

/// Most entries that are looked at for one pattern.
const MOST: usize = 100_000;

/// Whether this is a pattern, and not a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Regular files below `folder` whose path from there matches, sorted.
pub fn files(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Wrong> {
    let glob = match GlobBuilder::new(pattern).literal_separator(true).build() {
        Ok(glob) => glob.compile_matcher(),
        Err(error) => return wrong(error.kind().to_string(), None),
    };
    let depth = if pattern.contains("**") { usize::MAX } else { pattern.split('/').count() };
    let mut found = Vec::new();
    let mut seen = 0;
    let mut folders = vec![(folder.to_owned(), 1)];
    while let Some((current, level)) = folders.pop() {
        for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return wrong(
                    format!("more than {MOST} files would have to be looked at"),
                    Some("name the folder"),
                );
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && level < depth {
                folders.push((path, level + 1));
            } else if path.is_file() && path.strip_prefix(folder).is_ok_and(|below| glob.is_match(below)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_files_and_enters_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        for name in ["a.txt", "b.md", "src/a.txt", "src/deep/a.txt"] {
            fs::File::create(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("src/loop")).unwrap();
        let found = |pattern: &str| -> Vec<String> {
            let names = files(root, pattern).unwrap().into_iter();
            names.map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("*.txt"), ["a.txt"]);
        assert_eq!(found("src/*.txt"), ["src/a.txt"]);
        assert_eq!(found("**/*.txt"), ["a.txt", "src/a.txt", "src/deep/a.txt"]);
        assert_eq!(found("no*").len(), 0);
        assert!(files(root, "a[").is_err());
    }
}
