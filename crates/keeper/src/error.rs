//! Why a keeper cannot begin, or a call cannot be answered; and what either looks like to the caller.

use crate::api::Failure;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why something was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Another keeper lives on this home.
    #[error("another keeper{} holds {}", holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), home.display())]
    Locked {
        /// Its pid, if the lock file tells.
        holder: Option<u32>,
        /// The home.
        home: PathBuf,
    },
    /// The manifest has errors.
    #[error("the manifest has errors")]
    Manifest {
        /// Rendered for a terminal without colour.
        diagnostics: String,
    },
    /// A data service, what an app gets of it, or a value made for an app cannot be had.
    #[error("{0}")]
    Service(String),
    /// What a build reads cannot be read.
    #[error("{0}")]
    Input(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Who holds it, or what the system says.
        cause: String,
    },
    /// A certificate that the manifest names cannot be used.
    #[error("certificate: {0}")]
    Certificate(#[from] certs::CertError),
    /// Two stacks want the same host name.
    #[error("{host} is already a site of the stack {stack}")]
    HostTaken {
        /// The host name.
        host: String,
        /// Who has it.
        stack: String,
    },
    /// Two stacks of one name.
    #[error("a stack named {stack} runs already, from {}", manifest.display())]
    StackTaken {
        /// The name.
        stack: String,
        /// The manifest it was started from.
        manifest: PathBuf,
    },
    /// More is reserved than there is.
    #[error("{stack} reserves more than this host has left; --overcommit starts it all the same")]
    Overcommitted {
        /// The stack.
        stack: String,
        /// A line for each app that reserves anything.
        services: String,
    },
    /// No such stack or app.
    #[error("there is no {0}")]
    Unknown(String),
    /// Somebody else changed the stack meanwhile, or a change is still under way.
    #[error("{0}")]
    Conflict(String),
    /// A new program cannot take over.
    #[error("{0}")]
    Trial(String),
    /// An authority that gives certificates does not do what it was asked.
    #[error("{0}")]
    Authority(String),
    /// A wish that makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// The state store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// Anything the system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something the system refused, and where.
    #[error("{what}: {source}")]
    At {
        /// What was tried, and on which file.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl KeeperError {
    /// Names what was tried.
    pub(crate) fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::At { what, source }
    }

    /// The exit code of a command that failed so (see `docs/commands.md`).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Manifest { .. }
            | Self::Service(_)
            | Self::Input(_)
            | Self::Listen { .. }
            | Self::Certificate(_)
            | Self::HostTaken { .. }
            | Self::Overcommitted { .. }
            | Self::StackTaken { .. } => 1,
            Self::Unknown(_) | Self::Wrong(_) => 2,
            Self::Locked { .. } | Self::Conflict(_) => 5,
            Self::Trial(_) => 4,
            Self::Authority(_) | Self::Store(_) | Self::Io(_) | Self::At { .. } => 3,
        }
    }

    /// HTTP status of the control API.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Wrong(_) => 400,
            Self::Unknown(_) => 404,
            Self::Conflict(_) | Self::Locked { .. } | Self::StackTaken { .. } => 409,
            Self::Manifest { .. }
            | Self::Service(_)
            | Self::Input(_)
            | Self::Listen { .. }
            | Self::Certificate(_)
            | Self::Overcommitted { .. }
            | Self::HostTaken { .. } => 422,
            Self::Authority(_) | Self::Trial(_) | Self::Store(_) | Self::Io(_) | Self::At { .. } => 500,
        }
    }

    /// What the control API answers.
    pub(crate) fn failure(&self) -> Failure {
        let diagnostics = match self {
            Self::Manifest { diagnostics } => diagnostics.clone(),
            Self::Overcommitted { services, .. } => services.clone(),
            _ => String::new(),
        };
        Failure { error: self.to_string(), diagnostics }
    }
}
