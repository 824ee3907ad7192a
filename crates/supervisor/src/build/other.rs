//! Work that is no steps: an image that is pulled or built. Log, progress, marker and report are those of every build; who does it is
//! told from outside.

use super::step::{Said, Stopped};
use super::{
    Marker, Order, Outcome, Progress, Report, Running, finish, marker, prepare, redactor, remove_left,
};
use model::redact::RedactKind;
use serde::{Deserialize, Serialize};
use std::path::Path;
use telemetry::journal::LineWriter;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// An image that an app starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What the engine calls it, whatever its tags mean meanwhile.
    pub id: String,
    /// What a registry calls it: `name@sha256:…`.
    #[serde(default)]
    pub digest: Option<String>,
    /// It was built here: it goes when nothing refers to it any more.
    #[serde(default)]
    pub built: bool,
}

/// The image that was made; none: nothing is finished, or it is none.
pub fn image(folder: &Path) -> Option<Made> {
    let text = std::fs::read(marker(folder)).ok()?;
    serde_json::from_slice::<Marker>(&text).ok()?.image
}

/// What the work says while it is under way.
pub struct Voice {
    journal: LineWriter,
    said: Said,
    progress: watch::Sender<Progress>,
}

impl Voice {
    /// Bytes of its output: for the log, and the last lines of a failure.
    pub fn output(&mut self, text: &str) {
        self.journal.feed(text.as_bytes());
        if self.said.hear(text.as_bytes()) {
            let last = self.said.last();
            self.progress.send_modify(|progress| progress.line = last);
        }
    }

    /// How far it is, in the place of what was said before. Not for the log.
    pub fn progress(&mut self, line: &str) {
        self.progress.send_modify(|progress| progress.line = line.to_owned());
    }
}

/// Does the work, on a thread of its own. `what`: for people, `image postgres:15`. Cancelled, it is dropped where it waits.
pub fn start_other<W>(order: Order, what: String, reports: mpsc::Sender<Report>, work: W) -> Running
where
    W: AsyncFnOnce(&mut Voice) -> Result<Made, String> + Send + 'static,
{
    let progress =
        Progress { step: 1, steps: 1, command: what.clone(), line: String::new(), begun: Instant::now() };
    let (tell, progress) = watch::channel(progress);
    let stop = CancellationToken::new();
    let running = Running { stop: stop.clone(), progress };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let outcome = runtime.block_on(run(&order, &what, tell, &stop, work));
        let report = Report { app: order.app, hash: order.build.hash, outcome };
        let _ = reports.blocking_send(report); // the keeper is gone
    });
    running
}

async fn run<W>(
    order: &Order,
    what: &str,
    tell: watch::Sender<Progress>,
    stop: &CancellationToken,
    work: W,
) -> Outcome
where
    W: AsyncFnOnce(&mut Voice) -> Result<Made, String>,
{
    let failed = |reason: String| Outcome::Failed(format!("{what} of {} failed: {reason}", order.app.app));
    let mut journal = match prepare(order) {
        Ok(journal) => journal,
        Err(reason) => return failed(reason),
    };
    journal.feed(format!("(mainstay: {what})\n").as_bytes());
    let said = Said::new(redactor(&order.spec, &[RedactKind::Secrets]));
    let begun = tell.borrow().begun;
    let mut voice = Voice { journal, said, progress: tell };
    let limit = order.build.timeout;
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Stopped::Cancelled),
        () = tokio::time::sleep(limit) => Err(Stopped::Failed(format!("did not end within {limit:?}"))),
        made = work(&mut voice) => made.map_err(Stopped::Failed),
    };
    let ended = ended.and_then(|made| {
        finish(order, vec![what.to_owned()], Some(made), begun.elapsed()).map_err(Stopped::Failed)
    });
    let outcome = match ended {
        Ok(()) => return Outcome::Done,
        Err(Stopped::Cancelled) => Outcome::Cancelled,
        Err(Stopped::Failed(reason)) => {
            let reason = voice.said.mask(&reason);
            voice.journal.feed(format!("(mainstay: {what} failed: {reason})\n").as_bytes());
            failed(format!("{reason}{}", voice.said.text()))
        }
    };
    let _ = remove_left(&order.folder); // if it stays, the next try removes it first
    outcome
}
