//! The simulated edge: it sends requests where its latest table says, and says when a draining instance has none left.

use crate::world::{Happening, World};
use model::{AppId, InstanceId};
use std::collections::BTreeMap;
use std::time::Duration;

impl World {
    pub fn claim(&mut self, app: &AppId, takes: Duration) {
        let open = self.edge.1.iter().filter(|(id, draining)| id.app == *app && !**draining);
        let claims = |id: &InstanceId| self.claims.get(id).copied().unwrap_or(0);
        let Some(id) = open.map(|(id, _)| id).min_by_key(|id| claims(id)).cloned() else { return };
        let Some(process) = self.processes.get(&id).filter(|process| process.ended.is_none()) else { return };
        assert!(!process.told_to_stop, "{id} was told to stop and the edge still sends to it");
        *self.claims.entry(id.clone()).or_default() += 1;
        self.later(takes, Happening::ClaimEnds(id));
    }

    pub fn claim_ends(&mut self, id: &InstanceId) {
        if let Some(claims) = self.claims.get_mut(id) {
            *claims -= 1;
            if *claims == 0 {
                self.claims.remove(id);
            }
        }
        if self.edge.1.get(id) == Some(&true) {
            self.say_drained(id);
        }
    }

    pub fn edge_applies(&mut self, revision: u64, table: BTreeMap<InstanceId, bool>) {
        if revision <= self.edge.0 {
            return;
        }
        let draining: Vec<InstanceId> =
            table.iter().filter(|(_, draining)| **draining).map(|(id, _)| id.clone()).collect();
        self.edge = (revision, table);
        draining.iter().for_each(|id| self.say_drained(id));
    }

    pub fn say_drained(&mut self, id: &InstanceId) {
        if !self.claims.contains_key(id) {
            let takes = self.millis(100);
            self.later(takes, Happening::Drained(id.clone()));
        }
    }
}
