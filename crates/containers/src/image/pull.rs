//! Pulling an image: when, as whom, and what is said meanwhile.

use super::{Credentials, Image, ImageError, Reference, Said, find, words};
use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use model::container::PullPolicy;
use std::collections::BTreeMap;

/// Most layers whose progress is counted.
const MOST_LAYERS: usize = 1000;

/// What is to be had.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// As written.
    pub name: &'a str,
    /// When it is fetched.
    pub policy: PullPolicy,
    /// `os/arch[/variant]`; none: the host's.
    pub platform: Option<&'a str>,
}

/// Has an image, and fetches it first where it is to be fetched. Dropped, the engine breaks the pull off.
///
/// # Errors
/// It cannot be had: the registry's own words, and what to do.
pub async fn pull(
    docker: &Docker,
    Pull { name, policy, platform }: Pull<'_>,
    credentials: &Credentials,
    mut say: impl FnMut(Said<'_>),
) -> Result<Image, ImageError> {
    let reference = Reference::parse(name)?;
    let full = reference.full();
    if policy != PullPolicy::Always {
        match find(docker, &full).await? {
            Some(image) if fits(docker, &image, platform).await? => return Ok(image),
            _ if policy == PullPolicy::Never => {
                return Err(ImageError::Absent(name.to_owned(), by_hand(name)));
            }
            _ => {}
        }
    }
    let login = credentials.of(reference.registry()).await;
    let secret = login.as_ref().and_then(|login| login.password.clone()).filter(|it| !it.is_empty());
    let failed = |cause: String| {
        let cause = secret.as_ref().map_or(cause.clone(), |secret| cause.replace(secret, "***"));
        ImageError::Pull { name: name.to_owned(), next: next(&cause, &reference, name), cause }
    };
    let options = CreateImageOptionsBuilder::default().from_image(&full);
    let options = platform.map_or(options.clone(), |platform| options.platform(platform)).build();
    let mut layers = Layers::default();
    let mut steps = std::pin::pin!(docker.create_image(Some(options), None, login));
    while let Some(step) = steps.next().await {
        let step = step.map_err(|error| failed(words(&error)))?;
        if let Some(cause) = step.error_detail.as_ref().and_then(|it| it.message.clone()) {
            return Err(failed(cause));
        }
        layers.fold(step);
        say(Said::Progress(&layers.line(name)));
    }
    let image = find(docker, &full)
        .await?
        .ok_or_else(|| failed("the engine fetched it, and does not have it".into()))?;
    say(Said::Output(&format!("pulled {name}: {}\n", image.digest.as_deref().unwrap_or(&image.id))));
    Ok(image)
}

/// Whether an image that is there is of the platform.
async fn fits(docker: &Docker, image: &Image, platform: Option<&str>) -> Result<bool, ImageError> {
    let Some(platform) = platform else { return Ok(true) };
    let found = docker.inspect_image(&image.id).await?;
    let mut parts = platform.split('/');
    let (os, architecture) = (parts.next(), parts.next());
    Ok(os == found.os.as_deref() && architecture == found.architecture.as_deref())
}

/// What helps where a registry does not.
fn by_hand(name: &str) -> String {
    format!(
        "provide {name} to this host's engine: `podman pull {name}` where a registry has it, `podman load -i FILE` from an archive, \
         `podman build -t {name} FOLDER` from its Dockerfile; or name an image that there is"
    )
}

fn next(cause: &str, reference: &Reference, name: &str) -> String {
    let lower = cause.to_lowercase();
    let refused = ["unauthorized", "authentication required", "denied", "invalid username/password"];
    let plain =
        ["server gave http response to https client", "first record does not look like a tls handshake"];
    let registry = reference.registry();
    if plain.iter().any(|it| lower.contains(it)) {
        format!(
            "tell the engine that {registry} speaks plain HTTP: for Podman a file in /etc/containers/registries.conf.d with \
             `[[registry]]`, `location = \"{registry}\"`, `insecure = true`"
        )
    } else if refused.iter().any(|it| lower.contains(it)) {
        format!(
            "sign in as whoever runs Mainstay (`podman login {registry}`), or look whether {name} exists there"
        )
    } else {
        by_hand(name)
    }
}

/// Progress of all layers together.
#[derive(Default)]
struct Layers {
    /// By id: bytes that are there, and that there are.
    bytes: BTreeMap<String, (u64, u64)>,
    done: usize,
    /// What the engine says where it counts nothing.
    status: String,
}

impl Layers {
    fn fold(&mut self, step: CreateImageInfo) {
        let status = step.status.unwrap_or_default();
        let number = |value: Option<i64>| u64::try_from(value.unwrap_or_default()).unwrap_or_default();
        // Docker counts a layer again while it unpacks it.
        let counts = |id: &String| {
            status != "Extracting" && (self.bytes.len() < MOST_LAYERS || self.bytes.contains_key(id))
        };
        match (step.id, step.progress_detail) {
            (Some(id), Some(detail)) if detail.total.is_some() && counts(&id) => {
                self.bytes.insert(id, (number(detail.current), number(detail.total)));
            }
            (Some(id), _) if matches!(&*status, "Pull complete" | "Download complete" | "Already exists") => {
                if let Some((now, all)) = self.bytes.get_mut(&id) {
                    *now = *all;
                }
                self.done += usize::from(status != "Download complete");
            }
            _ => {}
        }
        self.status = status;
    }

    fn line(&self, name: &str) -> String {
        let (now, all) = self
            .bytes
            .values()
            .fold((0_u64, 0_u64), |(a, b), (now, all)| (a.saturating_add(*now), b.saturating_add(*all)));
        if all == 0 {
            return format!("pulling {name}: {}", self.status.lines().next().unwrap_or_default());
        }
        let mega = |bytes: u64| bytes.div_ceil(1_000_000);
        format!(
            "pulling {name}: {} of {} MB, {} layers",
            mega(now),
            mega(all),
            self.bytes.len().max(self.done)
        )
    }
}

#[cfg(test)]
#[path = "pull_tests.rs"]
mod tests;
