//! `build` of an app: the steps that make it, or the image that its containers start from.

use super::{DurationText, EnvFileValue, OneOrMany, SizeText};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Commands, one after the other, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Build")]
pub enum BuildFile {
    /// One command.
    One(String),
    /// Several.
    Many(Vec<OneOrMany>),
    /// All of it.
    Table(Box<BuildTable>),
}

/// What is done before the instances of an app start: `steps`, or with `context` the image that its containers start from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BuildTable")]
pub struct BuildTable {
    /// Commands, each as `run`; `$BUILD_DIRECTORY` in them is replaced. They run in the app's `dir`, as its user.
    pub steps: Option<StepsFile>,
    /// Files that the result depends on, relative to `dir`; names or patterns. Default: the words of the steps that name files.
    pub inputs: Option<OneOrMany>,
    /// Longest time for all steps together, or for the image. Default: `30m`.
    pub timeout: Option<DurationText>,
    /// The app runs in a container whose image is built from this folder, relative to the manifest; its `.dockerignore` is honoured.
    pub context: Option<String>,
    /// Dockerfile, relative to `context`. Default: `Dockerfile`.
    pub dockerfile: Option<String>,
    /// The Dockerfile itself, instead of one in a file. Default of `context` then: the manifest's folder.
    pub dockerfile_inline: Option<String>,
    /// Stage that is built. Default: the last.
    pub target: Option<String>,
    /// Values of the Dockerfile's `ARG`s.
    pub args: BTreeMap<String, EnvFileValue>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Lines of `/etc/hosts` during the build: `name:address`.
    pub extra_hosts: Option<OneOrMany>,
    /// Size of `/dev/shm` during the build.
    pub shm_size: Option<SizeText>,
    /// `os/arch[/variant]` of the image. Default: the host's.
    pub platform: Option<String>,
    /// No layer of a former build is used. Default: `false`.
    pub no_cache: Option<bool>,
    /// Images that it builds upon are pulled even where they are there. Default: `false`.
    pub pull: Option<bool>,
    /// Network of `RUN`: `host` or `none`. Default: the engine's.
    pub network: Option<String>,
}

/// A command, or a list of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Steps")]
pub enum StepsFile {
    /// One command.
    One(String),
    /// Several.
    Many(Vec<OneOrMany>),
}
