//! `mainstay certs issue`: a certificate before any site is there. Through the keeper's front door where that can be, else by answering on
//! port 80 here.

use super::{LONGEST, watch};
use crate::args::IssueArgs;
use crate::client::CallError;
use crate::context::{self, Context};
use crate::error::{Code, Failure};
use crate::ui::Progress;
use keeper::api::IssueRequest;
use keeper::home::Home;
use model::acme::{AcmeSpec, AuthoritySpec, ChallengeKind, KeyKind, LETSENCRYPT, LETSENCRYPT_STAGING};
use serde_json::json;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Orders it and waits.
pub fn run(context: &Context, args: IssueArgs) -> Result<(), Failure> {
    let request = request(&args)?;
    let home = Home::open(&context.background_home())?;
    let wait = LONGEST.max(request.acme.wait);
    let client = context::connect(home.path()).map(|(_, client)| client);
    if let Some(client) = &client {
        match client.issue_cert(&request) {
            Ok(begun) => return watch::until_had(context, client, &begun.ordered, wait),
            // Nobody listens there for an authority: this process does, and the keeper is told of what came.
            Err(CallError::Refused { status, .. }) if status.as_u16() == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    let progress = Progress::new(context);
    progress.now(format!("a certificate for {} is ordered", request.names.join(", ")));
    let pair = keeper::issue_standalone(&home, &request, &addresses(args.http), |line| progress.line(line))?;
    progress.finish();
    if let Some(client) = &client {
        client.issue_cert(&request)?;
    }
    let (chain, key) = certs::acme::Store::open(&home.certs().join("acme"))
        .map(|store| store.files(&request.names))
        .map_err(|error| Failure::new(Code::Unclean, error.to_string()))?;
    if context.json {
        println!(
            "{}",
            json!({ "names": pair.facts.names, "issuer": pair.facts.issuer, "cert": chain, "key": key })
        );
        return Ok(());
    }
    println!("certificate of {}: had from {}", pair.facts.names.join(", "), pair.facts.issuer);
    println!("  {}\n  {}", chain.display(), key.display());
    if let Some(folder) = &request.acme.export {
        println!("  {}", folder.join(certs::acme::store::folder_name(&request.names)).display());
    }
    println!("  a keeper of this home renews it: mainstay install, or mainstay start");
    Ok(())
}

fn request(args: &IssueArgs) -> Result<IssueRequest, Failure> {
    let wrong = |what: String| Failure::new(Code::Usage, what);
    let directory = match args.authority.as_str() {
        "letsencrypt" => LETSENCRYPT.to_owned(),
        "letsencrypt-staging" => LETSENCRYPT_STAGING.to_owned(),
        url if url.starts_with("https://") => url.to_owned(),
        other => {
            return Err(wrong(format!(
                "{other} is no authority: letsencrypt, letsencrypt-staging, or an https:// URL"
            )));
        }
    };
    let names: Vec<String> = args.names.iter().map(|name| name.to_ascii_lowercase()).collect();
    if let Some(name) = names.iter().find(|name| name.starts_with("*.") || !is_name(name)) {
        return Err(wrong(format!(
            "{name} cannot be issued so: a wildcard needs `dns` in the [acme] of a manifest, all else is a host name"
        )));
    }
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|error| wrong(format!("{}: {error}", path.display())))
    };
    let challenge = args.challenge.as_deref().map(|kind| match kind {
        "tls-alpn-01" => ChallengeKind::TlsAlpn01,
        _ => ChallengeKind::Http01,
    });
    let (email, root) = (args.email.clone(), args.root.as_ref().map(absolute).transpose()?);
    let acme = AcmeSpec {
        authorities: vec![AuthoritySpec { directory, email, root, eab: None, profile: None }],
        challenges: challenge.into_iter().collect(),
        dns: None,
        key: KeyKind::default(),
        check_names: !args.unchecked,
        wait: args.wait.unwrap_or_default(),
        export: args.export.as_ref().map(absolute).transpose()?,
        hook: Vec::new(),
        on_demand: None,
    };
    Ok(IssueRequest { names, acme })
}

/// Letters, digits, hyphens, in labels (RFC 1123 section 2.1), or an address.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    };
    name.parse::<std::net::IpAddr>().is_ok() || name.len() < 254 && name.split('.').all(label)
}

/// Where it is answered: all addresses, IPv6 too where this host has it.
fn addresses(given: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if !given.is_empty() {
        return given;
    }
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80));
    let has_v6 = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    vec![if has_v6 { both } else { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)) }]
}
