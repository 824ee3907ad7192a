//! Containers: one more way to run an instance, through the socket of Podman or Docker.
//!
//! The container of an instance has a *runner*: `mainstay container run FILE`, an ordinary process under the instance's shim. It makes and starts the
//! container, writes what that prints to its own output, stops it when it is told to stop, and ends as it ended. So everything that is
//! true of a process (readiness, drain, recycle, adoption by the next keeper) is true of a container without another word. What the runner
//! finds out (the container's address) it writes beside the instance's socket: [`wire::container`].
//!
//! - [`attach`]: a command of an administrator's inside, with his input and output.
//! - [`engine`]: which engine there is, and how it is spoken to.
//! - [`exec`]: commands inside.
//! - [`image`]: images, pulled and built.
//! - [`run`]: the runner.
//! - [`stats`]: what a container uses.
//! - [`sweep`]: what runners that were killed left behind.
//! - [`volume`]: volumes removed when an administrator asks for it.

pub mod attach;
pub mod engine;
pub mod exec;
mod greeting;
pub mod image;
mod listing;
pub mod run;
pub mod stats;
pub mod sweep;
pub mod volume;

pub use bollard::Docker;
