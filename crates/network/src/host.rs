//! What of private networks is on this host: as wanted, made and kept so.

use crate::link::{self, Mark};
use crate::{Bridge, Join, NetworkError, rules, subnet};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What there is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Networks by the name of their interface.
    pub bridges: BTreeMap<String, Bridge>,
    /// Ports of the edge, which instances may reach like everybody.
    pub doors: BTreeSet<u16>,
}

/// The networks of one home. All but [`Host::want`] blocks for milliseconds.
#[derive(Debug)]
pub struct Host {
    mark: Mark,
    wanted: Mutex<Wanted>,
    /// One at a time changes what is on the host; true: this home has had networks, whose rules are to go with them.
    working: Mutex<bool>,
    /// Held by one home at a time while it looks for a free range and takes it.
    lock: PathBuf,
}

impl Host {
    /// Of the home with this id (16 hexadecimal digits). `lock`: a file that all homes of this host share.
    pub fn new(home: &str, lock: PathBuf) -> Self {
        Self { mark: Mark::new(home), wanted: Mutex::default(), working: Mutex::new(false), lock }
    }

    /// Says what there is to be from now on. True: that is something else than before.
    pub fn want(&self, wanted: Wanted) -> bool {
        let mut now = held(&self.wanted);
        let changes = *now != wanted;
        *now = wanted;
        changes
    }

    /// Makes it so: rules first, then interfaces; those of this home that are not wanted any more go. Said again it mends what somebody
    /// else removed.
    ///
    /// # Errors
    /// What cannot be had; all else is as wanted.
    pub fn settle(&self) -> Result<(), NetworkError> {
        let mut had = held(&self.working);
        let wanted = held(&self.wanted).clone();
        let (marked, routes) = (link::marked(&self.mark)?, subnet::routes());
        if wanted.bridges.is_empty() && marked.is_empty() && !*had {
            return Ok(());
        }
        rules::apply(&rules::render(self.mark.home(), &wanted, &subnet::uplinks(&routes)))?;
        *had = !wanted.bridges.is_empty();
        marked
            .iter()
            .filter(|link| !wanted.bridges.contains_key(*link))
            .try_for_each(|gone| link::remove(gone))?;
        let _lock = self.shared_lock();
        wanted.bridges.values().map(|bridge| self.bridge(bridge)).fold(Ok(()), Result::and)
    }

    fn bridge(&self, bridge: &Bridge) -> Result<(), NetworkError> {
        let routes = subnet::routes();
        if let Some(route) = subnet::clash(bridge.subnet, &bridge.link, &routes) {
            return Err(NetworkError::Clash {
                network: bridge.name.clone(),
                subnet: bridge.subnet,
                route: route.to,
                device: route.device.clone(),
            });
        }
        link::bridge(bridge, &self.mark)
    }

    /// A namespace with an interface on each of these networks, which has to be wanted. `name` is the instance's, for people who look at
    /// interfaces.
    ///
    /// # Errors
    /// What stands in the way; nothing is left behind then.
    pub fn attach(&self, name: &str, joins: &[Join]) -> Result<OwnedFd, NetworkError> {
        let settled = self.settle();
        // Another network of this home may be what cannot be had.
        if let Err(error @ (NetworkError::Rules(_) | NetworkError::Io { .. })) = settled {
            return Err(error);
        }
        let _working = held(&self.working);
        joins.iter().try_for_each(|join| self.bridge(&join.bridge))?;
        link::namespace(name, joins, &self.mark)
    }

    fn shared_lock(&self) -> Option<sys::lock::FileLock> {
        // Who cannot get it for a second goes on: two that pick the same range is what it makes unlikely, not what it decides.
        (0..40).find_map(|_| sys::lock::FileLock::try_acquire(&self.lock).ok().flatten())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
