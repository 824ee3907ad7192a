//! What the operating system offers and the standard library does not: descriptors sent between processes, sealed
//! memory files, locks, durable writes, sessions and subreapers, listeners with several accept queues.
//!
//! Everything is Linux, blocking and made of plain values: no sibling crate is seen from here. This is the one crate
//! with unsafe code; it is found in `process::spawn` (between fork and exec), [`descriptor`] (adopting an inherited
//! descriptor) and `sandbox::kernel` (system calls that no crate has), and nowhere else.

pub mod cgroup;
pub mod descriptor;
pub mod durable;
pub mod folder;
pub mod frame;
pub mod host;
pub mod listen;
pub mod listening;
pub mod lock;
pub mod memfile;
pub mod netns;
pub mod pipe;
pub mod proc;
pub mod process;
pub mod random;
pub mod removal;
pub mod sandbox;
pub mod service_manager;
pub mod signal;
pub mod terminal;
pub mod unix_socket;
pub mod usage;
pub mod user;
