//! `tls` of a site: where its certificate comes from, what its clients show, and whether plain HTTP is led there.

use super::{Context, acme, missing};
use crate::file::{CertificateFile, ClientCertsFile, SiteFile, TlsFile, TlsSource, TlsTable};
use crate::place::Place;
use crate::{values, web};
use model::site::{ClientCertSpec, PairSpec, TlsSpec};
use model::spec::SiteSpec;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the site's certificate comes from.
pub fn source(
    context: &mut Context<'_>,
    place: Place<'_>,
    site: &SiteFile,
    hosts: &[String],
    secure: bool,
    authority: &mut acme::Scope,
) -> TlsSpec {
    let tls_place = place.key("tls");
    let unsaid = matches!(site.tls, None | Some(TlsFile::Switch(true)));
    let of_authority = |table: &TlsTable| table.profile.is_some() || table.challenge.is_some();
    let table = match &site.tls {
        Some(TlsFile::Switch(false)) => return TlsSpec::Off,
        Some(TlsFile::Source(TlsSource::Acme)) => None,
        None | Some(TlsFile::Switch(true)) if secure && authority.is_default(hosts) => None,
        Some(TlsFile::Table(table)) => Some(table),
        None | Some(TlsFile::Switch(true) | TlsFile::Source(TlsSource::Local)) => {
            if secure && (!unsaid || !tls_place.given()) {
                local_authority(context, place.key("hosts"), hosts);
            }
            return TlsSpec::Local;
        }
    };
    if !secure {
        let found = context.report.warning("tls::unused", "nobody listens for HTTPS");
        found.at(tls_place.name_span(), "not used");
        found.help("add `https = [\"0.0.0.0:443\", \"[::]:443\"]` below `[listen]`");
    }
    let files = table.filter(|table| !of_authority(table));
    let Some(TlsTable { cert, key, .. }) = files else {
        return authority.site(context, place, hosts, table).unwrap_or(TlsSpec::Local);
    };
    match pair(context, tls_place, "a table of `tls`", cert.as_deref(), key.as_deref()) {
        Some(PairSpec { cert, key }) => TlsSpec::Files { cert, key },
        None => TlsSpec::Local,
    }
}

/// Certificates for the names in them.
pub fn certificates(context: &mut Context<'_>, place: Place<'_>, files: &[CertificateFile]) -> Vec<PairSpec> {
    let own = |(index, file): (usize, &CertificateFile)| {
        let place = place.item(index);
        pair(context, place, "a `[[certificate]]`", file.cert.as_deref(), file.key.as_deref())
    };
    files.iter().enumerate().filter_map(own).collect()
}

fn pair(
    context: &mut Context<'_>,
    tls_place: Place<'_>,
    of: &str,
    cert: Option<&str>,
    key: Option<&str>,
) -> Option<PairSpec> {
    for name in ["cert", "key"] {
        missing(context, tls_place, name, of, "write `cert = \"cert.pem\"` and `key = \"key.pem\"`");
    }
    let cert = cert.and_then(|text| pem(context, tls_place, "cert", text, "CERTIFICATE"));
    let key = key.and_then(|text| pem(context, tls_place, "key", text, "PRIVATE KEY"));
    if let Some(key) = key.as_deref().filter(|key| context.disk.others_may_read(key)) {
        let found =
            context.report.warning("tls::readable", "every user of this machine can read this private key");
        found
            .at(tls_place.key("key").span(), "readable by others")
            .help(format!("chmod o-rwx {}", key.display()));
    }
    Some(PairSpec { cert: cert?, key: key? })
}

/// The path of a file that has to hold this.
pub fn pem(
    context: &mut Context<'_>,
    table: Place<'_>,
    name: &str,
    text: &str,
    holds: &str,
) -> Option<PathBuf> {
    let place = table.key(name);
    let path = context.path(place, text)?;
    let holds_it =
        |text: &str| text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(holds));
    match context.disk.read(&path) {
        Err(reason) => {
            let found =
                context.report.error("tls::unreadable", format!("the file of `{name}` cannot be read"));
            found.at(place.span(), reason).help(format!("looked for {}", path.display()));
        }
        Ok(Some(text)) if !holds_it(&text) => {
            let found = context.report.error("tls::pem", format!("the file of `{name}` does not hold it"));
            found.at(place.span(), format!("no `-----BEGIN {holds}-----` in it"));
            found.help("PEM is expected; `openssl` converts other forms");
        }
        Ok(_) => {}
    }
    Some(path)
}

/// What clients have to show.
pub fn client_certs(
    context: &mut Context<'_>,
    place: Place<'_>,
    site: &SiteFile,
    tls: &TlsSpec,
) -> Option<ClientCertSpec> {
    let own = place.key("client_certs");
    let roots = match site.client_certs.as_ref()? {
        ClientCertsFile::Roots(text) => pem(context, place, "client_certs", text, "CERTIFICATE"),
        ClientCertsFile::Table(table) => {
            missing(context, own, "roots", "a table of `client_certs`", "write `{ roots = \"ca.pem\" }`");
            table.roots.as_deref().and_then(|text| pem(context, own, "roots", text, "CERTIFICATE"))
        }
    };
    if *tls == TlsSpec::Off {
        let found = context.report.error("tls::contradiction", "without TLS nobody can show a certificate");
        found.at(own.name_span(), "remove this").at(place.key("tls").name_span(), "or this");
    }
    let required = match &site.client_certs {
        Some(ClientCertsFile::Table(table)) => table.required.unwrap_or(true),
        _ => true,
    };
    Some(ClientCertSpec { roots: roots?, required })
}

/// Sites with public names, where nobody listens for HTTPS but everybody reaches these addresses.
pub fn plain(context: &mut Context<'_>, place: Place<'_>, sites: &[SiteSpec], http: &[SocketAddr]) {
    if !http.iter().any(|address| address.port() == 80 && !address.ip().is_loopback()) {
        return;
    }
    for (index, site) in sites.iter().enumerate() {
        let place = place.item(index);
        let is_public = |host: &&String| !web::is_local(host) && !values::is_placeholder(host);
        let unsaid = site.listen.is_empty() && !place.key("tls").given();
        if let Some(host) = site.hosts.iter().find(is_public).filter(|_| unsaid) {
            let message = format!("`{host}` is open to everybody without HTTPS");
            let found = context.report.warning("tls::plain", message);
            found.at(place.key("hosts").span(), "what its visitors send can be read on the way");
            found.help("add `[acme]` with your `email` and `https = [\"0.0.0.0:443\", \"[::]:443\"]` below `[listen]`; or write `tls = false` if it shall be so");
        }
    }
}

/// What the local certificate authority cannot do.
fn local_authority(context: &mut Context<'_>, place: Place<'_>, hosts: &[String]) {
    if hosts.iter().any(|host| host == "*") {
        let found = context.report.warning("tls::any", "no certificate can be made for `*`");
        found.at(place.span(), "any name");
        found.help("name the hosts, or write `tls = false`: this site is then HTTP only");
    } else if let Some(name) = hosts.iter().find(|host| !web::is_local(host)) {
        let found = context.report.info("tls::local", "browsers do not know the certificate of this site");
        found.at(
            place.span(),
            format!("`{name}` gets one from the local authority, which is for development"),
        );
        found.help("add `[acme]` with your `email`: it then comes from Let's Encrypt; or write `tls = { cert = \"cert.pem\", key = \"key.pem\" }`");
    }
}

/// Whether plain HTTP is led to HTTPS.
pub fn redirect(context: &mut Context<'_>, place: Place<'_>, site: &SiteFile, tls: &TlsSpec) -> bool {
    if site.https_redirect == Some(true) && *tls == TlsSpec::Off {
        context
            .report
            .error("tls::contradiction", "a site that is HTTP only cannot be led to HTTPS")
            .at(place.key("https_redirect").name_span(), "remove this")
            .at(place.key("tls").name_span(), "or this");
    }
    site.https_redirect.unwrap_or(true) && *tls != TlsSpec::Off
}
