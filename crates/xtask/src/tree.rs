//! The checkout: its root, and the files that are or could be committed (never build output).

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout.
pub struct Tree {
    root: PathBuf,
    files: Vec<String>,
}

impl Tree {
    /// Asks git for the files: tracked, and new ones that are not ignored.
    pub fn open() -> Result<Self> {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root =
            manifest.ancestors().nth(2).context("xtask lies in crates/ of the checkout")?.to_path_buf();
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .context("git is needed to list the files")?;
        ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
        let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let exists = |name: &&str| !name.is_empty() && root.join(name).is_file();
        let mut files: Vec<String> = names.split('\0').filter(exists).map(str::to_owned).collect();
        files.sort_unstable();
        files.dedup();
        Ok(Self { root, files })
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names relative to the root, with `/`.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Content of a text file; none when it is not text.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(name)).with_context(|| format!("reading {name}"))?;
        Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
    }
}
