//! `recycle` of an app, and how it goes with `resources`.

use super::Context;
use crate::file::{RecycleFile, SizeText};
use crate::place::Place;
use model::upkeep::{RecycleSpec, ResourcesSpec};
use std::time::Duration;

/// A limit below this is a slip of the pen: no program runs in it.
const LEAST: u64 = 1_000_000;

/// Instances of a lower age would be replaced without end.
const YOUNGEST: Duration = Duration::from_secs(10);

/// When an instance in good health is replaced.
pub fn recycle(context: &mut Context<'_>, place: Place<'_>, file: Option<&RecycleFile>) -> RecycleSpec {
    let Some(file) = file else { return RecycleSpec::default() };
    let number = |number: i64| u64::try_from(number).unwrap_or(0); // the schema holds it to what fits
    let age = file.age.as_ref();
    let age = age.map(|text| context.duration(place.key("age"), Some(text), Duration::MAX, false));
    let spec = RecycleSpec {
        requests: file.requests.map(number),
        jitter: file.jitter.map_or(0, number),
        memory: limit(context, place.key("memory"), file.memory.as_ref()),
        age,
    };
    if age.is_some_and(|age| age < YOUNGEST) {
        let found = context.report.error("recycle::young", "instances would be replaced without end");
        found.at(place.key("age").span(), "less than ten seconds");
        found.help("is a unit wrong? `12h`, `1d`");
    }
    // Who wrote one of them wrongly is told so already.
    let is_said = ["requests", "memory", "age"].iter().any(|key| place.key(key).given());
    if !spec.is_on() && !is_said {
        let found = context.report.error("recycle::never", "`recycle` does not say when");
        found.at(place.span(), "one of `requests`, `memory` and `age` is missing");
        found.help("write for example `recycle = { requests = 1000, jitter = 50 }`");
    } else if file.jitter.is_some() && file.requests.is_none() && !place.key("requests").given() {
        let found =
            context.report.error("recycle::jitter", "`jitter` is a number of requests, without `requests`");
        found.at(place.key("jitter").span(), "of how many?");
        found.help(
            "write `requests` beside it, or leave it out: instances are replaced one after the other anyway",
        );
    }
    spec
}

/// Who is killed at a limit is never replaced in time at a higher one.
pub fn both(context: &mut Context<'_>, app: Place<'_>, recycle: &RecycleSpec, resources: &ResourcesSpec) {
    if let (Some(soft), Some(hard)) = (recycle.memory, resources.memory)
        && soft >= hard
    {
        let message = "an instance would be killed before it is recycled";
        let found = context.report.error("recycle::too_late", message);
        found.at(app.key("recycle").key("memory").span(), "has to be less");
        found.at(app.key("resources").key("memory").span(), "than this");
    }
}

/// A number of bytes that a program may run in.
pub fn limit(context: &mut Context<'_>, place: Place<'_>, size: Option<&SizeText>) -> Option<u64> {
    let bytes = context.size(place, Some(size?), LEAST);
    if bytes < LEAST {
        let found = context.report.error("memory::little", "no program runs in so little memory");
        found.at(place.span(), format!("{bytes} bytes"));
        found.help("is a unit missing? `512MB`, `1GB`");
    }
    Some(bytes)
}
