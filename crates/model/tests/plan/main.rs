//! The plan, rule by rule, as golden texts, and in a simulation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod build;
mod edge;
mod fate;
mod golden;
mod house;
mod invariants;
mod keeper;
mod recycle;
mod rules;
mod simulation;
mod state;
mod world;
