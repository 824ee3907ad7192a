//! Once a second: what wears out, how much there is to do, what is due. Each look is in a file of its own.

use crate::keeper::Keeper;
use wire::edge::ToEdge;

impl Keeper {
    /// What the beat does. The edge's figures are asked for where anything follows from them; the last ones are in `stats`.
    pub(crate) fn beat(&mut self) {
        // Runners that stop their containers need it too.
        self.look_at_engine();
        if self.ending.is_some() {
            return;
        }
        if self.wears_by_requests() || self.follows_load() {
            self.tell_edge(&ToEdge::Stats);
        }
        self.look_at_usage();
        self.tidy_history();
        self.look_at_wear();
        self.look_at_load();
        self.look_at_tasks();
    }
}
