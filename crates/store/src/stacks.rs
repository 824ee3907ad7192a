//! Stacks and their revisions.
//!
//! ```text
//!   propose ──▶ candidate ──commit──▶ active      (the former active one is kept as history, bounded)
//!                   └──drop_candidate──▶ gone
//! ```
//!
//! A stack's *head* is its candidate, or its active revision if there is none. `propose` compares the head with what the
//! caller saw (compare-and-swap): of two changes made at once only one is taken. A new proposal takes the place of a candidate.

use crate::{Store, StoreError};
use model::{AppName, StackName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a proposal brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevision {
    /// Absolute path of the manifest.
    pub manifest: PathBuf,
    /// Listen here instead of where the manifest says; empty: as the manifest says.
    pub http: Vec<SocketAddr>,
    /// The manifest's text.
    pub text: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One revision of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number; grows with each proposal of the stack and is never used again, not even after the stack was removed.
    pub number: u64,
    /// What was proposed.
    pub content: NewRevision,
}

/// Whether a stack is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    Running,
    /// No: nothing of it is started at boot.
    Stopped,
}

/// A stack, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackRecord {
    /// Its name.
    pub name: StackName,
    /// What is served; none before the first commit.
    pub active: Option<Revision>,
    /// What is being prepared.
    pub candidate: Option<Revision>,
    /// Whether it is to run.
    pub wanted: Wanted,
    /// Apps that an administrator stopped.
    pub stopped: BTreeSet<AppName>,
    /// How often an administrator restarted each app.
    pub restarts: BTreeMap<AppName, u64>,
}

impl StackRecord {
    /// What [`Store::propose`] compares with.
    pub fn head(&self) -> Option<u64> {
        self.candidate.as_ref().or(self.active.as_ref()).map(|revision| revision.number)
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// It is the candidate now, with this number.
    Accepted(u64),
    /// Somebody else changed the stack meanwhile; nothing was done.
    Conflict {
        /// The head now; none: there is no such stack.
        head: Option<u64>,
    },
}

impl Store {
    /// Makes this the stack's candidate, if its head still is `expected` (none: the stack must be new). A new stack is wanted running.
    pub fn propose(
        &self,
        name: &StackName,
        expected: Option<u64>,
        new: &NewRevision,
    ) -> Result<Proposal, StoreError> {
        unimplemented!()
    }
    /// Makes the candidate the active revision. False if it is not the candidate (any more); nothing is done then.
    pub fn commit(&self, name: &StackName, revision: u64) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// Removes the candidate. False if it is not the candidate (any more); nothing is done then. A stack that never had
    /// an active revision is removed with it.
    pub fn drop_candidate(&self, name: &StackName, revision: u64) -> Result<bool, StoreError> {
        unimplemented!()
    }
    /// All stacks, by name.
    pub fn stacks(&self) -> Result<Vec<StackRecord>, StoreError> {
        unimplemented!()
    }
    /// One stack.
    pub fn stack(&self, name: &StackName) -> Result<Option<StackRecord>, StoreError> {
        unimplemented!()
    }
    /// Whether the stack is to run.
    pub fn set_wanted(&self, name: &StackName, wanted: Wanted) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// An administrator stopped the app, or started it again.
    pub fn set_app_stopped(&self, name: &StackName, app: &AppName, stopped: bool) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// An administrator restarts the app: counts, and gives the new count.
    pub fn count_restart(&self, name: &StackName, app: &AppName) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// Removes the stack with its revisions, journal and history. Its run numbers and the number of its last revision are kept.
    pub fn remove(&self, name: &StackName) -> Result<(), StoreError> {
        unimplemented!()
    }
}
