//! Waiting for certificates that are ordered, with a line for each that is there or failed.

use crate::client::Client;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Progress;
use keeper::api::{CertificateStatus, RenewRequest};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two tries of what is waited for.
const AGAIN: Duration = Duration::from_secs(30);

/// Waits until none of these (first hosts) is being ordered any more.
///
/// # Errors
/// One of them failed, or takes longer than `longest`.
pub fn until_had(
    context: &Context,
    client: &Client,
    names: &[String],
    longest: Duration,
) -> Result<(), Failure> {
    let mine = |it: &CertificateStatus| names.iter().any(|name| it.hosts.contains(name));
    let ended = wait(context, client, mine, longest)?;
    if context.json {
        println!("{}", serde_json::to_string_pretty(&ended).unwrap_or_default());
    }
    let bad = ended.iter().find(|it| it.error.is_some() || it.state == "ordering");
    match bad {
        None => Ok(()),
        Some(it) => Err(Failure::new(Code::Unhealthy, said(it)).next("mainstay certs shows all of them")),
    }
}

/// What became of the certificates of a stack that was started or changed: waits a little for those that are under way. With `--json` they
/// are given to be shown.
pub fn tell_at_end(
    context: &Context,
    client: &Client,
    stack: &str,
    longest: Duration,
) -> Result<serde_json::Value, Failure> {
    let mine = |it: &CertificateStatus| it.stack == stack && it.source == "acme";
    let ended = wait(context, client, mine, longest)?;
    let one = |it: &CertificateStatus| json!({ "hosts": it.hosts, "state": it.state, "error": it.error });
    Ok(ended.iter().map(one).collect())
}

/// Waits until a stack has all its certificates; what failed is tried again every half minute, for names that somebody is about to lead
/// here.
///
/// # Errors
/// One is still missing when the time is over: the last failure, which names both addresses.
pub fn until_all_had(
    context: &Context,
    client: &Client,
    stack: &str,
    longest: Duration,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mine = |it: &CertificateStatus| it.stack == stack && it.source == "acme";
    loop {
        let left = longest.saturating_sub(begun.elapsed());
        let now = wait(context, client, mine, left)?;
        let Some(bad) = now.iter().find(|it| it.state != "valid") else { return Ok(()) };
        if left.is_zero() {
            return Err(Failure::new(Code::Unhealthy, said(bad)).next(
                "the keeper goes on trying: mainstay certs shows when; mainstay certs renew tries at once",
            ));
        }
        let progress = Progress::new(context);
        progress.now(format!(
            "waiting for {}: {}",
            bad.hosts.join(", "),
            bad.error.clone().unwrap_or_default()
        ));
        std::thread::sleep(AGAIN.min(left));
        progress.finish();
        for it in now.iter().filter(|it| it.state != "valid") {
            let name = it.hosts.first().cloned();
            client.renew_certs(&RenewRequest { name, force: false })?;
        }
    }
}

fn wait(
    context: &Context,
    client: &Client,
    mine: impl Fn(&CertificateStatus) -> bool,
    longest: Duration,
) -> Result<Vec<CertificateStatus>, Failure> {
    let progress = Progress::new(context);
    let begun = Instant::now();
    let mut told: Vec<CertificateStatus> = Vec::new();
    loop {
        let now: Vec<_> = client.status()?.certificates.into_iter().filter(&mine).collect();
        let under_way: Vec<&str> = now
            .iter()
            .filter(|it| is_under_way(it))
            .flat_map(|it| it.hosts.first())
            .map(String::as_str)
            .collect();
        let is_over = under_way.is_empty() || begun.elapsed() > longest;
        for it in now.iter().filter(|it| is_over || !is_under_way(it)) {
            let known = told.iter_mut().find(|former| former.hosts == it.hosts);
            match known {
                Some(former) if said(former) == said(it) => {}
                Some(former) => {
                    progress.line(&line(context, it));
                    former.clone_from(it);
                }
                None => {
                    progress.line(&line(context, it));
                    told.push(it.clone());
                }
            }
        }
        if is_over {
            progress.finish();
            return Ok(now);
        }
        progress.now(format!("certificates are ordered: {}", under_way.join(", ")));
        std::thread::sleep(LOOK);
    }
}

fn is_under_way(it: &CertificateStatus) -> bool {
    it.state == "ordering"
}

fn line(context: &Context, it: &CertificateStatus) -> String {
    let (mark, colour) = match it.state.as_str() {
        "ordering" => ("·", "starting"),
        "valid" if it.error.is_none() => ("✓", "ready"),
        _ => ("✗", "failed"),
    };
    format!("{} {}", context.stderr_style().state(colour, mark), said(it))
}

/// One sentence.
fn said(it: &CertificateStatus) -> String {
    let hosts = it.hosts.join(", ");
    let until = it.not_after.as_deref().and_then(|at| at.split('T').next()).unwrap_or("?");
    let issuer = it.issuer.as_deref().unwrap_or("?");
    match (&it.error, it.state.as_str()) {
        (_, "ordering") => {
            format!("certificate of {hosts}: is being ordered; mainstay certs shows how that goes")
        }
        (Some(_), _) => format!("certificate of {hosts} {}", it.problems.join("; ")),
        (None, "valid") => format!("certificate of {hosts}: had from {issuer}, good until {until}"),
        (None, state) => {
            format!("certificate of {hosts}: {state} {}", it.problems.join("; ")).trim_end().to_owned()
        }
    }
}
