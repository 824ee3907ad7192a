//! What keeps instances fresh: `recycle` of an app.

use super::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::Deserialize;

/// When an instance in good health is replaced; its successor is ready before it goes. At least one of `requests`, `memory` and `age`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Recycle")]
pub struct RecycleFile {
    /// After so many requests.
    #[schemars(range(min = 1, max = 1000000000))]
    pub requests: Option<i64>,
    /// And up to so many more, drawn for each instance, so that they do not all go at once; of `age` the same share. Default: 0.
    #[schemars(range(min = 0, max = 1000000000))]
    pub jitter: Option<i64>,
    /// Once its processes hold more memory than this.
    pub memory: Option<SizeText>,
    /// Once it has run for so long.
    pub age: Option<DurationText>,
}
