//! One task: what an app has that nobody asks, and when it runs.

use super::{Context, app, missing};
use crate::file::{AppFile, MissedFile, OverlapFile, PolicyFile, RestartFile, TaskFile};
use crate::place::Place;
use model::AppName;
use model::redact::RedactKind;
use model::schedule::Schedule;
use model::upkeep::{Missed, Overlap, TaskSpec};
use std::time::Duration;

/// Checks one task. Nothing only where too little is there to go on.
pub fn task(
    context: &mut Context<'_>,
    place: Place<'_>,
    name: &AppName,
    file: &TaskFile,
    redact: &[RedactKind],
) -> Option<TaskSpec> {
    missing(
        context,
        place,
        "schedule",
        "a task",
        "write `schedule = \"0 2 * * *\"`: at two o'clock every night",
    );
    if let Some(text) = &file.schedule {
        schedule(context, place.key("schedule"), text);
    }
    let timeout = file.timeout.as_ref();
    let timeout = timeout.map(|it| context.duration(place.key("timeout"), Some(it), Duration::MAX, false));
    Some(TaskSpec {
        app: app::app(context, place, ("a task", name), &as_app(file), redact)?,
        schedule: file.schedule.clone().unwrap_or_default(),
        overlap: match file.overlap {
            None | Some(OverlapFile::Skip) => Overlap::Skip,
            Some(OverlapFile::Wait) => Overlap::Wait,
            Some(OverlapFile::Replace) => Overlap::Replace,
        },
        missed: match file.missed {
            None | Some(MissedFile::Report) => Missed::Report,
            Some(MissedFile::Run) => Missed::Run,
        },
        timeout,
    })
}

/// What it has in common with an app, under the same keys.
fn as_app(file: &TaskFile) -> AppFile {
    AppFile {
        description: file.description.clone(),
        run: file.run.clone(),
        dir: file.dir.clone(),
        env: file.env.clone(),
        env_file: file.env_file.clone(),
        writable: file.writable.clone(),
        needs: file.needs.clone(),
        stop: file.stop.clone(),
        user: file.user.clone(),
        logs: file.logs.clone(),
        listen: Some(false),
        restart: Some(RestartFile::Policy(PolicyFile::Never)),
        ..AppFile::default()
    }
}

fn schedule(context: &mut Context<'_>, place: Place<'_>, text: &str) {
    let found = match Schedule::parse(text) {
        Ok(schedule) if schedule.comes() => return,
        Ok(_) => context
            .report
            .error("schedule::never", format!("{text:?} is never due"))
            .at(place.span(), "no day is like that"),
        Err(what) => {
            context.report.error("schedule::bad", format!("{text:?} is no schedule")).at(place.span(), what)
        }
    };
    found.help("write minute, hour, day of the month, month and day of the week: `30 2 * * 1-5`, `*/10 * * * *`, `@daily`");
}
