//! `mainstay certs root`, `certs trust`: the local authority's root, and how to have it trusted.

use crate::args::RootArgs;
use crate::context::Context;
use crate::error::{Code, Failure};
use keeper::home::Home;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian and its kin take roots from.
const DEBIAN: &str = "/usr/local/share/ca-certificates/mainstay-local.crt";

/// Shows the root, prints it, or has this host trust it.
pub fn root(context: &Context, args: &RootArgs) -> Result<(), Failure> {
    let (path, pem) = find(context)?;
    let mut out = io::stdout().lock();
    if args.pem {
        return Ok(out.write_all(pem.as_bytes())?);
    }
    if args.install {
        install(&pem)?;
    }
    let trusted = certs::trust::is_trusted(&pem);
    if context.json {
        writeln!(out, "{}", json!({ "root": path, "trusted": trusted }))?;
    } else if args.install {
        writeln!(
            out,
            "this host trusts the root now; browsers with lists of their own have to be told: mainstay certs root"
        )?;
    } else {
        write!(out, "{}", how_to_trust(&path, trusted))?;
    }
    Ok(())
}

/// The root of the first home that has one; a home in which nothing ran with HTTPS yet has none.
fn find(context: &Context) -> Result<(PathBuf, String), Failure> {
    let homes = context.homes();
    let roots = homes.iter().filter(|home| home.is_dir()).filter_map(|home| Home::open(home).ok());
    let found = roots.map(|home| certs::local::root_file(&home.certs())).find(|path| path.exists());
    let Some(path) = found else {
        let homes: Vec<String> = homes.iter().map(|home| home.display().to_string()).collect();
        let cause = format!("there is no local authority in {} yet", homes.join(" nor in "));
        return Err(Failure::new(Code::Unclean, cause)
            .next("it is made when the first site with HTTPS runs: mainstay up --https 8443; --home names another place"));
    };
    let pem = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(Code::Unclean, format!("cannot read {}: {error}", path.display()))
            .next("run it as the user that Mainstay runs as: sudo mainstay certs root")
    })?;
    Ok((path, pem))
}

fn install(pem: &str) -> Result<(), Failure> {
    if !sys::user::is_root() {
        return Err(Failure::new(Code::Unclean, "only root can change what this host trusts")
            .next("sudo mainstay certs root --install"));
    }
    let folder = Path::new(DEBIAN).parent().filter(|folder| folder.is_dir());
    if folder.is_none() {
        return Err(Failure::new(
            Code::Unclean,
            "this is no Debian or Ubuntu with the package ca-certificates",
        )
        .next("mainstay certs root says how other systems do it"));
    }
    sys::durable::write(Path::new(DEBIAN), pem.as_bytes(), 0o644)?;
    let output = Command::new("update-ca-certificates").output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::new(Code::Unclean, "update-ca-certificates failed")
            .detail(String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(Failure::new(Code::Unclean, format!("cannot run update-ca-certificates: {error}"))
            .next("apt install ca-certificates")),
    }
}

fn how_to_trust(path: &Path, trusted: bool) -> String {
    let at = path.display();
    let state = if trusted { "this host trusts it" } else { "not trusted by this host yet" };
    format!(
        "\
root certificate: {at} ({state})
It certifies local names only: .localhost, .test, .local, .internal, .home.arpa, .lan, and private addresses.

Debian, Ubuntu   sudo mainstay certs root --install
                 (copies it to {DEBIAN} and runs update-ca-certificates)
Fedora, RHEL     sudo cp {at} /etc/pki/ca-trust/source/anchors/mainstay-local.pem && sudo update-ca-trust
Arch             sudo trust anchor --store {at}
macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {at}
Chromium, Chrome (Linux; package libnss3-tools)
                 mkdir -p $HOME/.pki/nssdb && certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n 'Mainstay local authority' -i {at}
Firefox          Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import
curl, once       curl --cacert {at} https://…
"
    )
}
