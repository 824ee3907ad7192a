//! Words of `certs`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

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
    /// Serve a certificate of your own for the names in it, before any from an authority
    Import(ImportCertArgs),
    /// Serve an imported certificate no more
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
