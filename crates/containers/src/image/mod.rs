//! Images: what containers are made from. Looked for, pulled or built through the engine; kept by their id, which is what containers start from.
//!
//! ```text
//! reference ─▶ there? ── yes, and may be ─▶ id
//!                └─ no ─▶ credentials ─▶ pull, progress of all layers summed ─▶ id, digest
//! build     ─▶ context: files that are not ignored ─▶ fingerprint (what the build is known by)
//!                └─▶ streamed as a tar ─▶ the engine's output, line by line ─▶ id
//! ```
//! Invariants: nothing is read into memory whole; no symbolic link is followed; no secret is in an error or a line of output that this module
//! made.

mod build;
mod context;
mod credentials;
mod ignore;
mod pull;
mod reference;

pub use build::build;
pub use context::fingerprint;
pub use credentials::Credentials;
pub use pull::{Pull, pull};
pub use reference::Reference;

use bollard::Docker;
use bollard::errors::Error as Engine;
use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id, `sha256:` and so on: containers are made from this, whatever a tag means meanwhile.
    pub id: String,
    /// `name@sha256:…`: what a registry calls it; none: it was built or loaded here.
    #[serde(default)]
    pub digest: Option<String>,
}

/// What is said of a pull or a build while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// For the log: bytes of output, not always whole lines.
    Output(&'a str),
    /// Instead of what was said before: how far it is.
    Progress(&'a str),
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A reference that is none.
    #[error("{0:?} names no image: {1}")]
    Reference(String, &'static str),
    /// It is not there, and may not be pulled.
    #[error("the image {0} is not there, and `pull = \"never\"` forbids to fetch it; next: {1}")]
    Absent(String, String),
    /// It cannot be pulled: cause in the registry's words, and the next step.
    #[error("the image {name} cannot be had: {cause}; next: {next}")]
    Pull {
        /// As written.
        name: String,
        /// The engine's and the registry's words.
        cause: String,
        /// What to do.
        next: String,
    },
    /// The context of a build cannot be read.
    #[error("{path}: {cause}")]
    Context {
        /// What of it.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The build failed: the engine's words.
    #[error("{0}")]
    Build(String),
    /// The engine does not do what it is asked.
    #[error("the container engine says: {0}")]
    Engine(String),
}

impl From<Engine> for ImageError {
    fn from(error: Engine) -> Self {
        Self::Engine(words(&error))
    }
}

/// What the engine said, without what bollard says round it.
fn words(error: &Engine) -> String {
    match error {
        Engine::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Engine::DockerStreamError { error } => error.trim().to_owned(),
        other => other.to_string(),
    }
}

/// Looks for an image by name or id.
///
/// # Errors
/// The engine cannot be asked.
pub async fn find(docker: &Docker, name: &str) -> Result<Option<Image>, ImageError> {
    let found = match docker.inspect_image(name).await {
        Ok(found) => found,
        Err(Engine::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let id = found.id.ok_or_else(|| ImageError::Engine(format!("{name} has no id")))?;
    let wanted = Reference::parse(name).ok();
    let mut digests = found.repo_digests.unwrap_or_default().into_iter();
    let digest = digests.find(|it| wanted.as_ref().is_some_and(|wanted| wanted.is_same_repository(it)));
    let id = if id.contains(':') { id } else { format!("sha256:{id}") };
    Ok(Some(Image { id, digest }))
}

/// Gives an image another name.
///
/// # Errors
/// The engine's.
pub async fn tag(docker: &Docker, image: &Image, name: &str) -> Result<(), ImageError> {
    let name = Reference::parse(name)?;
    let options = TagImageOptionsBuilder::default().repo(&name.repository()).tag(name.tag()).build();
    Ok(docker.tag_image(&image.id, Some(options)).await?)
}

/// Takes a name from an image, and removes that when it was its last and no container uses it. One that is gone already is no error.
///
/// # Errors
/// The engine's.
pub async fn untag(docker: &Docker, name: &str) -> Result<(), ImageError> {
    let options = RemoveImageOptionsBuilder::default().force(false).build();
    match docker.remove_image(name, Some(options), None).await {
        Ok(_) | Err(Engine::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
