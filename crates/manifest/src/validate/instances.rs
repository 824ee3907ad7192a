//! How many instances an app has: a number, one that follows the machine, or one that follows what is asked of it.

use super::Context;
use crate::file::{InstancesFile, PresetFile};
use crate::place::Place;
use model::spec::Listen;
use model::upkeep::{Preset, ScaleSpec};
use std::time::Duration;

/// Time with less to do after which one instance goes.
const IDLE: Duration = Duration::from_secs(600);

/// The number, and what it was worked out from.
pub fn instances(context: &Context<'_>, file: Option<&InstancesFile>) -> (u32, Option<Preset>) {
    let preset = match file {
        None | Some(InstancesFile::Range(_)) => return (1, None),
        // the schema holds it to what fits
        Some(InstancesFile::Number(number)) => return (u32::try_from(*number).unwrap_or(1), None),
        Some(InstancesFile::Preset(PresetFile::Auto | PresetFile::Cpu)) => Preset::Cpu,
        Some(InstancesFile::Preset(PresetFile::Io)) => Preset::Io,
        Some(InstancesFile::Preset(PresetFile::Memory)) => Preset::Memory,
    };
    (preset.instances(context.disk.cores()), Some(preset))
}

/// The bounds, where it follows what is asked.
pub fn range(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&InstancesFile>,
    listen: Listen,
) -> Option<ScaleSpec> {
    let Some(InstancesFile::Range(file)) = file else { return None };
    let number = |given: Option<i64>| given.and_then(|number| u32::try_from(number).ok());
    let min = number(file.min).unwrap_or(1);
    let max = number(file.max).unwrap_or(min.max(1));
    let target = number(file.target);
    let idle = context.duration(place.key("idle"), file.idle.as_ref(), IDLE, false);
    if max < min {
        let found = context.report.error("instances::range", "the most is less than the fewest");
        found.at(place.key("max").span(), "less").at(place.key("min").span(), "than this");
    } else if listen == Listen::Nothing {
        let found =
            context.report.error("instances::range", "of an app that does not listen nothing is asked");
        found.at(place.span(), "nothing to follow").help("write a number of instances");
    } else if !place.key("target").given() && min > 0 && (file.min.is_some() || !place.key("min").given()) {
        let found =
            context.report.error("instances::range", "nothing says when there are to be more or fewer");
        found.at(place.span(), "`target` is missing");
        found.help("write `target = 10` for ten requests in flight at each instance, or `min = 0` to have none while nobody asks");
    }
    Some(ScaleSpec { min, max, target, idle })
}
