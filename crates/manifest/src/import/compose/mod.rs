//! Compose files: what they say ([`load`]), as the Compose Specification has it.
//!
//! Nothing of the translation is here: [`Project`] is the merged, interpolated tree of all files, and still Compose's own words.

pub mod load;
pub mod map;

use crate::diagnostic::Source;
use crate::import::yaml::Text;
use crate::tree::{Node, Span};
use load::Variables;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// What is asked for beside the files' own words. Kept with a stack, so that a reload asks for the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compose {
    /// `--file`, in order, absolute, the first one too; each is laid over those before it. None: what lies in the folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// `--profile`; `*` is all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// `--project-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `--env-file`, absolute, in order; none: `.env` beside the first file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_file: Vec<PathBuf>,
    /// `--acme`: an e-mail address; sites with public names have certificates from an authority, whatever files say of listening.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<String>,
    /// What becomes of the files' words.
    #[serde(flatten)]
    pub map: map::Options,
}

impl Compose {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Everything the files say.
///
/// In [`Self::root`] are `services`, `networks`, `volumes`, `secrets`, `configs` and whatever else stands at the top (`x-…` too), each a table if it is there.
/// `name` is there always. Gone are `version`, `include`, and in services `extends` and `profiles`. What several files may say is in one form:
///
/// | where | form |
/// |---|---|
/// | a service's `environment`, `labels`, `annotations`, `sysctls`, `storage_opt`; `build.args`, `build.labels`, `build.additional_contexts`; `deploy.labels`; `labels` of networks, volumes, secrets and configs | a table; null is a variable without a value |
/// | `depends_on` | a table, name → `{ condition, restart, required }` |
/// | a service's `networks` | a table, name → a table or null |
/// | `build` | a table |
/// | `env_file` | a list of `{ path, required, format }` |
/// | `extra_hosts` | a list of `NAME=address` |
/// | `dns`, `dns_search`, `dns_opt`, `tmpfs`, `label_file` | a list |
/// | everything else | as written: `ports`, `volumes`, `secrets`, `configs`, `command` keep their short forms |
///
/// Paths in it are as they were written, relative to [`Self::folder`]; those from a file of another folder (`extends`, `include`) are absolute.
#[derive(Debug)]
pub struct Project {
    /// Lower case letters, digits, `-` and `_`; also a valid name of a stack.
    pub name: String,
    /// Where relative paths begin: the folder of the first file, absolute.
    pub folder: PathBuf,
    /// The tree.
    pub root: Node,
    /// Every file, and where its text begins in the text that the spans of the nodes point into.
    pub files: Vec<Text>,
    /// Variables of `.env` or `--env-file`.
    pub variables: Variables,
    /// What of the texts is not shown.
    pub secrets: Vec<Span>,
}

impl Project {
    /// The texts of all files, for pointing into them.
    pub fn source(&self) -> Arc<Source> {
        let texts = self.files.iter().map(|file| (file.path.as_path(), file.text.as_str()));
        Source::joined(texts, &self.secrets)
    }
}
