//! Images that containers start from: they are had as builds are made ([`crate::builds`]), before any instance starts.
//!
//! ```text
//! manifest loaded ─▶ built: hash of context, Dockerfile, arguments
//!                  └ named: hash of the image that the name meant when it was last pulled ── not known, or to be pulled again: a number of its own
//! had ─▶ marker with the image's id ─▶ the hash is that of the image from now on ─▶ same as before: no instance is replaced
//! ```
//! Invariants: all instances of a revision start from one id, whatever a tag means meanwhile; what a name meant is kept with the app, so a
//! restarted keeper, a rollback and the next reload have the same; only images that were built here are ever removed.

use crate::builds;
use crate::error::KeeperError;
use crate::home::Home;
use crate::keeper::Keeper;
use containers::image::{self, Credentials, Image, Pull, Said};
use containers::{Docker, engine};
use model::AppId;
use model::container::{ContainerSpec, ImageSpec, PullPolicy};
use model::id::fnv1a;
use model::spec::{BuildSpec, StackSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use supervisor::build::{self, Made, Order, Outcome, Report, Running, Voice};
use tokio::sync::mpsc;

/// Longest time to pull or build an image, unless the manifest says another.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Longest time until an engine that is being started answers.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);

/// What a name meant when it was last looked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pin {
    name: String,
    platform: Option<String>,
    id: String,
}

/// Gives every app in a container the build that its image is.
pub(crate) fn expand(spec: &mut StackSpec) {
    for app in spec.apps.values_mut().filter(|app| app.container.is_some() && app.build.is_none()) {
        let (steps, inputs, digests) = Default::default();
        app.build = Some(BuildSpec { steps, inputs, timeout: TIMEOUT, hash: 0, digests });
    }
}

/// How images of a manifest that is loaded are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As the manifest says.
    AsSaid,
    /// All are pulled again.
    Pull,
    /// Nothing that is known is pulled again.
    Known,
}

/// What an app's image is known by.
///
/// # Errors
/// The context of a build cannot be read.
pub(crate) fn hash(
    home: &Home,
    app: &AppId,
    container: &ContainerSpec,
    asked: Asked,
) -> Result<u64, KeeperError> {
    match &container.image {
        ImageSpec::Build(build) => {
            let read = image::fingerprint(build);
            read.map_err(|error| KeeperError::Input(format!("image of {}: {error}", app.app)))
        }
        ImageSpec::Reference { name, pull, platform } => {
            let again = match asked {
                Asked::AsSaid => *pull == PullPolicy::Always,
                Asked::Pull => *pull != PullPolicy::Never,
                Asked::Known => false,
            };
            let known = pinned(home, app).filter(|pin| pin.name == *name && pin.platform == *platform);
            Ok(match known.filter(|_| !again) {
                Some(pin) => of_image(name, &pin.id),
                None => of_image(name, &format!("{:?} {:?}", platform, again.then(moment))),
            })
        }
    }
}

fn of_image(name: &str, id: &str) -> u64 {
    fnv1a(format!("image {name} {id}").as_bytes())
}

/// A number that was not there before.
fn moment() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn pin_file(home: &Home, app: &AppId) -> PathBuf {
    home.app_builds(app).join("image.json")
}

fn pinned(home: &Home, app: &AppId) -> Option<Pin> {
    serde_json::from_slice(&std::fs::read(pin_file(home, app)).ok()?).ok()
}

/// A name means this image now: where it meant another one for the app that is forgotten, and looked for again with the next manifest.
pub(crate) fn forget_other(home: &Home, app: &AppId, container: &ContainerSpec, id: &str) {
    let ImageSpec::Reference { name, .. } = &container.image else { return };
    if pinned(home, app).is_some_and(|pin| pin.name == *name && pin.id != id) {
        let _ = std::fs::remove_file(pin_file(home, app));
    }
}

/// What an image that is built for an app is called.
pub(crate) fn tag(app: &AppId, hash: u64) -> String {
    format!("localhost/mainstay/{}/{}:{hash:016x}", app.stack, app.app)
}

/// For people: what is done.
pub(crate) fn what(container: &ContainerSpec) -> String {
    match &container.image {
        ImageSpec::Reference { name, .. } => format!("image {name}"),
        ImageSpec::Build(build) => format!("image build in {}", build.context.display()),
    }
}

/// Where and how the engine is to be spoken to.
pub(crate) struct At {
    /// As [`crate::engine_host::EngineHost::reach`] gives it.
    pub(crate) engine: String,
    pub(crate) home: Home,
    /// Builds of other apps with the same hash.
    pub(crate) twins: Vec<PathBuf>,
}

/// Has the image of an app.
///
/// # Errors
/// The app is not one in a container.
pub(crate) fn start(order: Order, at: At, reports: mpsc::Sender<Report>) -> Result<Running, String> {
    let container = order.spec.container.clone().ok_or("it does not run in a container")?;
    let (what, name, limit) = (what(&container), tag(&order.app, order.build.hash), order.build.timeout);
    let policy = policy(&at.home, &order.app, &container, order.build.hash);
    let running = build::start_other(order, what, reports, async move |voice: &mut Voice| {
        let docker = connect(&at.engine).await?.with_timeout(limit);
        let kind = engine::kind(&docker, &at.engine).await.map_err(|error| error.to_string())?;
        let own = Credentials::of_user();
        let credentials = if kind.podman { own.for_podman() } else { own };
        let mut say = |said: Said<'_>| match said {
            Said::Output(text) => voice.output(text),
            Said::Progress(line) => voice.progress(line),
        };
        let failed = |error: image::ImageError| error.to_string();
        match &container.image {
            ImageSpec::Reference { name, platform, .. } => {
                let pull = Pull { name, policy, platform: platform.as_deref() };
                let Image { id, digest } =
                    image::pull(&docker, pull, &credentials, &mut say).await.map_err(failed)?;
                Ok(Made { id, digest, built: false })
            }
            ImageSpec::Build(build) => {
                let same = same(&docker, &at.twins).await;
                let image = match same {
                    Some(image) => {
                        say(Said::Output("(mainstay: another app of the stack has built the same)\n"));
                        image::tag(&docker, &image, &name).await.map_err(failed)?;
                        image
                    }
                    None => {
                        image::build(&docker, build, &name, &credentials, &mut say).await.map_err(failed)?
                    }
                };
                if let Some(also) = &build.tag {
                    image::tag(&docker, &image, also).await.map_err(failed)?;
                }
                Ok(Made { id: image.id, digest: None, built: true })
            }
        }
    });
    Ok(running)
}

/// A number of its own stands for a pull: all others take what is there.
fn policy(home: &Home, app: &AppId, container: &ContainerSpec, hash: u64) -> PullPolicy {
    match &container.image {
        ImageSpec::Reference { pull: PullPolicy::Never, .. } => PullPolicy::Never,
        _ if self::hash(home, app, container, Asked::Known).is_ok_and(|known| known == hash) => {
            PullPolicy::Missing
        }
        _ => PullPolicy::Always,
    }
}

/// The engine, as soon as it answers.
///
/// # Errors
/// It does not.
pub(crate) async fn connect(engine: &str) -> Result<Docker, String> {
    let connected = tokio::time::timeout(ANSWER, engine::connect_patiently(engine)).await;
    connected.map_err(|_| format!("the container engine at {engine} does not answer; next: mainstay doctor"))
}

/// An image that was made from the same already.
async fn same(docker: &Docker, twins: &[PathBuf]) -> Option<Image> {
    for made in twins.iter().filter_map(|folder| build::image(folder)) {
        if let Ok(Some(image)) = image::find(docker, &made.id).await {
            return Some(image);
        }
    }
    None
}

/// Looks whether an image that was had once is still there; its marker goes where it is not. Reports [`Outcome::Done`] or
/// [`Outcome::Cancelled`].
pub(crate) async fn look(
    app: AppId,
    hash: u64,
    folder: PathBuf,
    engine: String,
    reports: mpsc::Sender<Report>,
) {
    let found = async {
        let docker = connect(&engine).await?;
        let made = build::image(&folder).ok_or("its marker is gone")?;
        image::find(&docker, &made.id).await.map_err(|error| error.to_string())
    };
    let outcome = match found.await {
        Ok(Some(_)) => Outcome::Done,
        Ok(None) => {
            tracing::warn!(%app, "its image is gone from the engine: had again");
            match sys::durable::remove(&build::marker(&folder)) {
                Ok(()) => Outcome::Cancelled,
                Err(error) => {
                    Outcome::Failed(format!("cannot remove {}: {error}", build::marker(&folder).display()))
                }
            }
        }
        Err(reason) => Outcome::Failed(format!("image of {}: {reason}", app.app)),
    };
    let _ = reports.send(Report { app, hash, outcome }).await; // the keeper is gone
}

/// Takes the names from images that were built here and that nothing refers to any more.
pub(crate) async fn untag(engine: String, tags: Vec<String>) {
    let Ok(docker) = connect(&engine).await else { return };
    for tag in tags {
        if let Err(error) = image::untag(&docker, &tag).await {
            tracing::warn!(tag, %error, "an old image cannot be removed");
        }
    }
}

/// The hash that a named image has, now that it is known: its folder is moved there, and what the name means is kept.
///
/// # Errors
/// For people: what cannot be written.
fn settle(home: &Home, app: &AppId, container: &ContainerSpec, hash: u64) -> Result<u64, String> {
    let ImageSpec::Reference { name, platform, .. } = &container.image else { return Ok(hash) };
    let folder = home.app_build(app, hash);
    let made = build::image(&folder).ok_or_else(|| format!("image of {}: its marker is gone", app.app))?;
    let settled = of_image(name, &made.id);
    let pin = Pin { name: name.clone(), platform: platform.clone(), id: made.id };
    let text = serde_json::to_vec(&pin).unwrap_or_default();
    let kept = sys::durable::write(&pin_file(home, app), &text, 0o600);
    let moved = kept
        .and_then(|()| if settled == hash { Ok(()) } else { rename(&folder, &home.app_build(app, settled)) });
    moved.map(|()| settled).map_err(|error| format!("image of {}: cannot keep it: {error}", app.app))
}

/// Moves a finished build; the marker comes last.
fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    if !to.is_dir() {
        std::fs::rename(from, to)?;
    }
    std::fs::rename(build::marker(from), build::marker(to))
}

impl Keeper {
    /// A named image is there: what stood for it in the revisions is what it really is. None: the app does not run in a container.
    pub(crate) fn image_is_had(&mut self, app: &AppId, hash: u64) -> Result<Option<u64>, String> {
        let Some(stack) = self.stacks.get_mut(&app.stack) else { return Ok(None) };
        let container = stack.head(&app.app).and_then(|(_, spec)| spec.container.clone());
        let Some(container) = container else { return Ok(None) };
        let settled = settle(&self.home, app, &container, hash)?;
        if settled != hash {
            for revision in stack.candidate.iter_mut().chain(&mut stack.active) {
                let spec = Arc::make_mut(&mut revision.spec);
                let build = spec.apps.get_mut(&app.app).and_then(|spec| spec.build.as_mut());
                if let Some(build) = build.filter(|build| build.hash == hash) {
                    build.hash = settled;
                }
            }
        }
        self.stacks.get(&app.stack).into_iter().for_each(|stack| builds::remember(&self.home, stack));
        Ok(Some(settled))
    }
}
