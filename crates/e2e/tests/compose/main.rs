//! Compose files as people write them (`shapes/`), run by the real binary on a real engine: each comes up, and does what its keys say. They are
//! started one after the other below one keeper for each test, since that is how a machine with several projects runs them.
//!
//! `/cgi-bin/sh` in the container runs what it is sent and answers with its output: so what a container is given is seen from inside it, by
//! way of the edge.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod balance;
mod confined;
mod data;
mod doors;
mod files;
mod ground;
mod life;
mod names;
mod texts;
