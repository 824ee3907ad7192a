//! What is done to a route's requests beside its handler, in a word or two each, in the order in which it is done. No secret is among them.

use model::policy::{PolicySpec, RateSpec, RewriteSpec};

/// All that is on.
pub fn names(policy: &PolicySpec) -> Vec<Box<str>> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |there: bool, name: &str| {
        if there {
            names.push(name.to_owned());
        }
    };
    add(policy.maintenance.is_some(), "maintenance");
    add(!policy.access.allow.is_empty(), "allow");
    add(!policy.access.deny.is_empty(), "deny");
    add(!policy.methods.is_empty(), "methods");
    add(!policy.file_types.is_empty(), "file_types");
    policy.rates.iter().for_each(|rate| add(true, &limit(rate)));
    policy.concurrency.iter().for_each(|own| add(true, &format!("concurrency {}", own.most)));
    add(policy.cors.is_some(), "cors");
    add(policy.basic_auth.is_some(), "basic_auth");
    add(policy.forward_auth.is_some(), "forward_auth");
    for change in &policy.rewrite {
        add(
            true,
            &match change {
                RewriteSpec::StripPrefix(prefix) => format!("strip_prefix {prefix}"),
                RewriteSpec::AddPrefix(prefix) => format!("add_prefix {prefix}"),
                RewriteSpec::Replace { pattern, .. } => format!("rewrite {pattern}"),
            },
        );
    }
    add(!policy.request_headers.is_empty(), "request_headers");
    add(!policy.response_headers.is_empty(), "headers");
    add(!policy.error_pages.is_empty(), "error_pages");
    add(policy.compress.is_some(), "compress");
    names.into_iter().map(Into::into).collect()
}

fn limit(rate: &RateSpec) -> String {
    match rate.per_ms {
        1_000 => format!("limit {}/s", rate.count),
        60_000 => format!("limit {}/m", rate.count),
        3_600_000 => format!("limit {}/h", rate.count),
        other => format!("limit {} in {other} ms", rate.count),
    }
}
