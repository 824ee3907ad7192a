//! What apps and services have in common: the user they run as, how they are started again and stopped, what is kept of
//! their output.

use super::Context;
use crate::disk::Identity;
use crate::file::{LogsFile, PolicyFile, RedactFile, RedactsFile, RestartFile, RestartTable, StopFile};
use crate::place::Place;
use crate::{diagnostic, values};
use model::redact::RedactKind;
use model::spec::{LogSpec, RestartPolicy, RestartSpec, StopSpec};
use std::time::Duration;

/// SIGTERM, signal(7).
const SIGTERM: i32 = 15;
/// Longest description, in characters.
const DESCRIPTION: usize = 200;

/// The system user of this name.
pub fn user(context: &mut Context<'_>, place: Place<'_>, name: Option<&str>) -> Option<Identity> {
    let name = name?;
    context.disk.user(name).unwrap_or_else(|()| {
        let users = context.disk.users();
        let near = diagnostic::nearest(name, users.iter().map(String::as_str));
        context
            .report
            .error("user::unknown", format!("there is no user `{name}` on this machine"))
            .at(place.span(), "no such user")
            .help_if(near.map(|near| format!("did you mean `{near}`?")));
        None
    })
}

/// When it is started again after it ended.
pub fn restart(context: &mut Context<'_>, place: Place<'_>, file: Option<&RestartFile>) -> RestartSpec {
    let table = match file {
        None => RestartTable::default(),
        Some(RestartFile::Policy(policy)) => {
            RestartTable { policy: Some(*policy), ..RestartTable::default() }
        }
        Some(RestartFile::Table(table)) => table.clone(),
    };
    let seconds = Duration::from_secs;
    let delay = context.duration(place.key("delay"), table.delay.as_ref(), seconds(1), true);
    let max_delay =
        context.duration(place.key("max_delay"), table.max_delay.as_ref(), seconds(60).max(delay), true);
    if max_delay < delay {
        context
            .report
            .error("restart::delays", "the longest delay is shorter than the first")
            .at(place.key("max_delay").span(), "shorter")
            .at(place.key("delay").span(), "than this");
    }
    RestartSpec {
        policy: match table.policy {
            None | Some(PolicyFile::Always) => RestartPolicy::Always,
            Some(PolicyFile::OnFailure) => RestartPolicy::OnFailure,
            Some(PolicyFile::Never) => RestartPolicy::Never,
        },
        delay,
        max_delay,
        min_uptime: context.duration(place.key("min_uptime"), table.min_uptime.as_ref(), seconds(10), true),
        max_restarts: table.max_restarts.and_then(|number| u32::try_from(number).ok()).unwrap_or(10),
    }
}

/// How it is stopped; `timeout` and `drain`: what holds where nothing is said.
pub fn stop(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &StopFile,
    timeout: Duration,
    drain: Duration,
) -> StopSpec {
    let signal = match file.signal.as_deref().map(|text| (text, values::signal(text))) {
        None => SIGTERM,
        Some((_, Ok(signal))) => signal,
        Some((text, Err(wrong))) => {
            context.wrong(
                "signal::bad",
                format!("{text:?} is no signal to stop with"),
                place.key("signal"),
                wrong,
            );
            SIGTERM
        }
    };
    StopSpec {
        signal,
        timeout: context.duration(place.key("timeout"), file.timeout.as_ref(), timeout, true),
        drain: context.duration(place.key("drain"), file.drain.as_ref(), drain, true),
    }
}

/// The signal that has a program load its configuration anew.
pub fn reload(context: &mut Context<'_>, place: Place<'_>, name: Option<&str>) -> Option<i32> {
    let text = name?;
    let signal = values::signal(text);
    signal
        .map_err(|wrong| {
            context.wrong("signal::bad", format!("{text:?} is no signal to reload with"), place, wrong);
        })
        .ok()
}

/// A line for people.
pub fn description(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty())?;
    if text.chars().any(char::is_control) || text.chars().count() > DESCRIPTION {
        let found = context.report.error("description::bad", "a description is one line of text");
        found.at(place.span(), format!("without control characters, at most {DESCRIPTION} characters"));
        return None;
    }
    Some(text.to_owned())
}

/// How much of its output is kept; `stack`: what is masked where nothing is said.
pub fn logs(context: &mut Context<'_>, place: Place<'_>, file: &LogsFile, stack: &[RedactKind]) -> LogSpec {
    let max_size = context.size(place.key("max_size"), file.max_size.as_ref(), 10_000_000);
    if max_size < 4096 {
        let found = context.report.error("size::small", "a log file has room for at least 4 KiB");
        found.at(place.key("max_size").span(), "too small");
    }
    LogSpec {
        max_size,
        keep: file.keep.and_then(|keep| u32::try_from(keep).ok()).unwrap_or(5),
        redact: file.redact.as_ref().map_or_else(|| stack.to_vec(), redact),
        dir: None,
    }
}

/// What is masked, in the order of the kinds, each once.
pub fn redact(file: &RedactsFile) -> Vec<RedactKind> {
    let list = match file {
        RedactsFile::One(one) => std::slice::from_ref(one),
        RedactsFile::Many(list) => list,
    };
    let kind = |file: &RedactFile| match file {
        RedactFile::Secrets => RedactKind::Secrets,
        RedactFile::Email => RedactKind::Email,
        RedactFile::Card => RedactKind::Card,
        RedactFile::Phone => RedactKind::Phone,
        RedactFile::Ip => RedactKind::Ip,
        RedactFile::Token => RedactKind::Token,
    };
    list.iter().map(kind).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}
