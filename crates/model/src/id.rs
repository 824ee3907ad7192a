//! Typed identifiers. Every id is qualified by its stack: one keeper runs many stacks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest name of a stack or an app, in bytes (the limit of a DNS label, RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// A character outside `a-z`, `0-9`, `-`, `_`, or a first character that is not a letter or digit.
    #[error(
        "a name holds lower-case letters, digits, `-` and `_`, and starts with a letter or digit; {0:?} does not fit"
    )]
    Character(char),
}

fn valid(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let fits = |index: usize, c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || (index > 0 && (c == '-' || c == '_'))
    };
    match name.char_indices().find(|&(index, c)| !fits(index, c)) {
        Some((_, c)) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                valid(text).map(|()| Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                valid(&text).map(|()| Self(text))
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Name of a stack: one manifest and all that it runs.
    StackName
);
name!(
    /// Name of an app inside its stack.
    AppName
);

/// An app, qualified by its stack. Shown as `stack/app`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppId {
    /// The stack it belongs to.
    pub stack: StackName,
    /// Its name there.
    pub app: AppName,
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stack, self.app)
    }
}

/// One run of one instance. `slot` is the lowest number free when it was made (it names the log files
/// and what people see, `stack/app.1`); `run` grows with every start of any instance of the app and is never
/// used again, so that a message about a former run can never be taken for one about this run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The app it is an instance of.
    pub app: AppId,
    /// Small number, from 1, unique among the app's living instances.
    pub slot: u32,
    /// Number of this start within the app, from 1, never used again.
    pub run: u64,
}

impl InstanceId {
    /// What people read: `app.slot`.
    pub fn label(&self) -> String {
        format!("{}.{}", self.app.app, self.slot)
    }

    /// Sixteen hexadecimal digits that stand for this run in socket names, where a path has only 108 bytes
    /// (`sun_path`, unix(7)). FNV-1a, 64 bits: stable across versions and machines.
    pub fn short(&self) -> String {
        format!("{:016x}", fnv1a(self.to_string().as_bytes()))
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}#{}", self.app, self.slot, self.run)
    }
}

/// FNV-1a, 64 bits. For names, never for anything an attacker may choose.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_more(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on with a hash: of two pieces one after the other it is that of both together.
pub fn fnv1a_more(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_or_refused() {
        assert!("plot-palette".parse::<StackName>().is_ok());
        assert_eq!("".parse::<AppName>(), Err(NameError::Empty));
        assert_eq!("Web".parse::<AppName>(), Err(NameError::Character('W')));
        assert_eq!("-web".parse::<AppName>(), Err(NameError::Character('-')));
        assert_eq!("../x".parse::<AppName>(), Err(NameError::Character('.')));
        assert_eq!("a".repeat(64).parse::<AppName>(), Err(NameError::TooLong));
    }

    #[test]
    fn a_name_is_checked_when_it_is_read_back() {
        assert!(serde_json::from_str::<StackName>("\"a/b\"").is_err());
    }
}
