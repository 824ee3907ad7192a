//! What instances are really held to, and what is reserved.

use serde::{Deserialize, Serialize};

/// One limit, or one thing that an instance is to be kept from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnforcedStatus {
    /// The key of the manifest.
    pub key: String,
    /// What was asked for, in words.
    pub asked: String,
    /// What holds, as the kernel says it; none: nothing does.
    pub holds: Option<String>,
    /// Who sees to it.
    pub by: Option<String>,
    /// Why it is not held, or not exactly.
    pub problem: Option<String>,
}

/// What stacks reserve of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedStatus {
    /// Thousandths of processors that are reserved, and that there are.
    pub cpus: (u64, u64),
    /// Bytes of memory, the same.
    pub memory: (u64, u64),
}
