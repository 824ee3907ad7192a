//! The build of an image.

use super::{MASK, duration, inline, list, path, size, text};
use model::container::{BuildArg, ImageBuild};
use std::collections::BTreeMap;
use std::time::Duration;
use toml_edit::{InlineTable, Item, Value};

/// `build` with `context`.
pub fn build(build: &ImageBuild, timeout: Duration) -> Item {
    let said = |own: &Option<String>| own.as_ref().map(|own| Value::from(text(own)));
    let flag = |own: bool| own.then(|| own.into());
    let hosts = || list(build.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")));
    let file = || path(&build.dockerfile).into();
    let all: [(&str, Option<Value>); 13] = [
        ("context", Some(path(&build.context).into())),
        ("dockerfile", build.inline.is_none().then(file)),
        ("dockerfile_inline", said(&build.inline)),
        ("target", said(&build.target)),
        (
            "args",
            table(&build.args, |arg| match arg {
                BuildArg::Plain(own) => text(own).into(),
                BuildArg::Secret(_) => [("secret", MASK)].into_iter().collect::<InlineTable>().into(),
            }),
        ),
        ("labels", table(&build.labels, |own| text(own).into())),
        ("extra_hosts", (!build.extra_hosts.is_empty()).then(|| hosts().into())),
        ("shm_size", build.shm_size.map(size)),
        ("platform", said(&build.platform)),
        ("no_cache", flag(build.no_cache)),
        ("pull", flag(build.pull)),
        ("network", said(&build.network)),
        ("timeout", Some(duration(timeout).into())),
    ];
    inline(all.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

fn table<T>(entries: &BTreeMap<String, T>, value: impl Fn(&T) -> Value) -> Option<Value> {
    let entries: InlineTable = entries.iter().map(|(name, own)| (name.as_str(), value(own))).collect();
    (!entries.is_empty()).then(|| entries.into())
}
