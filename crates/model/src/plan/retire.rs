//! Taking instances out: drain, stop, and stop again.

use super::{AppDesired, Desired, Plan};
use crate::AppId;
use crate::observed::{Moment, Observed};

pub(super) fn plan(
    _plan: &mut Plan,
    _id: &AppId,
    _app: Option<&AppDesired>,
    _desired: &Desired,
    _view: &Observed,
    _now: Moment,
) {
}
