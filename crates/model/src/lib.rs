//! The words of the house as types: identifiers, secrets that mask themselves, what is desired,
//! what is observed, and the pure plan that leads from one to the other.
//!
//! No I/O, no clock, no randomness: everything here can be driven by a test with simulated time.
//!
//! - [`id`]: stack, app and instance identifiers.
//! - [`secret`]: text that never prints itself.
//! - [`spec`]: the desired state, as a valid manifest gives it.
//! - [`service`]: data services, which become apps.
//! - [`redact`]: what logs do not show.
//! - [`lifecycle`], [`traffic`], [`upkeep`]: health and ends of an app's instances; how requests meet them; recycling, limits, scaling, tasks.
//! - [`container`], [`confine`], [`network`]: what an app runs in, what it is kept from, whom it meets.
//! - [`route`]: sites and their routes; [`condition`]: when a route answers.
//! - [`schedule`]: when a task is due.
//! - [`acme`]: certificates from authorities.
//! - [`site`], [`policy`]: its parts that the edge's snapshot carries as they are.
//! - [`observed`]: what the keeper knows of each instance; [`end`]: how one ended.
//! - [`plan`]: `plan(desired, observed, now)`, the one decision maker of the change flow.

pub mod acme;
pub mod condition;
pub mod confine;
pub mod container;
pub mod end;
pub mod id;
pub mod lifecycle;
pub mod network;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod redact;
pub mod route;
pub mod schedule;
pub mod secret;
pub mod service;
pub mod site;
pub mod spec;
pub mod traffic;
pub mod upkeep;

pub use id::{AppId, AppName, InstanceId, NameError, StackName};
pub use secret::Secret;
