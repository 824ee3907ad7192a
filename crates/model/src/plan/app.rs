//! What one app that is wanted needs: starts, and what is in their way.

use super::{AppDesired, Desired, Plan};
use crate::AppId;
use crate::observed::{Moment, Observed};

pub(super) fn plan(
    _plan: &mut Plan,
    _id: &AppId,
    _app: &AppDesired,
    _desired: &Desired,
    _view: &Observed,
    _now: Moment,
) {
}
