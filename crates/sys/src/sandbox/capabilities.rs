//! Capabilities (capabilities(7)): taken away for good, or given to a user who has none.

use super::Sandbox;
use caps::{CapSet, Capability, CapsHashSet};
use std::str::FromStr;

/// The capabilities of these names; `ALL` of them.
fn named(names: &[String]) -> Result<CapsHashSet, String> {
    let mut set = CapsHashSet::new();
    for name in names {
        match name.as_str() {
            "ALL" => set.extend(caps::all()),
            name => {
                let one = Capability::from_str(&format!("CAP_{name}"));
                set.insert(one.map_err(|_| format!("there is no capability {name}"))?);
            }
        }
    }
    Ok(set)
}

fn said(error: caps::errors::CapsError) -> String {
    format!("capabilities: {error}")
}

/// Of those that are to be given, the ones that this process has.
fn given(own: &Sandbox) -> Result<CapsHashSet, String> {
    let has = caps::read(None, CapSet::Permitted).map_err(said)?;
    Ok(named(&own.cap_add)?.intersection(&has).copied().collect())
}

/// As whoever this process is: nobody below it ever gets what is dropped. Who may not say so has none himself.
pub(super) fn before(own: &Sandbox) -> Result<(), String> {
    if own.credentials.is_some() && !own.cap_add.is_empty() {
        caps::securebits::set_keepcaps(true).map_err(said)?;
    }
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(said)?;
    if own.cap_drop.is_empty() || !may {
        return Ok(());
    }
    let kept = named(&own.cap_add)?;
    for one in named(&own.cap_drop)?.difference(&kept) {
        // A kernel that does not know one cannot drop it.
        if caps::has_cap(None, CapSet::Bounding, *one).unwrap_or(false) {
            caps::drop(None, CapSet::Bounding, *one).map_err(said)?;
        }
    }
    let held = caps::read(None, CapSet::Inheritable).map_err(said)?;
    let dropped = named(&own.cap_drop)?;
    let left = held.into_iter().filter(|one| !dropped.contains(one) || kept.contains(one)).collect();
    caps::set(None, CapSet::Inheritable, &left).map_err(said)
}

/// As the user that it runs as: who is not root keeps over an execve what is in its ambient set.
pub(super) fn after(own: &Sandbox) -> Result<(), String> {
    if own.cap_add.is_empty() || own.credentials.is_none() {
        return Ok(());
    }
    let given = given(own)?;
    caps::set(None, CapSet::Inheritable, &given).map_err(said)?;
    for one in &given {
        caps::raise(None, CapSet::Ambient, *one).map_err(said)?;
    }
    caps::set(None, CapSet::Effective, &CapsHashSet::new()).map_err(said)?;
    caps::set(None, CapSet::Permitted, &given).map_err(said)
}
