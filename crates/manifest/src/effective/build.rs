//! What is done before an app starts.

use super::{duration, inline, list, path};
use crate::interpolate::{BUILD, escape};
use model::spec::BuildSpec;
use toml_edit::{Array, Item};

/// `build`.
pub fn build(build: &BuildSpec) -> Item {
    let steps = build.steps.iter().map(|step| list(step.iter().map(|word| escape(word, BUILD))));
    inline([
        ("steps", steps.collect::<Array>().into()),
        ("inputs", list(build.inputs.iter().map(|own| path(own))).into()),
        ("timeout", duration(build.timeout).into()),
    ])
}
