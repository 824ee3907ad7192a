//! Words of `certs`.

use super::{address, length};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub verb: Option<CertsVerb>,
}

/// Verbs of `certs`.
#[derive(Debug, Subcommand)]
pub enum CertsVerb {
    /// Have new certificates from authorities: those that are due or failed; the others go on being served until then
    Renew(RenewArgs),
    /// Tell the authority that a certificate must not be believed any more, and have another one
    Revoke(RevokeArgs),
    /// Have a certificate for names that no site need have, and have it renewed: through the front door where a keeper runs, else by
    /// answering on port 80 itself
    Issue(IssueArgs),
    /// Serve a certificate of your own for the names in it, before any from an authority
    Import(ImportCertArgs),
    /// Serve an imported certificate no more, or renew an issued one no more
    Remove(RemoveCertArgs),
    /// Show where the local authority's root certificate is, and how to trust it
    Root(RootArgs),
    /// Have this host trust the local authority (Debian and Ubuntu, as root); as root --install
    Trust,
}

/// `certs renew`.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// A host of the site; without it all
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Also one that is good for a while: counts against the authority's limits
    #[arg(long)]
    pub force: bool,
}

/// `certs revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// A host of the site
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = [
        "unspecified", "key-compromise", "affiliation-changed", "superseded", "cessation-of-operation",
    ])]
    pub reason: String,
}

/// `certs issue`.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Host names, all in one certificate; it is called by the first
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Where the authority writes to when something is wrong
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<String>,
    /// Whom to ask: letsencrypt, letsencrypt-staging, or the https:// URL of an ACME directory; to name one is to agree to its terms
    #[arg(long, value_name = "AUTHORITY", default_value = "letsencrypt")]
    pub authority: String,
    /// PEM file of the root that the authority's own certificate is checked with [default: this host's]
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// How names are proved [default: http-01 where somebody listens on port 80]
    #[arg(long, value_name = "CHALLENGE", value_parser = ["http-01", "tls-alpn-01"])]
    pub challenge: Option<String>,
    /// Answer here where no keeper runs [default: port 80 of all addresses]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub http: Vec<SocketAddr>,
    /// Folder where it lies for other programs too, as NAME/fullchain.pem and NAME/privkey.pem, such as /etc/letsencrypt/live
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// How long the names may take to lead here, such as 60m after a change of DNS
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub wait: Option<Duration>,
    /// Do not look whether the names lead here before the authority does
    #[arg(long)]
    pub unchecked: bool,
}

/// `certs import`.
#[derive(Debug, Args)]
pub struct ImportCertArgs {
    /// PEM file of the certificate and its chain
    #[arg(value_name = "CERT")]
    pub cert: PathBuf,
    /// PEM file of its private key
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
}

/// `certs remove`.
#[derive(Debug, Args)]
pub struct RemoveCertArgs {
    /// What certs import called it: its first name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `certs root`.
#[derive(Debug, Args)]
pub struct RootArgs {
    /// Print the certificate itself
    #[arg(long, conflicts_with = "install")]
    pub pem: bool,
    /// Have this host trust it (Debian and Ubuntu, as root)
    #[arg(long)]
    pub install: bool,
}
