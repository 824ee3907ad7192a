//! What keeper, edge and shim say to each other. Types and their encoding only: `sys::frame` carries them.
//!
//! A frame is its length (4 bytes, big endian, at most [`MAX_FRAME`]) and that many bytes of JSON. Unknown fields are
//! ignored and new ones have defaults, so that a keeper and an edge of neighbouring versions understand each other
//! during an upgrade; [`VERSION`] changes when that cannot hold.
//!
//! - [`snapshot`]: the table the edge serves from.
//! - [`edge`]: keeper ↔ edge.
//! - [`shim`]: keeper ↔ shim.
//! - [`container`]: keeper → runner of a container.
//! - [`failure`]: what the edge notes of a request that failed.

pub mod container;
pub mod edge;
pub mod failure;
pub mod shim;
pub mod snapshot;

/// Version of everything in this crate.
pub const VERSION: u32 = 1;

/// Longest frame, in bytes. Snapshots are not framed: they travel as sealed memory files.
pub const MAX_FRAME: usize = 1 << 20;

/// A message that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not the JSON that was expected.
    #[error("not a message of this protocol: {0}")]
    Json(#[from] serde_json::Error),
    /// Of a version that this one does not speak.
    #[error("speaks version {theirs}, this one speaks {VERSION}")]
    Version {
        /// What the other side said.
        theirs: u32,
    },
}

/// Bytes of a message.
pub fn encode<T: serde::Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    Ok(serde_json::to_vec(message)?)
}

/// A message from its bytes.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    Ok(serde_json::from_slice(bytes)?)
}
