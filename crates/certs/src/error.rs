//! Why a certificate cannot be used; each names the file and the next step.

use std::path::PathBuf;

/// Why a certificate cannot be used. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file that cannot be read or written.
    #[error("{}: {source}; {next}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
        /// What to do.
        next: &'static str,
    },
    /// A file that is not what it should be.
    #[error("{}: {cause}; {next}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: String,
        /// What to do.
        next: &'static str,
    },
    /// Making keys or certificates failed.
    #[error("a certificate could not be made: {0}")]
    Made(#[from] rcgen::Error),
}
