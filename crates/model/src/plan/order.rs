//! The order of needs.

use super::Desired;
use crate::AppId;
use crate::observed::Observed;

pub(super) fn apps(desired: &Desired, _view: &Observed) -> Vec<AppId> {
    desired.apps.keys().cloned().collect()
}
