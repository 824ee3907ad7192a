//! How many instances an app has: a number, or one that follows the machine.

use super::Context;
use crate::file::{InstancesFile, PresetFile};
use model::upkeep::Preset;

/// The number, and what it was worked out from.
pub fn instances(context: &Context<'_>, file: Option<&InstancesFile>) -> (u32, Option<Preset>) {
    let preset = match file {
        None => return (1, None),
        // the schema holds it to what fits
        Some(InstancesFile::Number(number)) => return (u32::try_from(*number).unwrap_or(1), None),
        Some(InstancesFile::Preset(PresetFile::Auto | PresetFile::Cpu)) => Preset::Cpu,
        Some(InstancesFile::Preset(PresetFile::Io)) => Preset::Io,
        Some(InstancesFile::Preset(PresetFile::Memory)) => Preset::Memory,
    };
    (preset.instances(context.disk.cores()), Some(preset))
}
