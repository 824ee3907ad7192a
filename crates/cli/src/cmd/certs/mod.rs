//! `mainstay certs`: the certificates of all sites, and what can be done about them.

mod issue;
mod list;
mod root;
mod watch;
mod why;

use crate::args::{CertsArgs, CertsVerb, ImportCertArgs, RenewArgs, RevokeArgs, RootArgs};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Progress;
use keeper::api::{NewPair, RenewRequest, Revoke};
use serde_json::json;
use std::time::{Duration, SystemTime};
pub use watch::{tell_at_end, until_all_had};
pub use why::tell as why;

/// Longest wait for certificates at the end of a start: what takes longer is had later.
pub const A_MOMENT: Duration = Duration::from_secs(30);
/// Longest wait for certificates that are ordered: an authority may look at names for minutes.
const LONGEST: Duration = Duration::from_secs(600);

/// Does what was asked for.
pub fn run(context: &Context, args: CertsArgs) -> Result<(), Failure> {
    match args.verb {
        None => list::run(context),
        Some(CertsVerb::Root(args)) => root::root(context, &args),
        Some(CertsVerb::Trust) => root::root(context, &RootArgs { pem: false, install: true }),
        Some(CertsVerb::Renew(args)) => renew(context, args),
        Some(CertsVerb::Revoke(args)) => revoke(context, args),
        Some(CertsVerb::Issue(args)) => issue::run(context, args),
        Some(CertsVerb::Import(args)) => import(context, &args),
        Some(CertsVerb::Remove(args)) => remove(context, &args.name),
    }
}

fn renew(context: &Context, args: RenewArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let done = client.renew_certs(&RenewRequest { name: args.name, force: args.force })?;
    if !context.json {
        for name in &done.left {
            println!("{name} is not due; --force has a new one all the same");
        }
        if done.ordered.is_empty() && done.left.is_empty() {
            println!("no site has its certificate from an authority");
        }
    }
    watch::until_had(context, &client, &done.ordered, LONGEST)
}

fn revoke(context: &Context, args: RevokeArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let progress = Progress::new(context);
    progress.now(format!("the authority is told about {}", args.name));
    let done = client.revoke_cert(&Revoke { name: args.name, reason: args.reason })?;
    progress.finish();
    if !context.json {
        println!("{} is revoked; it is served until another one is there", done.ordered.join(", "));
    }
    watch::until_had(context, &client, &done.ordered, LONGEST)
}

fn import(context: &Context, args: &ImportCertArgs) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    // Read here: who calls has the right to, and a fault is named with the file.
    let pair = certs::files::load(&args.cert, &args.key)
        .map_err(|error| Failure::new(Code::Configuration, error.to_string()))?;
    let style = context.stderr_style();
    let warnings = certs::files::warnings(&pair, &pair.facts.names, &args.key, SystemTime::now());
    warnings.iter().for_each(|warning| eprintln!("{} the certificate {warning}", style.yellow("warning:")));
    let kept = client.import_cert(&NewPair { chain: pair.chain, key: pair.key })?;
    if context.json {
        println!("{}", json!(kept));
    } else {
        println!("{} is served from now on for {}", kept.name, kept.names.join(", "));
        println!(
            "  mainstay certs remove {} takes it away; the files that it came from are not needed any more",
            kept.name
        );
    }
    Ok(())
}

fn remove(context: &Context, name: &str) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    let gone = client.remove_cert(name)?;
    if context.json {
        println!("{}", json!(gone));
    } else {
        println!("{} is not served any more", gone.name);
    }
    Ok(())
}

/// What is wrong with the certificates of a stack that runs; nothing where no keeper can be asked.
pub fn troubles(context: &Context, stack: &str) -> Vec<String> {
    let status = context.find_keeper().and_then(|(_, client)| client.status().ok());
    let own = status.into_iter().flat_map(|status| status.certificates).filter(|it| it.stack == stack);
    own.flat_map(|it| {
        let hosts = it.hosts.join(", ");
        it.problems.into_iter().map(move |problem| format!("certificate of {hosts} {problem}"))
    })
    .collect()
}
