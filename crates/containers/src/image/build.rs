//! Building an image: the context streams to the engine, the engine's output streams back.

use super::context::Context;
use super::{Credentials, Image, ImageError, Said, find, words};
use bollard::Docker;
use bollard::query_parameters::BuildImageOptions;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use model::container::{BuildArg, ImageBuild};
use std::collections::HashMap;
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Parts of the tar that wait for the engine, and their size in bytes.
const WAITING: usize = 8;
const PART: usize = 64 << 10;

/// Builds an image under this name. Dropped, the engine breaks the build off.
///
/// `credentials`: for the images that it builds upon.
///
/// # Errors
/// The context cannot be read; the build failed: the engine's words.
pub async fn build(
    docker: &Docker,
    build: &ImageBuild,
    name: &str,
    credentials: &Credentials,
    mut say: impl FnMut(Said<'_>),
) -> Result<Image, ImageError> {
    let read = build.clone();
    let context = tokio::task::spawn_blocking(move || Context::read(&read)).await;
    let context = context.map_err(|error| ImageError::Build(error.to_string()))??;
    let options = options(build, name, &context.dockerfile);
    let credentials = Some(credentials.all().await).filter(|all| !all.is_empty());
    let mut output = std::pin::pin!(docker.build_image(
        options,
        credentials,
        Some(bollard::body_try_stream(tar(context)))
    ));
    let mut id = None;
    while let Some(next) = output.next().await {
        let next = next.map_err(|error| ImageError::Build(words(&error)))?;
        if let Some(cause) = next.error_detail.and_then(|it| it.message) {
            return Err(ImageError::Build(cause.trim().to_owned()));
        }
        for text in [&next.stream, &next.status].into_iter().flatten() {
            say(Said::Output(text));
        }
        id = next.aux.and_then(|aux| aux.id).or(id);
    }
    let id = id.ok_or_else(|| ImageError::Build("the engine ended the build without an image".into()))?;
    let image = find(docker, &id).await?;
    image.ok_or_else(|| ImageError::Build("the image that was built is gone again".into()))
}

fn options(build: &ImageBuild, name: &str, dockerfile: &str) -> BuildImageOptions {
    let value = |arg: &BuildArg| match arg {
        BuildArg::Plain(text) => text.clone(),
        BuildArg::Secret(secret) => secret.expose().to_owned(),
    };
    let args: HashMap<String, String> =
        build.args.iter().map(|(name, arg)| (name.clone(), value(arg))).collect();
    let hosts: Vec<String> =
        build.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let labels: HashMap<String, String> = build.labels.clone().into_iter().collect();
    BuildImageOptions {
        dockerfile: dockerfile.to_owned(),
        t: Some(name.to_owned()),
        extrahosts: Some(hosts.join(",")).filter(|it| !it.is_empty()),
        nocache: build.no_cache,
        pull: build.pull.then(|| "true".to_owned()),
        rm: true,
        forcerm: true,
        buildargs: Some(args).filter(|it| !it.is_empty()),
        shmsize: build.shm_size.map(|bytes| i32::try_from(bytes).unwrap_or(i32::MAX)),
        labels: Some(labels).filter(|it| !it.is_empty()),
        networkmode: build.network.clone(),
        platform: build.platform.clone().unwrap_or_default(),
        target: build.target.clone().unwrap_or_default(),
        ..Default::default()
    }
}

/// The context in parts, written by a thread of its own as fast as the engine reads.
fn tar(context: Context) -> impl Stream<Item = io::Result<Bytes>> {
    let (to, from) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut parts = io::BufWriter::with_capacity(PART, Parts(to.clone()));
        if let Err(error) = context.write(&mut parts) {
            let _ = to.blocking_send(Err(error)); // the engine has gone: it says why itself
        }
    });
    stream::unfold(from, |mut from| async { from.recv().await.map(|part| (part, from)) })
}

struct Parts(mpsc::Sender<io::Result<Bytes>>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
