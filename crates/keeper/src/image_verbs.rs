//! Images that are had because somebody asks for them (`mainstay build`, `mainstay pull`), in the process that was asked: whether or not a keeper
//! lives, nothing that runs is touched. What a name meant for a stack is forgotten where the name means another image now: so the next `start` or
//! `reload` takes that one.

use crate::boot;
use crate::engine_host;
use crate::home::Home;
use crate::images::{self, ANSWER, TIMEOUT};
use containers::engine::{self, Found};
use containers::image::{self, Credentials, Pull, Said};
use containers::{Docker, engine::Kind};
use model::AppId;
use model::container::{ContainerSpec, ImageSpec, PullPolicy};
use model::spec::StackSpec;
use std::path::PathBuf;

/// Which images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that are built from a context.
    Built,
    /// Those that have a name in a registry; never one that may not be pulled.
    Pulled,
}

/// Has the images of these apps, one after the other; `say` is told the app with what is said of its image. Gives a line for each.
///
/// # Errors
/// For people: there is no engine, or an image cannot be had; those before it stay.
pub fn have(
    homes: &[Home],
    spec: &StackSpec,
    wanted: (Wanted, &[String]),
    say: &mut dyn FnMut(&str, Said<'_>),
) -> Result<Vec<String>, String> {
    let (kind, names) = wanted;
    let named = |name: &str| names.is_empty() || names.iter().any(|own| own == name);
    let apps = spec.apps.iter().filter(|(name, _)| named(name.as_str()));
    let apps: Vec<_> = apps
        .filter_map(|(name, app)| {
            let id = AppId { stack: spec.name.clone(), app: name.clone() };
            Some((id, app.container.as_ref()?))
        })
        .filter(|(_, container)| is_wanted(kind, container))
        .collect();
    let Some(home) = homes.first().filter(|_| !apps.is_empty()) else { return Ok(Vec::new()) };
    let engine = Reached::new(home)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let docker = images::connect(&engine.at).await?.with_timeout(TIMEOUT);
        let of = tokio::time::timeout(ANSWER, engine::kind(&docker, &engine.at)).await;
        let of = of.map_err(|_| format!("the container engine at {} is silent", engine.at))?;
        let of = of.map_err(|error| engine::words(&error))?;
        let mut lines = Vec::new();
        for (app, container) in apps {
            let one = one(&docker, of, &app, container, &mut |said| say(app.app.as_str(), said)).await;
            let (line, id) = one.map_err(|error| format!("image of {}: {error}", app.app))?;
            homes.iter().for_each(|home| images::forget_other(home, &app, container, &id));
            lines.push(format!("{}: {line}", app.app));
        }
        Ok(lines)
    })
}

fn is_wanted(kind: Wanted, container: &ContainerSpec) -> bool {
    match &container.image {
        ImageSpec::Build(_) => kind == Wanted::Built,
        ImageSpec::Reference { pull, .. } => kind == Wanted::Pulled && *pull != PullPolicy::Never,
    }
}

/// What was done, and the image's id.
async fn one(
    docker: &Docker,
    kind: Kind,
    app: &AppId,
    container: &ContainerSpec,
    say: &mut dyn FnMut(Said<'_>),
) -> Result<(String, String), image::ImageError> {
    let own = Credentials::of_user();
    let credentials = if kind.podman { own.for_podman() } else { own };
    match &container.image {
        ImageSpec::Build(build) => {
            // The keeper's own name for it: what it finds of it in the engine's cache it has at once.
            let name = images::tag(app, image::fingerprint(build)?);
            let image = image::build(docker, build, &name, &credentials, say).await?;
            if let Some(also) = &build.tag {
                image::tag(docker, &image, also).await?;
            }
            Ok((format!("built {}", build.tag.as_deref().unwrap_or(&name)), image.id))
        }
        ImageSpec::Reference { name, platform, .. } => {
            let pull = Pull { name, policy: PullPolicy::Always, platform: platform.as_deref() };
            let image = image::pull(docker, pull, &credentials, say).await?;
            Ok((format!("pulled {name}"), image.id))
        }
    }
}

/// An engine that can be spoken to. Where Podman has no service, one of our own ends with this.
struct Reached {
    at: String,
    own: Option<(u32, PathBuf)>,
}

impl Reached {
    fn new(home: &Home) -> Result<Self, String> {
        match engine::find(|name| std::env::var(name).ok()).map_err(|error| error.to_string())? {
            Found::Listens(at) => Ok(Self { at, own: None }),
            Found::Podman(_) if engine::answers(&home.engine_socket()) => {
                Ok(Self { at: format!("unix://{}", home.engine_socket().display()), own: None })
            }
            Found::Podman(program) => {
                boot::folders(home).map_err(|error| error.to_string())?;
                let socket = home.run().join(format!("engine-{}.sock", std::process::id()));
                let child = engine_host::serve(&program, home, &socket)?;
                Ok(Self { at: format!("unix://{}", socket.display()), own: Some((child, socket)) })
            }
        }
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some((child, socket)) = &self.own {
            engine_host::end(*child);
            let _ = std::fs::remove_file(socket);
        }
    }
}
