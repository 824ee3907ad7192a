//! Signals of the runner: SIGTERM has it stop the container, others are the container's.

use crate::engine;
use bollard::Docker;
use bollard::query_parameters::KillContainerOptionsBuilder;
use std::io;
use std::task::Poll;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Numbers of signal(7) that go on to the container: those that programs give a meaning.
const FORWARDED: [i32; 8] = [1, 2, 3, 10, 12, 18, 23, 28];
/// SIGTERM.
const TERM: i32 = 15;

/// What a signal says.
pub(crate) enum Told {
    /// Stop the container.
    Stop,
    /// This is for the container.
    Other(i32),
}

pub(crate) struct Signals {
    stop: Signal,
    others: Vec<(i32, Signal)>,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let take = |number: i32| signal(SignalKind::from_raw(number));
        let others = FORWARDED.into_iter().map(|number| Ok((number, take(number)?)));
        Ok(Self { stop: take(TERM)?, others: others.collect::<io::Result<_>>()? })
    }

    /// Waits for SIGTERM alone; what else comes is kept.
    pub(crate) async fn stop(&mut self) {
        if self.stop.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Told {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Some(())) = self.stop.poll_recv(cx) {
                return Poll::Ready(Told::Stop);
            }
            for (number, signal) in &mut self.others {
                if let Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    return Poll::Ready(Told::Other(*number));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Sends a signal to the container's main process.
pub(crate) async fn forward(docker: &Docker, name: &str, number: i32) {
    let options = KillContainerOptionsBuilder::default().signal(&sys::signal::name(number)).build();
    if let Err(error) = docker.kill_container(name, Some(options)).await {
        tracing::warn!(container = name, signal = number, error = engine::words(&error), "cannot be sent");
    }
}
