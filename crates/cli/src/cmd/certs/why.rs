//! `mainstay why HOST`: what is with the certificate of a host.

use crate::context::Context;
use crate::error::Failure;
use keeper::api::CertificateStatus;
use std::io::{self, Write};

/// Says it. False: no certificate is for this host, or nobody can be asked.
///
/// # Errors
/// The keeper cannot be asked, or nobody reads.
pub fn tell(context: &Context, host: &str) -> Result<bool, Failure> {
    let Some((_, client)) = context.find_keeper() else { return Ok(false) };
    let host = host.to_ascii_lowercase();
    let all = client.status()?.certificates;
    let is_for = |it: &&CertificateStatus| {
        it.hosts.contains(&host) || it.names.iter().any(|name| certs::covers(name, &host))
    };
    let Some(it) = all.iter().find(is_for) else { return Ok(false) };
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::to_string_pretty(it).unwrap_or_default())?;
        return Ok(true);
    }
    let style = context.style();
    let what = match (it.state.as_str(), &it.issuer, &it.not_after) {
        (state, Some(issuer), Some(until)) => {
            format!("certificate of {host}: {state}, from {issuer}, good until {until}")
        }
        (state, ..) => format!("certificate of {host}: {state}"),
    };
    let next = match it.state.as_str() {
        _ if it.source == "acme" && it.error.is_some() => {
            format!("put that right, then: mainstay certs renew {host}")
        }
        "ordering" => "wait a moment: mainstay certs shows how it goes".to_owned(),
        "missing" => "put the files right: they are looked at every few seconds".to_owned(),
        _ => String::new(),
    };
    let lines = [("what", what), ("because", it.problems.join("; ")), ("to do", next)];
    for (name, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(out, "{} {}", style.bold(&format!("{name:<8}")), crate::logs::printable(text, false))?;
    }
    Ok(true)
}
