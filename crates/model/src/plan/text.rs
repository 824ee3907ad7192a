//! Plans as text, a line for each step: for people (`reload --dry-run`) and for golden files.

use super::{Plan, Step};
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { instance, .. } => write!(f, "start {instance}"),
            Self::Drain { instance } => write!(f, "drain {instance}"),
            Self::Stop { instance, why } => write!(f, "stop {instance}: {why}"),
            Self::Forget { instance, unstable: true } => write!(f, "forget {instance}, unstable"),
            Self::Forget { instance, unstable: false } => write!(f, "forget {instance}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        match self.next {
            Some(next) => writeln!(f, "look again at {next:?}"),
            None => Ok(()),
        }
    }
}
