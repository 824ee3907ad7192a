//! How an instance ended, as values and as words.

use serde::{Deserialize, Serialize};

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// We stopped it.
    Stopped,
    /// It exited by itself with this status.
    Exited(i32),
    /// This signal ended it, and it was not ours.
    Signaled(i32),
    /// It was ended for want of memory.
    OutOfMemory {
        /// Bytes that it held when it was last looked at.
        held: Option<u64>,
        /// Bytes that it was allowed, and by whose limit it was ended; none: it was the kernel.
        limit: Option<u64>,
    },
    /// It could not be executed at all; the text says why.
    NotStarted(String),
    /// It did not become ready within its start period; the text says what was tried last.
    NotReady(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("was stopped"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "was ended by signal {signal}"),
            Self::OutOfMemory { held, limit } => {
                let by = if limit.is_some() { "" } else { " by the kernel" };
                write!(f, "was ended{by}: out of memory")?;
                match (held.map(Bytes), limit.map(Bytes)) {
                    (Some(held), Some(limit)) => write!(f, ", it held {held} of {limit}"),
                    (Some(held), None) => write!(f, ", it held {held} when last looked at"),
                    (None, Some(limit)) => write!(f, ", more than {limit}"),
                    (None, None) => Ok(()),
                }
            }
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::NotReady(why) => write!(f, "did not become ready: {why}"),
        }
    }
}

/// A number of bytes for people, in the units of manifests: `812 MB`, `1.1 GB`; three figures at most below a petabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for larger in ["kB", "MB", "GB", "TB"] {
            if value < 999.5 {
                break;
            }
            (value, unit) = (value / 1000.0, larger);
        }
        let tenths = (value * 10.0).round();
        let digits = usize::from(tenths < 100.0 && tenths % 10.0 != 0.0);
        write!(f, "{value:.digits$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_units_of_manifests() {
        let said =
            [0, 999, 1000, 1_100_000, 999_600_000, 9_960_000, 4_000_000_000].map(|n| Bytes(n).to_string());
        assert_eq!(said, ["0 B", "999 B", "1 kB", "1.1 MB", "1 GB", "10 MB", "4 GB"]);
    }

    #[test]
    fn out_of_memory_comes_with_its_figures_where_they_are_known() {
        let text = |held, limit| End::OutOfMemory { held, limit }.to_string();
        assert_eq!(text(None, None), "was ended by the kernel: out of memory");
        assert_eq!(
            text(Some(812_000_000), None),
            "was ended by the kernel: out of memory, it held 812 MB when last looked at"
        );
        assert_eq!(
            text(Some(1_130_000_000), Some(1_000_000_000)),
            "was ended: out of memory, it held 1.1 GB of 1 GB"
        );
        assert_eq!(text(None, Some(1_000_000_000)), "was ended: out of memory, more than 1 GB");
    }
}
