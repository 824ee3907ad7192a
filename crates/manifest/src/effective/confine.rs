//! What an app is kept from, and what it may use.

use super::{inline, inline_table, list, path, size, text};
use model::confine::TmpfsSpec;
use model::spec::AppSpec;
use toml_edit::{Array, Item, Value, value};

/// The keys that say anything.
pub fn entries(app: &AppSpec) -> impl Iterator<Item = (&'static str, Item)> {
    let own = &app.confine;
    let words = |words: &[String]| {
        let is_said = !words.is_empty();
        is_said.then(|| value(list(words.iter().cloned())))
    };
    let tmpfs = || value(own.tmpfs.iter().map(tmpfs).collect::<Array>());
    [
        ("resources", resources(app)),
        ("group", own.group.as_ref().map(|group| value(text(group)))),
        ("read_only", own.read_only.then(|| value(true))),
        ("tmpfs", (!own.tmpfs.is_empty()).then(tmpfs)),
        ("cap_add", words(&own.cap_add)),
        ("cap_drop", words(&own.cap_drop)),
        ("new_privileges", own.new_privileges.map(value)),
        ("sandbox", own.sandbox.map(value)),
    ]
    .into_iter()
    .filter_map(|(key, item)| Some((key, item?)))
}

fn resources(app: &AppSpec) -> Option<Item> {
    let own = &app.resources;
    let reserve = [("memory", own.reserve_memory.map(size)), ("cpus", own.reserve_cpus.map(cpus))];
    let reserve: Vec<_> = reserve.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let all = [
        ("memory", own.memory.map(size)),
        ("cpus", own.cpus.map(cpus)),
        ("pids", own.pids.map(|pids| i64::from(pids).into())),
        ("reserve", (!reserve.is_empty()).then(|| inline_table(reserve).into())),
    ];
    let all: Vec<_> = all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    (!all.is_empty()).then(|| inline(all))
}

/// Of thousandths of a processor.
fn cpus(thousandths: u32) -> Value {
    match thousandths % 1000 {
        0 => i64::from(thousandths / 1000).into(),
        _ => (f64::from(thousandths) / 1000.0).into(),
    }
}

fn tmpfs(own: &TmpfsSpec) -> Value {
    let all = [
        ("target", Some(path(&own.target).into())),
        ("size", own.size.map(size)),
        ("mode", own.mode.map(|mode| format!("{mode:04o}").into())),
        ("noexec", Some(own.noexec.into())),
        ("nosuid", Some(own.nosuid.into())),
        ("nodev", Some(own.nodev.into())),
    ];
    inline_table(all.into_iter().filter_map(|(key, value)| Some((key, value?)))).into()
}
