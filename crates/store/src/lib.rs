//! What must survive: desired stacks and their revisions, the journal of steps, the history of states, counters that never go
//! back. One SQLite file (`home/state.db`): WAL, `synchronous=FULL`, so that what a method has done is on the disk when it
//! returns.
//!
//! - [`stacks`]: stacks, their revisions, compare-and-swap.
//! - [`journal`]: steps begun and not finished.
//! - [`history`]: changes of state of instances, bounded.
//! - [`bans`]: addresses that are refused.
//! - [`scaled`]: numbers of instances that an administrator asked for.
//! - [`tasks`]: what was due, and what became of it.
//! - [`migrate`]: the shape of the database, forward and back.
//! - [`reading`]: a look beside the keeper.
//! - [`counters`]: snapshot revisions and run numbers.
//!
//! One writer, the keeper (it holds `keeper.lock`). All methods are synchronous and short: a few rows and one fsync.
//! No secret is stored: of a manifest only its own text and its path, and secrets are read again from their files.

pub mod bans;
pub mod counters;
mod error;
pub mod history;
pub mod journal;
pub mod migrate;
mod open;
pub mod reading;
pub mod scaled;
pub mod stacks;
pub mod tasks;
mod value;

pub use bans::Ban;
pub use error::StoreError;
pub use history::Transition;
pub use journal::JournalEntry;
pub use migrate::SCHEMA;
pub use open::Store;
pub use scaled::Scaled;
pub use stacks::{NewRevision, Proposal, Revision, StackRecord, Wanted};
pub use tasks::{TaskRecord, TaskRun};
