//! What can be wrong with a data service. Every error has a cause (its text, one line, no secret) and a [next step](DataError::next).

use model::service::ServiceKind;
use std::io;
use std::path::PathBuf;

/// Why a data service cannot be described, started, asked or talked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A program of the server's is not installed.
    #[error("there is no {program} on this host: the programs of {kind} are not installed")]
    NoProgram {
        /// What was looked for.
        program: &'static str,
        /// For which server.
        kind: ServiceKind,
    },
    /// The server that was found is not the one, or too old.
    #[error("{} is {found}; {needed} is needed", path.display())]
    WrongServer {
        /// The program.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it should be.
        needed: &'static str,
    },
    /// A kind of server that this version does not run.
    #[error("kind = \"{kind}\" is not supported yet")]
    UnknownKind {
        /// The kind.
        kind: ServiceKind,
    },
    /// The system user is missing.
    #[error("there is no system user {user} to run the database as")]
    NoUser {
        /// Its name, or its id.
        user: String,
    },
    /// Encrypted connections are asked for, and there is no certificate.
    #[error("{service}: encrypted connections are asked for, but it has no certificate")]
    NoCertificate {
        /// The service.
        service: String,
    },
    /// There is no application to log in as.
    #[error("{service} has no database in the manifest, and so no account of an application")]
    NoAccount {
        /// The service.
        service: String,
    },
    /// A value that the server could not understand.
    #[error("{service}: {what} {problem}")]
    Value {
        /// The service.
        service: String,
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The socket's path is too long for the system.
    #[error("the socket's path {} has {} bytes, more than 107", path.display(), path.as_os_str().len())]
    LongSocket {
        /// The path.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {error}", path.display())]
    File {
        /// What was tried: `read`, `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The data folder holds something that Mainstay did not put there.
    #[error("the data folder {} is not empty, and nothing in it says that it is a database of Mainstay's", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The data belongs to another user.
    #[error("{} belongs to user id {owner}; the database runs as {runs_as}", path.display())]
    WrongOwner {
        /// What in the data folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who the server would be.
        runs_as: u32,
    },
    /// The data was written by another server.
    #[error("the data folder {} was written by {found}; this server is {server}", path.display())]
    OtherData {
        /// The folder.
        path: PathBuf,
        /// Engine and version that wrote it.
        found: String,
        /// Engine and version of the server.
        server: String,
    },
    /// Another server has the folder open.
    #[error("the data folder {} is held by another server (pid {pid})", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
        /// Who.
        pid: u32,
    },
    /// The file system is full.
    #[error("no space left: the file system of {} has {free} bytes free, and the database needs {needed} to start", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// Bytes that the database's user may still write.
        free: u64,
        /// Bytes it takes to start.
        needed: u64,
    },
    /// A program of the server's failed.
    #[error("{} failed: {said}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// The last it said, or what the system said.
        said: String,
    },
    /// The server is not in good health.
    #[error("{reason}")]
    Unhealthy {
        /// What is wrong, in a line.
        reason: String,
    },
}

impl DataError {
    /// What to do about it; none where the cause says it.
    pub fn next(&self) -> Option<String> {
        let step = match self {
            Self::NoProgram { kind: ServiceKind::Mariadb, .. } => {
                "apt-get install mariadb-server-core mariadb-client-core (they start no server of their own), then try again".to_owned()
            }
            Self::NoProgram { kind: ServiceKind::Mysql, .. } | Self::UnknownKind { .. } => {
                "write kind = \"mariadb\", which speaks the same protocol".to_owned()
            }
            Self::WrongServer { .. } => "install the server that is needed; it is looked for in PATH first".to_owned(),
            Self::NoUser { user } => format!(
                "adduser --system --group --no-create-home --home /nonexistent --shell /usr/sbin/nologin {user}, or write another run_as"
            ),
            Self::NoCertificate { .. } => "write tls = \"off\", or let the stack have a certificate".to_owned(),
            Self::NoAccount { .. } => "write database = \"…\", or log in as the administrator".to_owned(),
            Self::Value { .. } => "change it in the manifest".to_owned(),
            Self::LongSocket { .. } => "choose a shorter --home".to_owned(),
            Self::Foreign { path } => format!("move {} away, or let this service have another name", path.display()),
            Self::WrongOwner { path, .. } => {
                format!("see whose {} is: write that user as run_as, or give it and all in it to the database's", path.display())
            }
            Self::OtherData { path, .. } => format!(
                "run it with that server or a newer one of the same kind; or move {} away, and an empty database is made",
                path.display()
            ),
            Self::Held { pid, .. } => format!("see what it is (ps -p {pid} -f), and end it as it wants to be ended"),
            Self::Full { .. } => "make room there; nothing was written".to_owned(),
            Self::File { .. } | Self::Program { .. } | Self::Unhealthy { .. } => return None,
        };
        Some(step)
    }

    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { doing, path, error }
    }
}
